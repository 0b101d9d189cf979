"""Pure: the settings that all algorithms have in common, and how a user's values are merged with presets.

The settings of an algorithm are in its own file, and its presets in `presets`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_args

from actorrt.rl.environments.env_failures import OnEnvError
from actorrt.rl.environments.environment_checks import require_maker
from actorrt.rl.environments.making import EnvMaker
from actorrt.rl.foundation.checks import (
    is_whole,
    plain,
    require_flag,
    require_number,
    require_one_of,
    require_share,
    require_whole,
)
from actorrt.rl.foundation.failures import RAISES_LIMIT
from actorrt.rl.networks.activations import Activation
from actorrt.rl.networks.network import Backend
from actorrt.rl.networks.optimiser import OptimiserKind
from actorrt.rl.networks.policy_spec import Heads, NetworkKind, PolicySpec
from actorrt.rl.rollouts.fragment_collector import Order
from actorrt.rl.settings.foreign_names import hint, in_words, own_name
from actorrt.rl.settings.schedules import Schedule, require_no_function, require_schedule

FUNCTIONS: Mapping[str, str | None] = {
    "network": None,
    "learning_rate_schedule": None,
    "clip_schedule": None,
    "evaluation_env": "",
}
"""Settings that may be functions, which no checkpoint holds, and what stands in for such a function."""

WITHOUT_LIMIT_BY_NONE = (
    "hang_timeout_s",
    "evaluate_every",
    "evaluation_steps",
    "evaluation_wait_s",
    "horizon_s",
    "max_lag",
    "target_kl",
)
"""Settings of which None means that there is no limit."""

S = TypeVar("S", bound="AlgorithmSettings")


@dataclass(frozen=True, kw_only=True)
class AlgorithmSettings:
    """Settings of any algorithm.

    Attributes:
        algorithm: name of the algorithm.
        presets: values by environment that replace the defaults.
        steps: environment steps of the whole run, unless `start` is given another number; linear schedules end there.
        hidden: units of the hidden layers; empty for a linear policy, if the algorithm supports that.
        network: `"mlp"`, `"cnn"`, `"auto"` (a convolutional one for images), or a function that takes the
            `PolicySpec` and makes a `torch.nn.Module`.
        activation: of the hidden layers: `"tanh"`, `"relu"`, `"leaky_relu"`, `"elu"`, `"gelu"` or `"silu"`.
        orthogonal: whether initial weights are orthogonal; otherwise they are those of `torch.nn.Linear`.
        log_std: initial logarithm of the standard deviations of continuous actions.
        hang_timeout_s: a simulator that is stuck in one step or reset for this time is replaced; None waits for ever.
        on_env_error: what an environment costs that raises, or returns NaN or values outside its space. `"truncate"`:
            its episode; the environment is made anew, and only one that fails several times in a row ends the run.
            `"fail"`: the run, at the first failure.
        evaluate_every: smallest number of steps between two evaluations; None evaluates nothing, so that the newest
            policy is the best one.
        evaluation_episodes: episodes of an evaluation; with fewer, the estimate is less certain.
        evaluation_env: Gymnasium id of the environment of evaluations, or a function that makes it; None takes the
            environment of the training.
        evaluation_steps: largest number of steps of an evaluation; None sets no limit. Each episode gets an equal
            share. A longer episode is cut off, and its return is that of the steps which were played.
        evaluation_deterministic: whether evaluations take the most likely actions; otherwise they sample actions.
        evaluation_wait_s: longest time that a run waits for evaluations after its last step; None waits for ever.
        normalise_observations: whether to scale them to mean 0 and standard deviation 1 over all simulators so far.
        normalise_rewards: whether to divide them by the standard deviation of the discounted returns so far.
    """

    algorithm: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    steps: int = 1_000_000
    hidden: tuple[int, ...] = (64, 64)
    network: NetworkKind = "auto"
    activation: Activation = "tanh"
    orthogonal: bool = True
    log_std: float = 0.0
    hang_timeout_s: float | None = 60.0
    on_env_error: OnEnvError = "truncate"
    evaluate_every: int | None = 2_000
    evaluation_episodes: int = 20
    evaluation_env: EnvMaker | None = None
    evaluation_steps: int | None = None
    evaluation_deterministic: bool = True
    evaluation_wait_s: float | None = 30.0
    normalise_observations: bool = False
    normalise_rewards: bool = False

    @classmethod
    def preset(cls: type[S], env_id: str, /, **overrides: Any) -> S:
        """Return the preset of an environment, or the defaults if there is none, with `overrides` applied.

        Raises:
            ValueError: a setting does not exist, or its value is out of range; the message names it.
            TypeError: its value is of the wrong type.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in overrides:
            if name not in known:
                others = algorithms_with(own_name(name))
                raise ValueError(f"{cls.algorithm} has no setting {name!r}; {hint(name, known, others)}")
        return cls(**{**cls.presets.get(env_id, {}), **overrides})

    @classmethod
    def from_data(cls: type[S], data: Mapping[str, Any]) -> S:
        """Rebuild settings from the result of `to_data`, also after it was stored as JSON."""
        values: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        return cls(**values)

    def to_data(self) -> dict[str, Any]:
        """Return plain values for `from_data`, with a stand-in for each function, see `FUNCTIONS`."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: FUNCTIONS[name] if name in FUNCTIONS and callable(value) else value for name, value in values.items()
        }

    @staticmethod
    def functions_of(data: Mapping[str, Any]) -> list[str]:
        """Return the settings that were functions, for which the result of `to_data` has stand-ins."""
        return [name for name, stand_in in FUNCTIONS.items() if name in data and data[name] == stand_in]

    @property
    def raises_limit(self) -> int:
        """So many evaluations, or shares of an explorer's work, in a row may raise before the error ends the run."""
        return RAISES_LIMIT if self.on_env_error == "truncate" else 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # numbers of NumPy could not be stored
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        for name in WITHOUT_LIMIT_BY_NONE:
            if getattr(self, name, None) == math.inf:
                raise ValueError(f"{name} is finite, and None sets no limit: {name}=inf")
        self._require_at_least_1("steps", "evaluation_episodes")
        self._require_evaluations()
        if self.hang_timeout_s is not None:
            self._require_positive("hang_timeout_s")
        require_one_of("on_env_error", self.on_env_error, get_args(OnEnvError))
        if not callable(self.network) and self.network not in ("auto", "mlp", "cnn"):
            raise ValueError(f"network is 'auto', 'mlp', 'cnn' or a function that makes one: network={self.network!r}")
        require_one_of("activation", self.activation, get_args(Activation))
        self._require_numbers("log_std")
        self._require_flags("orthogonal", "normalise_observations", "normalise_rewards")
        self._require_layers("hidden")

    @property
    def heads(self) -> Heads:
        """What the algorithm's network estimates; see `PolicySpec`."""
        return "actor_critic"

    def require_fitting(self, spec: PolicySpec) -> None:
        """Make sure that a policy of this spec can be trained with these settings.

        Raises:
            ValueError: it can't; the message names the setting.
        """

    def cautions(self, simulators: int) -> list[str]:
        """Return sentences on what a user may not expect of these settings."""
        if self.evaluate_every is not None:
            return []
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        idle = [name for name in defaults if name.startswith("evaluation_") and getattr(self, name) != defaults[name]]
        return [f"evaluate_every=None evaluates nothing: leave out {in_words(idle)}"] if idle else []

    def _require_layers(self, name: str) -> None:
        """Make sure that a setting has the units of hidden layers; a list becomes a tuple."""
        layers = getattr(self, name)
        if not isinstance(layers, tuple | list) or not all(map(is_whole, layers)):
            raise TypeError(f"{name} has the units of each hidden layer, as in {name}=(64, 64): {name}={layers!r}")
        if any(units < 1 for units in layers):
            raise ValueError(f"hidden layers have at least 1 unit: {name}={layers}")
        object.__setattr__(self, name, tuple(map(plain, layers)))

    def _require_evaluations(self) -> None:
        """Make sure that the settings of evaluations make sense."""
        if self.evaluate_every is not None:
            self._require_at_least_1("evaluate_every")
        if self.evaluation_env is not None:
            require_maker(self.evaluation_env, "evaluation_env")
            if self.evaluation_env == "":
                raise ValueError("evaluation_env is a Gymnasium id, or a function that makes one: evaluation_env=''")
        if self.evaluation_steps is not None:
            self._require_at_least_1("evaluation_steps")
            if self.evaluation_steps < self.evaluation_episodes:
                raise ValueError(
                    f"evaluation_steps is at least 1 for each of evaluation_episodes={self.evaluation_episodes}: "
                    f"evaluation_steps={self.evaluation_steps}"
                )
        self._require_flags("evaluation_deterministic")
        if not (self.evaluation_deterministic or self.hidden or callable(self.network)):
            raise ValueError("evaluation_deterministic=False samples actions, and a linear policy (hidden=()) has none")
        if self.evaluation_wait_s is not None:
            require_number("evaluation_wait_s", self.evaluation_wait_s)
            if self.evaluation_wait_s < 0:
                raise ValueError(f"evaluation_wait_s is at least 0: evaluation_wait_s={self.evaluation_wait_s}")

    def _require_at_least_1(self, *names: str) -> None:
        for name in names:
            require_whole(name, getattr(self, name), 1)

    def _require_share(self, *names: str) -> None:
        for name in names:
            require_share(name, getattr(self, name))

    def _require_numbers(self, *names: str) -> None:
        for name in names:
            require_number(name, getattr(self, name))

    def _require_at_least_0(self, *names: str) -> None:
        for name in names:
            require_number(name, getattr(self, name), at_least=0.0)

    def _require_positive(self, *names: str) -> None:
        for name in names:
            require_number(name, getattr(self, name), is_positive=True)

    def _require_limits(self, *names: str) -> None:
        """Make sure that these are larger than 0; infinity means no limit."""
        for name in names:
            if getattr(self, name) is None:
                raise TypeError(f"{name} is a number, and infinity sets no limit: {name}=None")
            require_number(name, getattr(self, name), is_positive=True, is_limit=True)

    def _require_flags(self, *names: str) -> None:
        for name in names:
            require_flag(name, getattr(self, name))


def algorithms_with(name: str) -> list[str]:
    """Return the algorithms that have a setting, in alphabetical order."""
    kinds, found = [AlgorithmSettings], set[str]()
    while kinds:
        kind: type[AlgorithmSettings] = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.algorithm and name in {field.name for field in dataclasses.fields(kind)}:
            found.add(kind.algorithm)
    return sorted(found)


@dataclass(frozen=True, kw_only=True)
class RolloutSettings(AlgorithmSettings):
    """Settings of the algorithms that learn from rollouts.

    Attributes:
        backend: the library that computes gradients, `"numpy"` or `"torch"`; `"auto"` chooses as `network.backend_of`
            does.
        environments: number of environments of all simulators together.
        horizon: steps of each environment in a fragment.
        horizon_s: a fragment ends after this time even if it has fewer steps, so that the fragments of slow simulators
            do not come too late; None sets no limit. A seed then no longer determines the run.
        batch_steps: smallest number of transitions of a batch; None takes one fragment of each simulator.
        max_lag: fragments whose policy is more than this many versions old are dropped. With 0, collecting and learning
            take turns; with more, they overlap. None keeps all fragments, so that late ones are trained on, too: for
            IMPALA and APPO, which correct for older policies.
        order: of fragments in batches, as for `stream`. None means `"deterministic"` up to a lag of one, so that a seed
            determines the run, and `"completion"` beyond, or with `horizon_s`.
        inference_actor: whether one actor acts for all simulators, in batches, which pays for large networks. A seed
            then no longer determines the run.
        learners: number of learners. Each learns from a share of the batch, and all apply the mean of their gradients,
            which pays for large networks, on several GPUs or machines of many CPUs.
        gamma: discount for each step.
        optimiser: `"adam"`, `"adamw"`, `"rmsprop"` or `"sgd"`.
        weight_decay: share of each parameter that a step of `"adamw"` takes away, times the learning rate; None means
            0.01. The other optimisers have none.
        learning_rate: of the optimiser, at the start of the run.
        learning_rate_schedule: how it changes over the run: `"constant"`, `"linear"` down to 0, or a function of the
            share of the run that is still to come, 1 to 0, which returns a factor.
        max_grad_norm: gradients with a larger norm are scaled down to it; infinity means no limit.
    """

    allows_lag: ClassVar[bool] = False
    """Whether the algorithm is meant to learn from fragments of older policies."""

    backend: Backend = "auto"
    environments: int = 8
    horizon: int = 256
    horizon_s: float | None = None
    batch_steps: int | None = None
    max_lag: int | None = 0
    order: Order | None = None
    inference_actor: bool = False
    learners: int = 1
    gamma: float = 0.99
    optimiser: OptimiserKind = "adam"
    weight_decay: float | None = None
    learning_rate: float = 3e-4
    learning_rate_schedule: Schedule = "constant"
    max_grad_norm: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("environments", "horizon", "learners")
        if self.learners > self.environments * self.horizon:
            raise ValueError(
                f"each learner takes a share of a batch: learners={self.learners} is more than its transitions, "
                f"environments={self.environments} times horizon={self.horizon}"
            )
        self._require_share("gamma")
        if self.batch_steps is not None:
            self._require_at_least_1("batch_steps")
        require_no_function("learning_rate", self.learning_rate, "learning_rate_schedule")
        self._require_positive("learning_rate")
        self._require_limits("max_grad_norm")
        self._require_flags("inference_actor")
        require_one_of("backend", self.backend, get_args(Backend))
        require_schedule("learning_rate_schedule", self.learning_rate_schedule)
        self._require_order()
        require_one_of("optimiser", self.optimiser, get_args(OptimiserKind))
        if self.weight_decay is not None:
            require_number("weight_decay", self.weight_decay, at_least=0.0)
            if self.optimiser != "adamw":
                raise ValueError(
                    f"weight_decay={self.weight_decay} is for optimiser='adamw': leave it out for "
                    f"optimiser={self.optimiser!r}"
                )
        self._require_hidden("hidden")

    def _require_hidden(self, name: str) -> None:
        if getattr(self, name) == ():
            raise ValueError(f"{self.algorithm} takes hidden layers: {name}=()")

    def _require_order(self) -> None:
        """Make sure that the order of fragments, the lag and the horizon in seconds are valid together."""
        if self.order is not None:
            require_one_of("order", self.order, get_args(Order))
        if self.max_lag is not None:
            require_whole("max_lag", self.max_lag, 0)
        if self.horizon_s is not None:
            self._require_positive("horizon_s")
        if self.order == "deterministic" and self.max_lag not in (0, 1):
            raise ValueError(f"order='deterministic' needs max_lag=0 or max_lag=1, not max_lag={self.max_lag}")
        if self.order == "deterministic" and self.horizon_s is not None:
            raise ValueError(
                "order='deterministic' is for fragments that a seed determines, and their length in seconds is not: "
                f"leave out order, or horizon_s={self.horizon_s}"
            )

    def cautions(self, simulators: int) -> list[str]:
        """Return sentences on what a user may not expect of these settings."""
        texts = super().cautions(simulators)
        if self.environments < simulators:
            steps = -(-self.horizon * self.environments // simulators)
            texts.append(
                f"environments={self.environments} is less than simulators={simulators}: each simulator steps one "
                f"environment, for {steps} steps a fragment in place of horizon={self.horizon}, so that batches stay "
                f"as large; simulators={self.environments} leaves both as they are"
            )
        if self.batch_steps is not None and self.batch_steps > self.steps:
            texts.append(f"batch_steps={self.batch_steps} is more than steps={self.steps}: one update ends the run")
        if not self.allows_lag and (self.max_lag is None or self.max_lag > 1):
            age = "any number of" if self.max_lag is None else f"up to {self.max_lag}"
            texts.append(
                f"max_lag={self.max_lag}: {self.algorithm} has no correction for policies that are {age} versions old; "
                "rl.APPO and rl.IMPALA have one; max_lag=1 overlaps collecting and learning, with little need of it"
            )
        return texts

    @property
    def stream_order(self) -> Order:
        """The order of fragments in batches."""
        is_deterministic = self.max_lag in (0, 1) and self.horizon_s is None
        return self.order or ("deterministic" if is_deterministic else "completion")
