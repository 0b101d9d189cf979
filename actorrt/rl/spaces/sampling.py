"""Samples actions from a network's outputs, on NumPy, and finds the most likely ones.

A batch of outputs has the shape (batch, outputs), and `leaves` says which outputs belong together. The gradients of the
same distributions are in `distributions`.
"""

from __future__ import annotations

import numpy as np

from actorrt.rl.spaces.array_spaces import Array, Box, Discrete
from actorrt.rl.spaces.leaves import Leaf, column_count, leaves, row_dtype
from actorrt.rl.spaces.spaces import Space

TINY = np.finfo(np.float32).tiny
FORBIDDEN = np.float32(-1e9)  # logits of masked actions: works like minus infinity, but never leads to NaN


def sample(action: Space, outputs: Array, log_std: Array | None, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sample an action for each row of outputs.

    Args:
        action: space of the actions.
        outputs: logits and means.
        log_std: logarithms of the standard deviations; None if the action has no Gaussian part.
        rng: the source of randomness.

    Returns:
        Actions, one entry a row: indices, or rows of numbers before clipping; and their log-probabilities.
    """
    if isinstance(action, Discrete):
        return _categorical(outputs, rng)
    if isinstance(action, Box):
        assert log_std is not None
        return _gaussian(outputs, log_std, rng)
    rows = np.empty((len(outputs), column_count(action)), row_dtype(action))
    logp = np.zeros(len(outputs), np.float32)
    for leaf in leaves(action):
        drawn, part_logp = _draw(leaf, outputs[:, leaf.outputs], log_std, rng)
        rows[:, leaf.columns] = drawn
        logp += part_logp
    return rows, logp


def _draw(leaf: Leaf, outputs: Array, log_std: Array | None, rng: np.random.Generator) -> tuple[Array, Array]:
    if leaf.kind == "categorical":
        index, logp = _categorical(outputs, rng)
        return index[:, None], logp
    if leaf.kind == "bernoulli":
        return _bernoulli(outputs, rng)
    assert log_std is not None
    return _gaussian(outputs, log_std[leaf.deviations], rng)


def most_likely(action: Space, outputs: Array) -> Array:
    """Return the most likely actions: indices, or rows of numbers before clipping."""
    if isinstance(action, Discrete):
        index: Array = outputs.argmax(axis=1)
        return index
    if isinstance(action, Box):
        return outputs
    rows = np.empty((len(outputs), column_count(action)), row_dtype(action))
    for leaf in leaves(action):
        part = outputs[:, leaf.outputs]
        if leaf.kind == "categorical":
            rows[:, leaf.columns] = part.argmax(axis=1)[:, None]
        else:
            rows[:, leaf.columns] = part > 0.0 if leaf.kind == "bernoulli" else part
    return rows


def masked(outputs: Array, mask: Array) -> Array:
    """Return the logits, with those forbidden whose entry of the mask is not 1."""
    return np.where(mask > 0.5, outputs, FORBIDDEN)


def _categorical(logits: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sample by the Gumbel-max trick: one argmax for the whole batch, no cumulative sums."""
    gumbel = rng.standard_exponential(logits.shape, np.float32)
    np.log(np.maximum(gumbel, TINY, out=gumbel), out=gumbel)  # the generator sometimes returns 0
    action = (logits - gumbel).argmax(axis=1)
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1))
    return action, shifted[np.arange(len(action)), action] - normaliser


def _bernoulli(logits: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    probability = 0.5 + 0.5 * np.tanh(0.5 * logits)  # the logistic function, without overflow
    action = (rng.random(logits.shape, np.float32) < probability).astype(np.float32)
    logp: Array = -np.logaddexp(np.float32(0.0), np.where(action > 0.5, -logits, logits)).sum(axis=1)
    return action, logp


def _gaussian(mean: Array, log_std: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    noise = rng.standard_normal(mean.shape, np.float32)
    action = mean + np.exp(log_std) * noise
    constant = np.float32(log_std.sum() + 0.5 * mean.shape[1] * np.log(2.0 * np.pi))
    return action, -0.5 * np.square(noise).sum(axis=1) - constant
