"""Asynchronous proximal policy optimisation (Petrenko et al. 2020, "Sample Factory"): IMPALA with PPO's objective.

As in IMPALA, simulators collect while the learner learns, and V-trace corrects advantages and value targets; the
objective is PPO's clipped one, against the policy that acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from actorrt.rl.algorithm import Algorithm
from actorrt.rl.impala import CorrectedSettings
from actorrt.rl.settings import Schedule

if TYPE_CHECKING:
    from actorrt.rl.appo_update import APPOUpdate
    from actorrt.rl.policy import PolicySpec
    from actorrt.rl.spaces import Array

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "steps": 1_000_000,
        "environments": 8,
        "horizon": 32,
        "batch_steps": 256,
        "gamma": 0.98,
        "learning_rate": 1e-3,
        "epochs": 4,
        "minibatch_size": 256,
    },
}


@dataclass(frozen=True, kw_only=True)
class APPOSettings(CorrectedSettings):
    """How asynchronous proximal policy optimisation learns.

    Attributes:
        minibatch_size: transitions a gradient step learns from.
        epochs: passes over each batch; the corrections are made once, before the first.
        clip_range: how far the probability ratio may move, at the start.
        clip_schedule: whether it shrinks to 0 over the run.
        normalise_advantages: to mean 0 and deviation 1 in each minibatch.
    """

    algorithm: ClassVar[str] = "APPO"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    max_grad_norm: float = 4.0
    minibatch_size: int = 256
    epochs: int = 2
    clip_range: float = 0.2
    clip_schedule: Schedule = "constant"
    normalise_advantages: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("minibatch_size", "epochs")

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> APPOUpdate:
        """Make what improves the policy; imports torch."""
        from actorrt.rl.appo_update import APPOUpdate

        return APPOUpdate(self, spec, parameters, seed)


class APPO(Algorithm):
    """Trains a policy by asynchronous proximal policy optimisation; see `Algorithm` for what all algorithms take."""

    settings_class = APPOSettings
