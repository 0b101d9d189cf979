"""Adam and RMSProp over one flat vector, with a few operations for each step.

The vector is an array of NumPy or a tensor of torch, on any device: the steps use operators that both have.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

Vector: TypeAlias = Any
"""A flat float32 array of NumPy, or tensor of torch."""


class FlatAdam:
    """Adam (Kingma and Ba 2015, algorithm 1); the gradient is first clipped to a largest norm."""

    def __init__(self, parameters: Vector, gradient: Vector, *, max_norm: float, eps: float = 1e-5) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._eps = max_norm, eps
        self._first_moment, self._second_moment = _zeros(gradient), _zeros(gradient)
        self._step_count = 0

    def step(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999) -> None:
        """Move the parameters against the gradient."""
        self._step_count += 1
        gradient = self._gradient
        clip(gradient, self._max_norm)
        self._first_moment += (gradient - self._first_moment) * (1.0 - beta_1)
        self._second_moment *= beta_2
        self._second_moment += gradient * gradient * (1.0 - beta_2)
        spread = self._second_moment**0.5
        spread /= (1.0 - beta_2**self._step_count) ** 0.5
        spread += self._eps
        self._parameters -= self._first_moment / spread * (learning_rate / (1.0 - beta_1**self._step_count))

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another optimiser's `resume`."""
        return {
            "first_moment": to_array(self._first_moment),
            "second_moment": to_array(self._second_moment),
            "step_count": self._step_count,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another optimiser's `state`."""
        self._first_moment = _like(self._gradient, state["first_moment"])
        self._second_moment = _like(self._gradient, state["second_moment"])
        self._step_count = state["step_count"]


class FlatRMSProp:
    """RMSProp (Tieleman and Hinton 2012); the gradient is first clipped to a largest norm."""

    def __init__(
        self, parameters: Vector, gradient: Vector, *, max_norm: float, decay: float = 0.99, eps: float = 1e-5
    ) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._decay, self._eps = max_norm, decay, eps
        self._second_moment = _zeros(gradient)

    def step(self, learning_rate: float) -> None:
        """Move the parameters against the gradient."""
        gradient = self._gradient
        clip(gradient, self._max_norm)
        self._second_moment *= self._decay
        self._second_moment += gradient * gradient * (1.0 - self._decay)
        self._parameters -= gradient / (self._second_moment**0.5 + self._eps) * learning_rate

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another optimiser's `resume`."""
        return {"second_moment": to_array(self._second_moment)}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another optimiser's `state`."""
        self._second_moment = _like(self._gradient, state["second_moment"])


def clip(gradient: Vector, max_norm: float) -> None:
    """Scale a gradient down to a largest norm."""
    gradient *= min(1.0, max_norm / (float(gradient @ gradient) ** 0.5 + 1e-6))


def to_array(vector: Vector) -> Array:
    """Return a copy of a vector as a NumPy array."""
    copy: Array = (vector if isinstance(vector, np.ndarray) else vector.cpu().numpy()).copy()
    return copy


def _zeros(vector: Vector) -> Vector:
    return _like(vector, np.zeros(len(vector), np.float32))


def _like(vector: Vector, array: Array) -> Vector:
    """Return a copy of an array as the same kind of vector, on the same device."""
    return array.copy() if isinstance(vector, np.ndarray) else vector.new_tensor(array)
