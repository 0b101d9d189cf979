"""Optimisers over one flat vector, with a few operations for each step.

The vector is an array of NumPy or a tensor of torch, on any device: the steps use operators that both have.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

Vector: TypeAlias = Any
"""A flat float32 array of NumPy, or tensor of torch."""

OptimiserKind = Literal["adam", "adamw", "rmsprop", "sgd"]


CLEAN_EVERY = 64
CLEAN_BELOW = 1e-30
"""Moments below this size are set to 0 each `CLEAN_EVERY` steps.

The moments of a parameter whose gradient is 0, as for a hidden unit that is never active, shrink until they are
denormal, and processors take ten times as long for such numbers: steps of a network of 67,000 parameters took 1.8 ms
in place of 0.15. They don't get there within so many steps. Parameters don't notice, since moments of this size move
them by less than the least digit.
"""


class FlatAdam:
    """Adam (Kingma and Ba 2015, algorithm 1); the gradient is first clipped to a largest norm.

    With `weight_decay` it is AdamW (Loshchilov and Hutter 2019): each step first takes this share of the parameters
    away, times the learning rate.
    """

    def __init__(
        self, parameters: Vector, gradient: Vector, *, max_norm: float, eps: float = 1e-5, weight_decay: float = 0.0
    ) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._eps, self._weight_decay = max_norm, eps, weight_decay
        self._first_moment, self._second_moment = _zeros(gradient), _zeros(gradient)
        self._step_count = 0
        self._spare = _zeros(gradient)

    def step(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999) -> float:
        """Move the parameters against the gradient; return the gradient's norm before it was clipped.

        Each operation writes in place: new vectors take as long as the arithmetic.
        """
        self._count_step()
        gradient, first, second, spare = self._gradient, self._first_moment, self._second_moment, self._spare
        norm = clip(gradient, self._max_norm)
        if self._weight_decay:
            self._parameters *= 1.0 - learning_rate * self._weight_decay
        np.subtract(gradient, first, out=spare)
        spare *= 1.0 - beta_1
        first += spare
        np.multiply(gradient, gradient, out=spare)
        spare *= 1.0 - beta_2
        second *= beta_2
        second += spare
        np.sqrt(second, out=spare)
        spare /= (1.0 - beta_2**self._step_count) ** 0.5
        spare += self._eps
        np.divide(first, spare, out=spare)
        spare *= learning_rate / (1.0 - beta_1**self._step_count)
        self._parameters -= spare
        return norm

    def _count_step(self) -> None:
        self._step_count += 1
        if self._step_count % CLEAN_EVERY == 0:
            _clean(self._first_moment)
            _clean(self._second_moment)

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


class TorchAdam(FlatAdam):
    """The same steps for tensors of torch."""

    def step(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999) -> float:
        """Move the parameters against the gradient; return the gradient's norm before it was clipped."""
        self._count_step()
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


class FlatRMSProp:
    """RMSProp (Tieleman and Hinton 2012); the gradient is first clipped to a largest norm."""

    def __init__(
        self, parameters: Vector, gradient: Vector, *, max_norm: float, decay: float = 0.99, eps: float = 1e-5
    ) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._decay, self._eps = max_norm, decay, eps
        self._second_moment = _zeros(gradient)
        self._step_count = 0  # of this object alone

    def step(self, learning_rate: float) -> float:
        """Move the parameters against the gradient; return the gradient's norm before it was clipped."""
        self._step_count += 1
        if self._step_count % CLEAN_EVERY == 0:
            _clean(self._second_moment)
        gradient = self._gradient
        norm = clip(gradient, self._max_norm)
        self._second_moment *= self._decay
        self._second_moment += gradient * gradient * (1.0 - self._decay)
        self._parameters -= gradient / (self._second_moment**0.5 + self._eps) * learning_rate
        return norm

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another optimiser's `resume`."""
        return {"second_moment": to_array(self._second_moment)}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another optimiser's `state`."""
        self._second_moment = _like(self._gradient, state["second_moment"])


class FlatSGD:
    """Plain stochastic gradient descent; the gradient is first clipped to a largest norm."""

    def __init__(self, parameters: Vector, gradient: Vector, *, max_norm: float) -> None:
        self._parameters, self._gradient, self._max_norm = parameters, gradient, max_norm

    def step(self, learning_rate: float) -> float:
        """Move the parameters against the gradient; return the gradient's norm before it was clipped."""
        norm = clip(self._gradient, self._max_norm)
        self._parameters -= self._gradient * learning_rate
        return norm

    def state(self) -> dict[str, Any]:
        """Return an empty state: there is nothing but the parameters."""
        return {}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over an empty state."""


Optimiser: TypeAlias = FlatAdam | FlatRMSProp | FlatSGD

ADAMW_DECAY = 0.01  # the default of torch.optim.AdamW


def make_optimiser(
    kind: OptimiserKind, parameters: Vector, gradient: Vector, *, max_norm: float, weight_decay: float | None = None
) -> Optimiser:
    """Make the optimiser of this name; `weight_decay` is AdamW's, None for its default."""
    match kind:
        case "adam":
            return _adam(parameters, gradient, max_norm=max_norm)
        case "adamw":
            decay = ADAMW_DECAY if weight_decay is None else weight_decay
            return _adam(parameters, gradient, max_norm=max_norm, weight_decay=decay)
        case "rmsprop":
            return FlatRMSProp(parameters, gradient, max_norm=max_norm)
        case "sgd":
            return FlatSGD(parameters, gradient, max_norm=max_norm)


def _adam(parameters: Vector, gradient: Vector, **more: float) -> FlatAdam:
    kind = FlatAdam if isinstance(parameters, np.ndarray) else TorchAdam
    return kind(parameters, gradient, **more)


def clip(gradient: Vector, max_norm: float) -> float:
    """Scale a gradient down to a largest norm; return its norm before."""
    norm: float = float(gradient @ gradient) ** 0.5
    gradient *= min(1.0, max_norm / (norm + 1e-6))
    return norm


def _clean(moments: Vector) -> None:
    """Set moments to 0 that are on their way to be denormal; see `CLEAN_EVERY`."""
    moments[abs(moments) < CLEAN_BELOW] = 0.0


def to_array(vector: Vector) -> Array:
    """Return a copy of a vector as a NumPy array."""
    copy: Array = (vector if isinstance(vector, np.ndarray) else vector.cpu().numpy()).copy()
    return copy


def _zeros(vector: Vector) -> Vector:
    return _like(vector, np.zeros(len(vector), np.float32))


def _like(vector: Vector, array: Array) -> Vector:
    """Return a copy of an array as the same kind of vector, on the same device."""
    return array.copy() if isinstance(vector, np.ndarray) else vector.new_tensor(array)
