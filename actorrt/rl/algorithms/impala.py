"""IMPALA (Espeholt et al. 2018): settings and update.

Simulators collect while the learner learns, so fragments are of older policies; V-trace corrects for that
(`rollouts.returns`). The loss is in `actor_critic`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.presets.impala import PRESETS
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import corrected_transitions
from actorrt.rl.settings.actor_critic_settings import ActorCriticSettings
from actorrt.rl.settings.schedules import scheduled
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True, kw_only=True)
class CorrectedSettings(ActorCriticSettings):
    """Settings of the algorithms that learn by V-trace from fragments of older policies.

    Attributes:
        rho_limit: bound on the importance weights of the values' temporal differences.
        c_limit: bound on the importance weights along the trace.
    """

    allows_lag: ClassVar[bool] = True

    horizon: int = 32
    batch_steps: int | None = 512
    max_lag: int | None = 8
    learning_rate: float = 5e-4
    max_grad_norm: float = 40.0
    evaluate_every: int = 10_000
    rho_limit: float = 1.0
    c_limit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_limits("rho_limit", "c_limit")
        if self.rho_limit < self.c_limit:
            raise ValueError(f"rho_limit is at least c_limit: rho_limit={self.rho_limit}, c_limit={self.c_limit}")


@dataclass(frozen=True, kw_only=True)
class IMPALASettings(CorrectedSettings):
    """Settings of IMPALA. The optimiser is Adam, as in most libraries, instead of the paper's RMSProp."""

    algorithm: ClassVar[str] = "IMPALA"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    entropy_coefficient: float = 0.005

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> IMPALAUpdate:
        """Make the update rule."""
        return IMPALAUpdate(self, spec, parameters)


class IMPALAUpdate(GradientUpdate):
    """The paper's section 4.2, in its order.

    Computes V-trace targets, then makes one step along the policy gradient with the value loss and the entropy bonus.
    Truncated importance ratios weight the policy gradient.
    """

    settings: IMPALASettings

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0, for the learning rate.

        Returns:
            The metrics of `actor_critic_gradient`, `learning_rate`, `gradient_norm`, before the gradient was clipped,
            and `rho`, the mean weight of the actions.
        """
        settings = self.settings
        rows, rho = corrected_transitions(
            self.network, fragments, gamma=settings.gamma, rho_limit=settings.rho_limit, c_limit=settings.c_limit
        )
        rows = self.share(dataclasses.replace(rows, advantage=rho * rows.advantage))
        metrics = actor_critic_gradient(
            self.network, rows, rows.advantage, settings.value_coefficient, settings.entropy_coefficient
        )
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        norm = self.step(learning_rate)
        return metrics | {"learning_rate": learning_rate, "gradient_norm": norm, "rho": float(rho.mean())}


class IMPALA(Algorithm):
    """Trains a policy by IMPALA; see `Algorithm` for the arguments."""

    settings_class = IMPALASettings
