"""The loss that A2C, A3C and IMPALA have in common (Mnih et al. 2016, section 4), and its gradient."""

from __future__ import annotations

import numpy as np

from actorrt.rl.networks.network import AnyNetwork
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.spaces.array_spaces import Array


def actor_critic_gradient(
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
