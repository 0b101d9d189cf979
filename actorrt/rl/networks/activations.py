"""Pure: the activations of hidden layers on NumPy, with their slopes written out.

torch's counterparts are in `torch_modules`, and the tests compare both. The activation `gelu` is the formula with tanh
in both backends, since NumPy has no error function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

Activation = Literal["tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]

Activate: TypeAlias = Callable[..., Array]
"""Takes values and the array for the results, which may be the same; without it, makes a new array."""

LEAK = 0.01  # slope of `leaky_relu` below zero
GELU_SCALE, GELU_CUBE = math.sqrt(2.0 / math.pi), 0.044715  # Hendrycks and Gimpel 2016, section 2


class ActivationFunction(NamedTuple):
    """An activation with its slope.

    Attributes:
        activate: applies it.
        slope: takes its results, and the values it was applied to; overwrites the results with the slopes there, and
            returns them.
        reads_values: whether `slope` needs the values; otherwise it reads the results alone.
    """

    activate: Activate
    slope: Callable[[Array, Array], Array]
    reads_values: bool = False


def relu(values: Array, out: Array | None = None) -> Array:
    """Return max(0, x)."""
    return np.maximum(values, np.float32(0.0), out=out)


def leaky_relu(values: Array, out: Array | None = None) -> Array:
    """Return x above zero, and 0.01 x below."""
    return np.maximum(values, np.float32(LEAK) * values, out=out)


def elu(values: Array, out: Array | None = None) -> Array:
    """Return x above zero, and exp(x) - 1 below."""
    below = np.expm1(np.minimum(values, np.float32(0.0)))
    return np.maximum(values, below, out=out)  # exp(x) - 1 is at least x, and 0 above zero


def silu(values: Array, out: Array | None = None) -> Array:
    """Return x sigmoid(x)."""
    return np.multiply(values, _sigmoid(values), out=out)


def gelu(values: Array, out: Array | None = None) -> Array:
    """Return x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    share: Array = np.float32(0.5) + np.float32(0.5) * _gelu_tanh(values)
    return np.multiply(values, share, out=out)


def _tanh_slope(results: Array, values: Array) -> Array:
    np.square(results, out=results)
    return np.subtract(np.float32(1.0), results, out=results)


def _relu_slope(results: Array, values: Array) -> Array:
    return np.greater(results, 0.0, out=results)


def _leaky_relu_slope(results: Array, values: Array) -> Array:
    results[:] = np.where(results > 0.0, np.float32(1.0), np.float32(LEAK))
    return results


def _elu_slope(results: Array, values: Array) -> Array:
    np.minimum(results, np.float32(0.0), out=results)
    return np.add(results, np.float32(1.0), out=results)  # exp(x) below zero, 1 above


def _silu_slope(results: Array, values: Array) -> Array:
    share = _sigmoid(values)
    return np.add(share, results * (np.float32(1.0) - share), out=results)


def _gelu_slope(results: Array, values: Array) -> Array:
    bent = _gelu_tanh(values)
    inner = np.float32(GELU_SCALE) * (np.float32(1.0) + np.float32(3.0 * GELU_CUBE) * np.square(values))
    results[:] = np.float32(0.5) * (np.float32(1.0) + bent + values * (np.float32(1.0) - np.square(bent)) * inner)
    return results


def _sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-x)), by tanh, which does not overflow."""
    share: Array = np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * values)
    return share


def _gelu_tanh(values: Array) -> Array:
    bent: Array = np.tanh(np.float32(GELU_SCALE) * (values + np.float32(GELU_CUBE) * values * np.square(values)))
    return bent


ACTIVATIONS: Mapping[str, ActivationFunction] = {
    "tanh": ActivationFunction(np.tanh, _tanh_slope),
    "relu": ActivationFunction(relu, _relu_slope),
    "leaky_relu": ActivationFunction(leaky_relu, _leaky_relu_slope),
    "elu": ActivationFunction(elu, _elu_slope),
    "gelu": ActivationFunction(gelu, _gelu_slope, reads_values=True),
    "silu": ActivationFunction(silu, _silu_slope, reads_values=True),
}
