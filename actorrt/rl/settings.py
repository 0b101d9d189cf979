"""Pure: settings of proximal policy optimisation, and presets by environment.

The defaults are those that most libraries share; the presets are RL-Zoo's tuned values
(github.com/DLR-RM/rl-baselines3-zoo, hyperparams/ppo.yml), so that results compare.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from actorrt.rl.policy import PolicySpec
    from actorrt.rl.ppo_update import PPOUpdate
    from actorrt.rl.spaces import Array

Schedule = Literal["linear", "constant"]


@dataclass(frozen=True)
class PPOSettings:
    """How proximal policy optimisation learns.

    Attributes:
        steps: environment steps of the whole run, unless `start` says otherwise; linear schedules end there.
        environments: environments in all, shared out over the simulators.
        horizon: steps of each environment in a fragment.
        minibatch_size: transitions a gradient step learns from.
        epochs: passes over each batch.
        gamma: discount a step.
        gae_lambda: weight of longer advantage estimates.
        learning_rate: of Adam, at the start.
        learning_rate_schedule: whether it shrinks to 0 over the run.
        clip_range: how far the probability ratio may move, at the start.
        clip_schedule: whether it shrinks to 0 over the run.
        value_coefficient: weight of the value loss.
        entropy_coefficient: weight of the entropy bonus.
        max_grad_norm: the gradient is scaled down to this norm.
        normalise_advantages: to mean 0 and deviation 1 in each minibatch.
        hidden: units of the two hidden layers.
        max_lag: batches hold no fragment whose policy is more versions behind; with 0, collecting and learning
            take turns, with more they overlap.
        evaluate_every: steps between two evaluations, at the least.
    """

    steps: int = 1_000_000
    environments: int = 8
    horizon: int = 256
    minibatch_size: int = 64
    epochs: int = 10
    gamma: float = 0.99
    gae_lambda: float = 0.95
    learning_rate: float = 3e-4
    learning_rate_schedule: Schedule = "constant"
    clip_range: float = 0.2
    clip_schedule: Schedule = "constant"
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0
    max_grad_norm: float = 0.5
    normalise_advantages: bool = True
    hidden: tuple[int, int] = (64, 64)
    max_lag: int = 0
    evaluate_every: int = 2_000

    def __post_init__(self) -> None:
        for name in ("steps", "environments", "horizon", "minibatch_size", "epochs", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1: {name}={getattr(self, name)}")
        for name in ("gamma", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is between 0 and 1: {name}={getattr(self, name)}")
        if self.max_lag < 0:
            raise ValueError(f"max_lag counts versions, 0 or more: max_lag={self.max_lag}")

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> PPOUpdate:
        """Make what improves the policy; imports torch."""
        from actorrt.rl.ppo_update import PPOUpdate

        return PPOUpdate(self, spec, parameters, seed)


PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "steps": 100_000,
        "environments": 8,
        "horizon": 32,
        "minibatch_size": 256,
        "epochs": 20,
        "gamma": 0.98,
        "gae_lambda": 0.8,
        "learning_rate": 1e-3,
        "learning_rate_schedule": "linear",
        "clip_range": 0.2,
        "clip_schedule": "linear",
    },
    "Pendulum-v1": {  # without state-dependent exploration, which RL-Zoo adds
        "steps": 100_000,
        "environments": 4,
        "horizon": 1024,
        "gamma": 0.9,
        "learning_rate": 1e-3,
    },
    "LunarLander-v3": {
        "steps": 1_000_000,
        "environments": 16,
        "horizon": 1024,
        "gamma": 0.999,
        "gae_lambda": 0.98,
        "epochs": 4,
        "entropy_coefficient": 0.01,
    },
}


def settings_for(env_id: str, **overrides: Any) -> PPOSettings:
    """Return the preset of an environment, or the defaults where there is none, with `overrides` applied.

    Raises:
        ValueError: a setting does not exist, or its value makes no sense; the message names it.
    """
    known = [field.name for field in dataclasses.fields(PPOSettings)]
    for name in overrides:
        if name not in known:
            matches = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(matches)}?" if matches else f"there are {', '.join(known)}"
            raise ValueError(f"PPO has no setting {name!r}; {hint}")
    return PPOSettings(**{**PRESETS.get(env_id, {}), **overrides})
