"""Pure: the plan of a run, which determines everything that the run does."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeGuard, TypeVar

from actorrt.rl.environments.making import EnvMaker
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.weights import Weights
from actorrt.rl.settings.algorithm_settings import AlgorithmSettings, RolloutSettings

S_co = TypeVar("S_co", bound=AlgorithmSettings, covariant=True)


@dataclass(frozen=True, eq=False)
class Plan(Generic[S_co]):
    """The plan of a run, which determines everything that the run does.

    Attributes:
        name: unique among the runs of a namespace; names of the run's actors begin with it.
        environment: Gymnasium id of the environment, or a function that makes it.
        policy: spec of the policy.
        weights: initial weights of the policy.
        settings: of the algorithm.
        simulators: number of simulators.
        steps: largest number of steps of the run.
        seed: seed of all randomness.
        stop_return: return at which the run ends early, or None.
        native: whether simulators use the environment's own vector form.
        process_id: of the process that made the plan.
        checkpoint: the checkpoint to resume, as `checkpoint.load` returns it; None for a new run.
    """

    name: str
    environment: EnvMaker
    policy: PolicySpec
    weights: Weights
    settings: S_co
    simulators: int
    steps: int
    seed: int
    stop_return: float | None = None
    native: bool = False
    process_id: int = 0
    checkpoint: dict[str, Any] | None = None

    @property
    def evaluation_environment(self) -> EnvMaker:
        """Gymnasium id of the environment of evaluations, or a function that makes it."""
        other = self.settings.evaluation_env
        return self.environment if other is None else other

    @property
    def environment_counts(self: Plan[RolloutSettings]) -> tuple[int, ...]:
        """Number of environments of each simulator: as equal as can be, and at least 1."""
        each, more = divmod(self.settings.environments, self.simulators)
        return tuple(max(1, each + (index < more)) for index in range(self.simulators))

    @property
    def horizon(self: Plan[RolloutSettings]) -> int:
        """Steps of each environment in a fragment; fewer if there are more simulators than environments.

        Every simulator has at least one environment, so a shorter horizon keeps batches at their configured size.
        """
        horizon, environments = self.settings.horizon, self.settings.environments
        return -(-horizon * min(environments, self.simulators) // self.simulators)

    def origin(self) -> dict[str, Any]:
        """Return the plain data from which `Algorithm.resume` makes the algorithm."""
        return {
            "algorithm": self.settings.algorithm,
            "env_id": self.policy.env_id,  # "" if a function makes the environment
            "env_kwargs": dict(self.policy.env_kwargs),
            "settings": self.settings.to_data(),
            "simulators": self.simulators,
            "seed": self.seed,
            "native": self.native,
        }

    def resuming_command(self, directory: str, saved_steps: int) -> str | None:
        """Return the command line that resumes a run; None if a function makes its environment."""
        if not self.policy.env_id:
            return None
        flags = f"--steps {max(self.steps, saved_steps)}"
        if self.stop_return is not None:
            flags += f" --stop-return {self.stop_return:.12g}"
        command = f"actorrt train {self.settings.algorithm.lower()} {self.policy.env_id}"
        return f"{command} --resume {shlex.quote(directory)} {flags}"

    def resumption(self, directory: str, saved_steps: int) -> str:
        """Return the code that resumes a run from its checkpoint of so many steps in `directory`."""
        env = "" if self.policy.env_id else ", env=..."
        functions = "".join(f", {name}=..." for name in self.settings.functions_of(self.settings.to_data()))
        stop_return = "" if self.stop_return is None else f", stop_return={self.stop_return:.12g}"
        resumed = f"rl.{self.settings.algorithm}.resume({directory!r}{env}{functions})"
        return f"{resumed}.start(steps={max(self.steps, saved_steps):_}{stop_return})"


AnyPlan: TypeAlias = Plan[AlgorithmSettings]


def is_of_rollouts(plan: AnyPlan) -> TypeGuard[Plan[RolloutSettings]]:
    """Whether a run learns from rollouts, so that its plan has batches, fragments and learners."""
    return isinstance(plan.settings, RolloutSettings)
