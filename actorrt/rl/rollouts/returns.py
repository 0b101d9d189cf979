"""Pure: advantages and returns of fragments, with terminated and truncated kept apart.

A terminated episode has no value after its end. A truncated episode would have continued, so its last transition
bootstraps from the value of its last observation (Pardo et al. 2018, "Time limits in reinforcement learning"). All
arrays are T x K: time by environment.
"""

from __future__ import annotations

import math

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

LOG_RATIO_LIMIT = 80.0  # the exponential of a larger number overflows in single precision


def next_values(value: Array, terminated: Array, truncated: Array, final_value: Array, last_value: Array) -> Array:
    """Return the value of the state after each transition, float32 of shape (T, K).

    Args:
        value: value of each transition's observation.
        terminated: whether the episode ended there for good.
        truncated: whether the episode was cut there.
        final_value: value of the observation that a truncated transition led to; read only where `truncated`.
        last_value: value of the observation after the last row, shape (K,).
    """
    following = np.concatenate([value[1:], last_value[None]])
    following = np.where(truncated, final_value, following)
    following[terminated] = 0.0
    return following


def generalised_advantages(
    reward: Array,
    value: Array,
    next_value: Array,
    ended: Array,
    *,
    gamma: float,
    gae_lambda: float,
) -> Array:
    """Return generalised advantage estimates (Schulman et al. 2016, eq. 16), float32 of shape (T, K).

    Rows that are not transitions (autoreset steps) follow the end of an episode, so no estimate passes through them.
    Their own estimates are meaningless, and callers mask them.

    Args:
        reward: reward of each transition.
        value: value of its observation.
        next_value: value of the next state, from `next_values`.
        ended: whether the episode ended there, terminated or truncated.
        gamma: discount per step, 0 to 1.
        gae_lambda: weight of longer estimates, 0 to 1.
    """
    delta = reward + gamma * next_value - value
    decay = np.where(ended, 0.0, gamma * gae_lambda).astype(np.float32)
    advantage = np.empty_like(delta, dtype=np.float32)
    carried = np.zeros(delta.shape[1], dtype=np.float32)
    for t in range(len(delta) - 1, -1, -1):
        carried = delta[t] + decay[t] * carried
        advantage[t] = carried
    return advantage


def explained_variance(value: Array, target: Array) -> float:
    """Return the share of the targets' variance that values explain: 1 is all of it, 0 or less is nothing.

    Args:
        value: values, (n,).
        target: what they should be, (n,). If all are equal, the result is NaN.
    """
    error = target - value
    error -= error.sum() / len(error)
    spread = target - target.sum() / len(target)
    variance = float(spread @ spread)  # times n, and several times faster than `numpy.var`
    return 1.0 - float(error @ error) / variance if variance > 0.0 else math.nan


def importance(log_ratio: Array, limit: float) -> Array:
    """Return importance weights, truncated at `limit`, for the logarithms of probability ratios."""
    weights: Array = np.minimum(limit, np.exp(np.minimum(log_ratio, LOG_RATIO_LIMIT)))
    return weights


def vtrace(
    reward: Array,
    value: Array,
    next_value: Array,
    ended: Array,
    log_ratio: Array,
    *,
    gamma: float,
    rho_limit: float = 1.0,
    c_limit: float = 1.0,
) -> tuple[Array, Array]:
    """Return V-trace value targets and advantages (Espeholt et al. 2018, eq. 1), float32 of shape (T, K) each.

    If all ratios are 1, the targets are n-step returns up to the end of the fragment. Rows that are not transitions
    have meaningless results, as in `generalised_advantages`.

    Args:
        reward: reward of each transition.
        value: value of its observation, under the policy that learns.
        next_value: value of the next state, from `next_values`, under that policy.
        ended: whether the episode ended there, terminated or truncated.
        log_ratio: logarithm of the action's probability under the policy that learns, divided by that under the policy
            that acted.
        gamma: discount per step, 0 to 1.
        rho_limit: bound on the weights of the temporal differences; it decides which policy's values are learnt.
        c_limit: bound on the weights along the trace; it decides how fast they are learnt.

    Returns:
        The targets; and the advantages r + gamma v' - V, where v' is the next target, not yet weighted by the action's
        ratio.
    """
    delta = importance(log_ratio, rho_limit) * (reward + gamma * next_value - value)
    decay = np.where(ended, 0.0, gamma * importance(log_ratio, c_limit)).astype(np.float32)
    correction = np.empty_like(delta, dtype=np.float32)
    carried = np.zeros(delta.shape[1], dtype=np.float32)
    for t in range(len(delta) - 1, -1, -1):
        carried = delta[t] + decay[t] * carried
        correction[t] = carried
    target = value + correction
    next_target = next_value.copy()
    next_target[:-1] = np.where(ended[:-1], next_value[:-1], target[1:])
    return target, reward + gamma * next_target - value
