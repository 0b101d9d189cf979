"""Pure: the values of actions from the outputs of a network, and the gradients of the way back."""

from __future__ import annotations

import numpy as np

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.sampling import FORBIDDEN


def action_values(spec: PolicySpec, outputs: Array, value: Array) -> Array:
    """Return the value of each action, (batch, actions); those of forbidden actions are hugely negative.

    With dueling heads Q = V + A - mean A (Wang et al. 2016, eq. 9), where the mean is over allowed actions.

    Args:
        spec: of the policy.
        outputs: of the network, (batch, actions).
        value: of the network, (batch,).
    """
    if spec.heads == "q":
        return outputs
    allowed = _allowed(spec, outputs)
    mean = (outputs * allowed).sum(axis=1) / allowed.sum(axis=1)
    values: Array = np.where(allowed, outputs + (value - mean)[:, None], FORBIDDEN)
    return values


def back_to_heads(spec: PolicySpec, outputs: Array, d_values: Array) -> tuple[Array, Array]:
    """Return the gradients with respect to outputs and value, for that with respect to the values of actions.

    Args:
        spec: of the policy.
        outputs: of the network, (batch, actions).
        d_values: gradient of the loss with respect to the values of actions; 0 for forbidden ones.
    """
    if spec.heads == "q":
        return d_values, np.zeros(len(d_values), np.float32)
    allowed, d_value = _allowed(spec, outputs), d_values.sum(axis=1)
    d_outputs = d_values - allowed * (d_value / allowed.sum(axis=1))[:, None]
    return d_outputs, d_value


def _allowed(spec: PolicySpec, outputs: Array) -> Array:
    """Return 1 for the actions that a mask allows, and 0 for the others."""
    if not spec.mask_count:
        return np.ones_like(outputs)
    allowed: Array = (outputs > 0.5 * FORBIDDEN).astype(np.float32)
    return allowed
