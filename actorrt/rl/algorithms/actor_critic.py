"""The loss that A2C, A3C and IMPALA have in common (Mnih et al. 2016, section 4), and its gradient."""

from __future__ import annotations

from actorrt.rl.networks.network import AnyNetwork
from actorrt.rl.rollouts.returns import explained_variance
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.spaces.array_spaces import Array


def actor_critic_gradient(
    network: AnyNetwork, rows: Transitions, advantage: Array, value_coefficient: float, entropy_coefficient: float
) -> dict[str, float]:
    """Compute the gradient of the actor-critic loss, which is minimised, in the network.

    The loss is the mean over rows of

        - advantage log pi(action) + value_coefficient (V - target)^2 - entropy_coefficient H

    Returns:
        The parts of the loss, before the update: `policy_loss`, `value_loss` and `entropy` (nats); and
        `explained_variance`, of the targets by the values.
    """
    count = len(rows)
    outputs, value = network.forward(rows.obs)
    distribution = network.distribution(outputs)
    error = value - rows.target
    policy_loss = -float(distribution.log_probability(rows.action) @ advantage) / count
    entropy = float(distribution.entropy().sum()) / count
    d_outputs = distribution.gradient(rows.action, advantage / -count, -entropy_coefficient / count)
    network.backward(d_outputs, error * (2.0 * value_coefficient / count))
    return {
        "policy_loss": policy_loss,
        "value_loss": float(error @ error) / count,
        "entropy": entropy,
        "explained_variance": explained_variance(rows.value, rows.target),
    }
