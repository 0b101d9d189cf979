"""Asynchronous proximal policy optimisation (Petrenko et al. 2020, "Sample Factory"): IMPALA with PPO's objective.

As in IMPALA, simulators collect while the learner learns, and V-trace corrects advantages and value targets. The
objective is PPO's clipped one, relative to the policy that acted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.impala import CorrectedSettings
from actorrt.rl.algorithms.ppo import ClippedSettings, ClippedUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.presets.appo import PRESETS
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, corrected_transitions
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True, kw_only=True)
class APPOSettings(CorrectedSettings, ClippedSettings):
    """Settings of asynchronous proximal policy optimisation; a batch is corrected once, before the first epoch."""

    algorithm: ClassVar[str] = "APPO"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

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
