"""Action distributions in torch, with their gradients written out.

Recorded gradients of a small network cost more time than its arithmetic: the operations are tiny and there are
many. The formulas here are a few lines each, and the tests compare them with torch's own. Sampling is the
policy's affair. Importing this imports torch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
