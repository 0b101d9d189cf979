"""One update of IMPALA (Espeholt et al. 2018, section 4.2), in the paper's order.

Computes V-trace targets, then makes one step along the policy gradient weighted by truncated importance ratios, with
the value loss and the entropy bonus. Settings are in `impala`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from actorrt.rl.algorithms.a2c_update import differentiate
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import corrected_transitions
from actorrt.rl.settings.algorithm_settings import scheduled

if TYPE_CHECKING:
    from actorrt.rl.algorithms.impala import IMPALASettings


class IMPALAUpdate(GradientUpdate):
    """Improves the policy one batch at a time."""

    settings: IMPALASettings

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0, for the learning rate.

        Returns:
            Metrics of the batch before the update: `value_loss`, `entropy` (nats), and `rho`, the mean weight of the
            actions.
        """
        settings = self.settings
        rows, rho = corrected_transitions(
            self.network, fragments, gamma=settings.gamma, rho_limit=settings.rho_limit, c_limit=settings.c_limit
        )
        rows = self.share(dataclasses.replace(rows, advantage=rho * rows.advantage))
        metrics = differentiate(
            self.network, rows, rows.advantage, settings.value_coefficient, settings.entropy_coefficient
        )
        self.step(scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining))
        return metrics | {"rho": float(rho.mean())}
