"""Distributions of actions with their gradients written out, on NumPy.

The formulas are a few lines each, and the tests compare them with torch's. Sampling is in `sampling`.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from actorrt.rl.spaces.array_spaces import Array, Box, Discrete
from actorrt.rl.spaces.leaves import Leaf, leaves
from actorrt.rl.spaces.spaces import Space


class Distribution(Protocol):
    """Distributions of actions, one for each row of a network's outputs."""

    def log_probability(self, action: Array) -> Array: ...

    def entropy(self) -> Array: ...

    def gradient(self, action: Array, d_logp: Array, d_entropy: float) -> Array: ...


class Categorical:
    """A distribution over indices for each row of logits, (batch, n)."""

    def __init__(self, logits: Array) -> None:
        shifted = logits - logits.max(axis=1, keepdims=True)
        self._probability = np.exp(shifted)
        total = self._probability.sum(axis=1, keepdims=True)
        self._probability /= total
        self._logp: Array = shifted - np.log(total)

    def log_probability(self, action: Array) -> Array:
        """Return log-probabilities, (batch,), of int64 actions of shape (batch, 1)."""
        logp: Array = self._logp[np.arange(len(action)), action[:, 0]]
        return logp

    def entropy(self) -> Array:
        """Return the entropy of each row, (batch,), in nats."""
        entropy: Array = -(self._probability * self._logp).sum(axis=1)
        return entropy

    def gradient(self, action: Array, d_logp: Array, d_entropy: float) -> Array:
        """Return the gradient with respect to the logits, (batch, n).

        Args:
            action: as for `log_probability`.
            d_logp: gradient with respect to each action's log-probability, (batch,).
            d_entropy: gradient with respect to each row's entropy.
        """
        d_logits: Array = self._probability * -d_logp[:, None]
        d_logits[np.arange(len(action)), action[:, 0]] += d_logp
        if d_entropy:
            d_logits -= d_entropy * self._probability * (self._logp + self.entropy()[:, None])
        return d_logits


class DiagonalGaussian:
    """Independent normal distributions, (batch, n), with standard deviations that all rows share.

    Args:
        mean: (batch, n).
        log_std: logarithms of the standard deviations, (n,).
        log_std_gradient: the array into which `gradient` writes the gradient with respect to `log_std`.
    """

    def __init__(self, mean: Array, log_std: Array, log_std_gradient: Array) -> None:
        self._mean, self._log_std, self._log_std_gradient = mean, log_std, log_std_gradient
        self._precision = np.exp(-log_std)

    def log_probability(self, action: Array) -> Array:
        """Return log-densities, (batch,), of float32 actions of shape (batch, n)."""
        noise = (action - self._mean) * self._precision
        constant = self._log_std.sum() + np.float32(0.5 * len(self._log_std) * math.log(2.0 * math.pi))
        logp: Array = -0.5 * np.square(noise).sum(axis=1) - constant
        return logp

    def entropy(self) -> Array:
        """Return the entropy of each row, (batch,), in nats."""
        entropy = self._log_std.sum() + np.float32(0.5 * len(self._log_std) * (1.0 + math.log(2.0 * math.pi)))
        return np.full(len(self._mean), entropy)

    def gradient(self, action: Array, d_logp: Array, d_entropy: float) -> Array:
        """Return the gradient with respect to the mean, (batch, n); see `Categorical.gradient`."""
        noise = (action - self._mean) * self._precision
        np.matmul(d_logp, np.square(noise) - np.float32(1.0), out=self._log_std_gradient)
        self._log_std_gradient += d_entropy * len(self._mean)
        noise *= self._precision
        noise *= d_logp[:, None]
        return noise


class Bernoulli:
    """Independent zeros and ones for each row of logits, (batch, n)."""

    def __init__(self, logits: Array) -> None:
        self._logits = logits
        self._probability = np.exp(-_softplus(-logits))

    def log_probability(self, action: Array) -> Array:
        """Return log-probabilities, (batch,), of float32 zeros and ones of shape (batch, n)."""
        logp: Array = -_softplus(self._logits * (1.0 - 2.0 * action)).sum(axis=1)
        return logp

    def entropy(self) -> Array:
        """Return the entropy of each row, (batch,), in nats."""
        entropy: Array = (_softplus(self._logits) - self._probability * self._logits).sum(axis=1)
        return entropy

    def gradient(self, action: Array, d_logp: Array, d_entropy: float) -> Array:
        """Return the gradient with respect to the logits, (batch, n); see `Categorical.gradient`."""
        probability = self._probability
        d_logits: Array = (action - probability) * d_logp[:, None]
        d_logits -= d_entropy * self._logits * probability * (1.0 - probability)
        return d_logits


def _softplus(logits: Array) -> Array:
    """Return log(1 + exp(logits))."""
    return np.logaddexp(np.float32(0.0), logits)


class Joint:
    """Several independent distributions side by side.

    Args:
        parts: each distribution, with the leaf that says which columns of the action belong to it.
    """

    def __init__(self, parts: list[tuple[Leaf, Distribution]]) -> None:
        self._parts = parts

    def log_probability(self, action: Array) -> Array:
        """Return log-probabilities, (batch,), of rows of action, (batch, columns)."""
        logp: Array = np.sum([part.log_probability(_own(leaf, action)) for leaf, part in self._parts], axis=0)
        return logp

    def entropy(self) -> Array:
        """Return the entropy of each row, (batch,), in nats."""
        entropy: Array = np.sum([part.entropy() for _, part in self._parts], axis=0)
        return entropy

    def gradient(self, action: Array, d_logp: Array, d_entropy: float) -> Array:
        """Return the gradient with respect to all outputs; see `Categorical.gradient`."""
        parts = [part.gradient(_own(leaf, action), d_logp, d_entropy) for leaf, part in self._parts]
        return np.concatenate(parts, axis=1)


def _own(leaf: Leaf, action: Array) -> Array:
    columns = action[:, leaf.columns]
    return columns.astype(np.int64) if leaf.kind == "categorical" else columns


def distribution(action: Space, outputs: Array, log_std: Array | None, log_std_gradient: Array | None) -> Distribution:
    """Return the distribution of actions whose parameters are a network's outputs.

    Args:
        action: space of the actions.
        outputs: (batch, outputs).
        log_std: logarithms of the standard deviations; None if the action has no Gaussian part.
        log_std_gradient: the array for their gradient.
    """
    if isinstance(action, Discrete):
        return Categorical(outputs)
    if isinstance(action, Box):
        assert log_std is not None
        assert log_std_gradient is not None
        return DiagonalGaussian(outputs, log_std, log_std_gradient)
    return Joint([(leaf, _part(leaf, outputs, log_std, log_std_gradient)) for leaf in leaves(action)])


def _part(leaf: Leaf, outputs: Array, log_std: Array | None, log_std_gradient: Array | None) -> Distribution:
    own = outputs[:, leaf.outputs]
    if leaf.kind == "categorical":
        return Categorical(own)
    if leaf.kind == "bernoulli":
        return Bernoulli(own)
    assert log_std is not None
    assert log_std_gradient is not None
    return DiagonalGaussian(own, log_std[leaf.deviations], log_std_gradient[leaf.deviations])
