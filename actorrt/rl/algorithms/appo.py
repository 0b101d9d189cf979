"""Asynchronous proximal policy optimisation (Petrenko et al. 2020, "Sample Factory"): IMPALA with PPO's objective.

As in IMPALA, simulators collect while the learner learns, and V-trace corrects advantages and value targets. The
objective is PPO's clipped one, relative to the policy that acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.appo_update import APPOUpdate
from actorrt.rl.algorithms.impala import CorrectedSettings
from actorrt.rl.algorithms.ppo import ClippedSettings
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array

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
class APPOSettings(CorrectedSettings, ClippedSettings):
    """Settings of asynchronous proximal policy optimisation; a batch is corrected once, before the first epoch."""

    algorithm: ClassVar[str] = "APPO"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    max_grad_norm: float = 4.0
    minibatch_size: int = 256
    epochs: int = 2

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> APPOUpdate:
        """Make the update rule."""
        return APPOUpdate(self, spec, parameters, seed)


class APPO(Algorithm):
    """Trains a policy by asynchronous proximal policy optimisation; see `Algorithm` for the arguments."""

    settings_class = APPOSettings
