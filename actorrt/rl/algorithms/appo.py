"""Asynchronous proximal policy optimisation (Petrenko et al. 2020, "Sample Factory"): IMPALA with PPO's objective.

As in IMPALA, simulators collect while the learner learns, and V-trace corrects advantages and value targets. The
objective is PPO's clipped one, relative to the policy that acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.clipped_objective import ClippedSettings, ClippedUpdate
from actorrt.rl.algorithms.impala import CorrectedSettings
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, corrected_transitions
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


class APPOUpdate(ClippedUpdate):
    """PPO's update on transitions that V-trace has corrected."""

    settings: APPOSettings

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute V-trace advantages and value targets, under the policy as it is before the first epoch."""
        settings = self.settings
        rows, _ = corrected_transitions(
            self.network, fragments, gamma=settings.gamma, rho_limit=settings.rho_limit, c_limit=settings.c_limit
        )
        return rows


class APPO(Algorithm):
    """Trains a policy by asynchronous proximal policy optimisation; see `Algorithm` for the arguments."""

    settings_class = APPOSettings
