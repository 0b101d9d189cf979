"""Adam over tensors of torch. Importing this module imports torch.

Its steps write into the vectors in place. `optimiser.FlatAdam`, which serves arrays as well, makes a new vector for
each operation, and takes six times as long for millions of parameters.
"""

from __future__ import annotations

from typing import Any

from actorrt.rl.networks.optimiser import FlatAdam, clip


class TorchAdam(FlatAdam):
    """The steps of `FlatAdam`, in place."""

    def step(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999) -> float:
        """Move the parameters against the gradient; return the gradient's norm before it was clipped."""
        self._step_count += 1
        parameters, gradient = self._parameters, self._gradient
        first: Any = self._first_moment
        second: Any = self._second_moment
        norm = clip(gradient, self._max_norm)
        if self._weight_decay:
            parameters *= 1.0 - learning_rate * self._weight_decay
        first.lerp_(gradient, 1.0 - beta_1)
        second.mul_(beta_2).addcmul_(gradient, gradient, value=1.0 - beta_2)
        spread = second.sqrt().div_((1.0 - beta_2**self._step_count) ** 0.5).add_(self._eps)
        parameters.addcdiv_(first, spread, value=-learning_rate / (1.0 - beta_1**self._step_count))
        return norm
