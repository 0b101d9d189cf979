"""Says what observations and actions look like, without Gymnasium: plain data that fits in a policy's file.

What is here covers `Box` and `Discrete`; the encoders turn batches of observations into rows of float32 features
and actions into what an environment takes. Making environments is in `environment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Discrete:
    """`n` values, the first of which is `start`."""

    n: int
    start: int = 0

    @property
    def feature_count(self) -> int:
        return self.n

    def encode(self, values: Array) -> Array:
        """Return one-hot rows, float32 of shape (batch, n)."""
        return np.eye(self.n, dtype=np.float32)[np.asarray(values, dtype=np.int64) - self.start]

    def to_environment(self, actions: Array) -> Array:
        """Return the environment's values for indices from 0."""
        return actions + self.start if self.start else actions

    def to_data(self) -> dict[str, Any]:
        return {"kind": "discrete", "n": self.n, "start": self.start}


@dataclass(frozen=True)
class Box:
    """Arrays of one shape; `low` and `high` are flattened bounds, which may be infinite."""

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def feature_count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def encode(self, values: Array) -> Array:
        """Return flattened rows, float32 of shape (batch, features)."""
        array = np.asarray(values, dtype=np.float32)
        return array.reshape(len(array), self.feature_count)

    def to_environment(self, actions: Array) -> Array:
        """Clip rows of shape (batch, features) to the bounds and give them the environment's shape."""
        clipped = np.clip(actions, np.asarray(self.low, np.float32), np.asarray(self.high, np.float32))
        return clipped.reshape(len(actions), *self.shape)

    def to_data(self) -> dict[str, Any]:
        return {"kind": "box", "shape": list(self.shape), "low": list(self.low), "high": list(self.high)}


Space: TypeAlias = Discrete | Box


def from_data(data: dict[str, Any]) -> Space:
    """Rebuild what `to_data` made.

    Raises:
        ValueError: the kind is none that is known here.
    """
    if data["kind"] == "discrete":
        return Discrete(data["n"], data["start"])
    if data["kind"] == "box":
        return Box(tuple(data["shape"]), tuple(data["low"]), tuple(data["high"]))
    raise ValueError(f"unknown kind of space {data['kind']!r}; known kinds: 'box', 'discrete'")


def from_gymnasium(space: Any) -> Space:
    """Describe a Gymnasium space.

    Raises:
        ValueError: the space is neither a numeric `Box` nor a `Discrete`.
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Discrete(int(space.n), int(space.start))
    if kind == "Box":
        low, high = (tuple(np.asarray(bound, np.float64).ravel().tolist()) for bound in (space.low, space.high))
        return Box(tuple(space.shape), low, high)
    raise ValueError(
        f"spaces of kind {kind} are not supported: {space}; use an environment with Box or Discrete spaces"
    )
