"""Action distributions in torch, with their gradients written out.

Recorded gradients of a small network cost more time than its arithmetic: the operations are tiny and there are
many. The formulas here are a few lines each, and the tests compare them with torch's own. Sampling is the
policy's affair. Importing this imports torch.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from actorrt.rl.spaces import Box, Discrete, Leaf, Space, leaves


class Distribution(Protocol):
    """Distributions of actions, one for each row of a network's outputs."""

    def log_probability(self, action: Tensor) -> Tensor: ...

    def entropy(self) -> Tensor: ...

    def gradient(self, action: Tensor, d_logp: Tensor, d_entropy: float) -> Tensor: ...


class Categorical:
    """A distribution over indices for each row of logits, (batch, n)."""

    def __init__(self, logits: Tensor) -> None:
        self._logp = logits.log_softmax(1)

    def log_probability(self, action: Tensor) -> Tensor:
        """Return log-probabilities, (batch,), of int64 actions of shape (batch, 1)."""
        return self._logp.gather(1, action).view(-1)

    def entropy(self) -> Tensor:
        """Return the entropy of each row, (batch,), in nats."""
        return -(self._logp.exp() * self._logp).sum(1)

    def gradient(self, action: Tensor, d_logp: Tensor, d_entropy: float) -> Tensor:
        """Return the gradient with respect to the logits, (batch, n).

        Args:
            action: as for `log_probability`.
            d_logp: gradient with respect to each action's log-probability, (batch,).
            d_entropy: gradient with respect to each row's entropy.
        """
        probability = self._logp.exp()
        d_logits = probability * -d_logp.unsqueeze(1)
        d_logits.scatter_add_(1, action, d_logp.unsqueeze(1))
        if d_entropy:
            surprise = self._logp + self.entropy().unsqueeze(1)
            d_logits.addcmul_(probability, surprise, value=-d_entropy)
        return d_logits


class DiagonalGaussian:
    """Independent normal distributions, (batch, n), with deviations that all rows share.

    Args:
        mean: (batch, n).
        log_std: logarithm of the deviations, (n,).
        log_std_gradient: where `gradient` leaves the gradient with respect to `log_std`.
    """

    def __init__(self, mean: Tensor, log_std: Tensor, log_std_gradient: Tensor) -> None:
        self._mean, self._log_std, self._log_std_gradient = mean, log_std, log_std_gradient
        self._precision = torch.exp(-log_std)

    def log_probability(self, action: Tensor) -> Tensor:
        """Return log-densities, (batch,), of float32 actions of shape (batch, n)."""
        noise = (action - self._mean) * self._precision
        return -0.5 * noise.square().sum(1) - self._log_std.sum() - 0.5 * len(self._log_std) * math.log(2.0 * math.pi)

    def entropy(self) -> Tensor:
        """Return the entropy of each row, (batch,), in nats."""
        entropy = self._log_std.sum() + 0.5 * len(self._log_std) * (1.0 + math.log(2.0 * math.pi))
        return entropy.expand(len(self._mean))

    def gradient(self, action: Tensor, d_logp: Tensor, d_entropy: float) -> Tensor:
        """Return the gradient with respect to the mean, (batch, n); see `Categorical.gradient`."""
        noise = (action - self._mean) * self._precision
        weights = d_logp.unsqueeze(1)
        torch.sum((noise.square() - 1.0) * weights, 0, out=self._log_std_gradient)
        self._log_std_gradient.add_(d_entropy * len(self._mean))
        return noise.mul_(self._precision).mul_(weights)


class Bernoulli:
    """Independent zeros and ones for each row of logits, (batch, n)."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits
        self._probability = logits.sigmoid()

    def log_probability(self, action: Tensor) -> Tensor:
        """Return log-probabilities, (batch,), of float32 zeros and ones of shape (batch, n)."""
        return logsigmoid(self._logits * (2.0 * action - 1.0)).sum(1)

    def entropy(self) -> Tensor:
        """Return the entropy of each row, (batch,), in nats."""
        return (self._probability * -self._logits - logsigmoid(-self._logits)).sum(1)

    def gradient(self, action: Tensor, d_logp: Tensor, d_entropy: float) -> Tensor:
        """Return the gradient with respect to the logits, (batch, n); see `Categorical.gradient`."""
        probability = self._probability
        d_logits = (action - probability) * d_logp.unsqueeze(1)
        return d_logits.sub_(d_entropy * self._logits * probability * (1.0 - probability))


class Joint:
    """Several distributions side by side, drawn each by itself.

    Args:
        parts: each with the columns of the action that are its own.
    """

    def __init__(self, parts: list[tuple[Leaf, Distribution]]) -> None:
        self._parts = parts

    def log_probability(self, action: Tensor) -> Tensor:
        """Return log-probabilities, (batch,), of rows of action, (batch, columns)."""
        return torch.stack([part.log_probability(_own(leaf, action)) for leaf, part in self._parts]).sum(0)

    def entropy(self) -> Tensor:
        """Return the entropy of each row, (batch,), in nats."""
        return torch.stack([part.entropy() for _, part in self._parts]).sum(0)

    def gradient(self, action: Tensor, d_logp: Tensor, d_entropy: float) -> Tensor:
        """Return the gradient with respect to all outputs; see `Categorical.gradient`."""
        return torch.cat([part.gradient(_own(leaf, action), d_logp, d_entropy) for leaf, part in self._parts], 1)


def _own(leaf: Leaf, action: Tensor) -> Tensor:
    columns = action[:, leaf.columns]
    return columns.to(torch.int64) if leaf.kind == "categorical" else columns


def distribution(
    action: Space, outputs: Tensor, log_std: Tensor | None, log_std_gradient: Tensor | None
) -> Distribution:
    """Return what a network's outputs say of an action.

    Args:
        action: what the outputs are for.
        outputs: (batch, outputs).
        log_std: logarithms of the deviations; None where there are none.
        log_std_gradient: where their gradient is left.
    """
    if isinstance(action, Discrete):
        return Categorical(outputs)
    if isinstance(action, Box):
        assert log_std is not None
        assert log_std_gradient is not None
        return DiagonalGaussian(outputs, log_std, log_std_gradient)
    return Joint([(leaf, _part(leaf, outputs, log_std, log_std_gradient)) for leaf in leaves(action)])


def _part(leaf: Leaf, outputs: Tensor, log_std: Tensor | None, log_std_gradient: Tensor | None) -> Distribution:
    own = outputs[:, leaf.outputs]
    if leaf.kind == "categorical":
        return Categorical(own)
    if leaf.kind == "bernoulli":
        return Bernoulli(own)
    assert log_std is not None
    assert log_std_gradient is not None
    return DiagonalGaussian(own, log_std[leaf.deviations], log_std_gradient[leaf.deviations])
