"""One update of advantage actor-critic (Mnih et al. 2016, algorithm S3), in the paper's order.

Computes returns, then makes one step along the policy gradient, with the value loss and the entropy bonus. Settings are
in `a2c`. The learner calls this module, which sends no messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.network import AnyNetwork
from actorrt.rl.networks.optimiser import FlatRMSProp
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, normalised, transitions
from actorrt.rl.settings.algorithm_settings import scheduled
from actorrt.rl.spaces.array_spaces import Array

if TYPE_CHECKING:
    from actorrt.rl.algorithms.a2c import A2CSettings


class A2CUpdate(GradientUpdate):
    """Improves the policy one batch at a time."""

    optimiser_class = FlatRMSProp
    settings: A2CSettings

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0, for the learning rate.

        Returns:
            Metrics of the batch before the update: `value_loss` and `entropy` (nats).
        """
        settings = self.settings
        metrics = actor_critic_gradient(self.network, fragments, settings, self.share)
        self.step(scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining))
        return metrics


def actor_critic_gradient(
    network: AnyNetwork,
    fragments: tuple[Fragment, ...],
    settings: A2CSettings,
    share: Callable[[Transitions], Transitions] = lambda rows: rows,
) -> dict[str, float]:
    """Compute the gradient of fragments, or of a share of them, in the network; return the metrics."""
    rows = share(transitions(fragments, gamma=settings.gamma, gae_lambda=settings.gae_lambda))
    advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
    return differentiate(network, rows, advantage, settings.value_coefficient, settings.entropy_coefficient)


def differentiate(
    network: AnyNetwork, rows: Transitions, advantage: Array, value_coefficient: float, entropy_coefficient: float
) -> dict[str, float]:
    """Compute the gradient of the actor-critic loss, which is minimised, in the network.

    The loss is the mean over rows of -advantage log pi + value_coefficient (V - target)^2 - entropy_coefficient H.

    Returns:
        `value_loss` and `entropy` (nats), before the update.
    """
    count = len(rows)
    outputs, value = network.forward(rows.obs)
    distribution = network.distribution(outputs)
    error = value - rows.target
    d_outputs = distribution.gradient(rows.action, advantage / -count, -entropy_coefficient / count)
    network.backward(d_outputs, error * (2.0 * value_coefficient / count))
    return {"value_loss": float(np.square(error).mean()), "entropy": float(distribution.entropy().mean())}
