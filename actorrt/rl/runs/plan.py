"""Pure: everything that a run follows from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.weights import Weights
from actorrt.rl.rollouts.environment import EnvMaker


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a run follows from.

    Attributes:
        name: unique among the runs of a namespace; it begins the names of the run's actors.
        environment: Gymnasium id of the environment, or a function that makes it.
        policy: what the policy looks like.
        weights: what the policy begins with.
        settings: of the algorithm.
        simulators: how many.
        steps: where the run ends at the latest.
        seed: what all its randomness follows from.
        stop_return: where it ends early, or None.
        native: whether simulators use the environment's own vector form.
        process_id: of the process that made it.
        checkpoint: what to go on from, as `checkpoint.load` returns it; None begins anew.
    """

    name: str
    environment: EnvMaker
    policy: PolicySpec
    weights: Weights
    settings: Any
    simulators: int
    steps: int
    seed: int
    stop_return: float | None = None
    native: bool = False
    process_id: int = 0
    checkpoint: dict[str, Any] | None = None

    @property
    def environments_each(self) -> int:
        """Environments of each simulator."""
        environments: int = self.settings.environments
        return -(-environments // self.simulators)

    @property
    def horizon(self) -> int:
        """Steps of each environment in a fragment: fewer where there are more simulators than environments.

        Every simulator has an environment; a batch then holds no more than was set.
        """
        horizon, environments = self.settings.horizon, self.settings.environments
        shared: int = -(-horizon * min(environments, self.simulators) // self.simulators)
        return shared

    def origin(self) -> dict[str, Any]:
        """Return, as plain data, what `Algorithm.resume` makes the algorithm from."""
        return {
            "algorithm": self.settings.algorithm,
            "env_id": self.policy.env_id,  # "" where a function makes the environment
            "settings": self.settings.to_data(),
            "simulators": self.simulators,
            "seed": self.seed,
            "native": self.native,
        }

    def resumption(self, directory: str, saved_steps: int) -> str:
        """Return the code that takes up again a run that left a checkpoint of so many steps in `directory`."""
        env = "" if self.policy.env_id else ", env=..."
        network = "" if isinstance(self.settings.network, str) else ", network=..."
        stop_return = "" if self.stop_return is None else f", stop_return={self.stop_return:g}"
        resumed = f"rl.{self.settings.algorithm}.resume({directory!r}{env}{network})"
        return f"{resumed}.start(steps={max(self.steps, saved_steps):_}{stop_return})"
