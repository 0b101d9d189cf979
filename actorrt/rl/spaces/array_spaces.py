"""The spaces whose values are one array or one number: `Discrete`, `Box`, `MultiDiscrete` and `MultiBinary`.

As an observation, a space turns batches of values into rows of features. As an action, it turns rows of sampled numbers
into the values that an environment takes. Spaces of several parts are in `spaces`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from actorrt.rl.spaces.rows import as_batch, flattened, one_hot, stacked

Array: TypeAlias = NDArray[Any]
Kind = Literal["categorical", "bernoulli", "gaussian"]


class ArraySpace:
    """The base of spaces whose values are one array."""

    shape: tuple[int, ...]

    def as_batch(self, obs: Any) -> tuple[Any, int | None]:
        """Return one observation, or a batch of them, as a batch; see `rows.as_batch`."""
        return as_batch(obs, self.shape)

    def stack(self, values: Sequence[Any]) -> Any:
        """Return single observations as a batch."""
        return stacked(values)

    def unstack(self, batch: Array) -> list[Any]:
        """Return a batch of actions as a list of arrays; a single number is an array without dimensions."""
        return [np.asarray(value) for value in batch]


@dataclass(frozen=True)
class Discrete(ArraySpace):
    """`n` values, the first of which is `start`."""

    n: int
    start: int = 0

    def as_batch(self, obs: Any) -> tuple[Any, int | None]:
        """Return one number, or a batch of numbers, as a batch; see `rows.as_batch`."""
        return as_batch(obs, ())

    @property
    def feature_count(self) -> int:
        return self.n

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return (("categorical", self.n),)

    def encode(self, values: Array) -> Array:
        """Return one-hot rows, float32 of shape (batch, n).

        Raises:
            ValueError: a value is outside the space.
        """
        return one_hot(flattened(values, np.int64, ()) - self.start, (self.n,))

    def decode(self, features: Any) -> Any:
        """Return features as they are: one-hot rows."""
        return features

    def to_environment(self, actions: Array) -> Array:
        """Convert indices that count from 0 into the environment's values."""
        return actions + self.start if self.start else actions

    def unstack(self, batch: Array) -> list[Any]:
        """Return a batch of actions as a list of plain integers."""
        actions: list[Any] = batch.tolist()
        return actions

    def to_data(self) -> dict[str, Any]:
        return {"kind": "discrete", "n": self.n, "start": self.start}


@dataclass(frozen=True)
class Box(ArraySpace):
    """Arrays of one shape; `low` and `high` are flattened bounds, which may be infinite."""

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dtype: str = "float32"

    @property
    def feature_count(self) -> int:
        return math.prod(self.shape)

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return (("gaussian", self.feature_count),)

    @property
    def is_image(self) -> bool:
        """Whether the values are images: three dimensions of bytes."""
        return len(self.shape) == 3 and self.dtype == "uint8"

    def encode(self, values: Array) -> Array:
        """Return flattened rows, float32 of shape (batch, features).

        Raises:
            ValueError: a value has another shape, or a pixel of an image is no whole number from 0 to 255.
        """
        if self.is_image:
            return self.encode_pixels(values).astype(np.float32)
        return flattened(values, np.float32, self.shape)

    def encode_pixels(self, values: Array) -> Array:
        """Return flattened rows of an image, uint8 of shape (batch, features).

        Raises:
            ValueError: a value is no whole number from 0 to 255.
        """
        rows = flattened(values, None, self.shape)
        with np.errstate(invalid="ignore"):  # the conversion of NaN, which is refused below
            pixels = rows.astype(np.uint8, copy=False)
        if pixels is not rows and (pixels != rows).any():
            raise ValueError(f"pixels of type {rows.dtype} are no whole numbers from 0 to 255: {rows}")
        return pixels

    def decode(self, features: Any) -> Any:
        """Return features in the space's shape, (batch, *shape)."""
        return features.reshape(-1, *self.shape)

    def to_environment(self, actions: Array) -> Array:
        """Clip rows of shape (batch, features) to the bounds, and convert them to the environment's shape and type."""
        clipped = np.clip(actions, *self._bounds).reshape(len(actions), *self.shape)
        return (clipped if np.dtype(self.dtype).kind == "f" else np.rint(clipped)).astype(self.dtype)

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        """Both bounds as float64, limited to the range of the type; in float32 they could lie outside the range."""
        kind, low, high = np.dtype(self.dtype).kind, np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        if kind == "b":
            return low, high
        limits: Any = np.finfo(self.dtype) if kind == "f" else np.iinfo(self.dtype)
        # The largest 64-bit integer has no exact float, and the next larger float is out of range.
        largest = float(limits.max) if kind == "f" else np.nextafter(float(limits.max), 0.0)
        return np.maximum(low, float(limits.min)), np.minimum(high, largest)

    def to_data(self) -> dict[str, Any]:
        bounds = {"low": list(self.low), "high": list(self.high)}
        return {"kind": "box", "shape": list(self.shape), **bounds, "dtype": self.dtype}


@dataclass(frozen=True)
class MultiDiscrete(ArraySpace):
    """An array of indices; `counts` and `start` are flattened."""

    shape: tuple[int, ...]
    counts: tuple[int, ...]
    start: tuple[int, ...]
    dtype: str = "int64"

    @property
    def feature_count(self) -> int:
        return sum(self.counts)

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return tuple(("categorical", count) for count in self.counts)

    def encode(self, values: Array) -> Array:
        """Return one-hot rows side by side, float32.

        Raises:
            ValueError: a value is outside the space.
        """
        return one_hot(flattened(values, np.int64, self.shape) - np.array(self.start), self.counts)

    def decode(self, features: Any) -> Any:
        """Return features as they are: one-hot rows side by side."""
        return features

    def to_environment(self, actions: Array) -> Array:
        """Convert rows of indices that count from 0 into the environment's values."""
        values: Array = (actions + np.array(self.start)).astype(self.dtype)
        return values.reshape(len(actions), *self.shape)

    def to_data(self) -> dict[str, Any]:
        lists = {"shape": list(self.shape), "counts": list(self.counts), "start": list(self.start)}
        return {"kind": "multi_discrete", **lists, "dtype": self.dtype}


@dataclass(frozen=True)
class MultiBinary(ArraySpace):
    """An array of zeros and ones."""

    shape: tuple[int, ...]

    @property
    def feature_count(self) -> int:
        return math.prod(self.shape)

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return (("bernoulli", self.feature_count),)

    def encode(self, values: Array) -> Array:
        """Return flattened rows, float32."""
        return flattened(values, np.float32, self.shape)

    def decode(self, features: Any) -> Any:
        """Return features in the space's shape, (batch, *shape)."""
        return features.reshape(-1, *self.shape)

    def to_environment(self, actions: Array) -> Array:
        """Convert rows of zeros and ones into bytes in the environment's shape."""
        return actions.astype(np.int8).reshape(len(actions), *self.shape)

    def to_data(self) -> dict[str, Any]:
        return {"kind": "multi_binary", "shape": list(self.shape)}
