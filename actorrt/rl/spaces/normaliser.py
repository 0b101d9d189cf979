"""Pure: running means and standard deviations of observations and returns, and the normalisation with them.

Simulators count what they observe, and the parameter server merges the counts. Merging is exact however the rows were
split, so a run with eight simulators normalises like a run with one. Observations of lost fragments are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

LIMIT = 10.0  # deviations; as Stable-Baselines3's VecNormalize clips
EPSILON = 1e-8


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and spread of rows.

    Attributes:
        count: number of rows.
        mean: of each column, float64.
        squares: sum of squared differences from the mean of each column, float64.
    """

    count: int
    mean: Array
    squares: Array

    @classmethod
    def nothing(cls, columns: int) -> Moments:
        """Return the moments of zero rows."""
        return cls(0, np.zeros(columns), np.zeros(columns))

    @classmethod
    def of(cls, rows: Array) -> Moments:
        """Return the moments of rows, of shape (count, columns)."""
        if len(rows) == 0:
            return cls.nothing(rows.shape[1])
        exact = np.asarray(rows, np.float64)
        mean = exact.mean(axis=0)
        return cls(len(rows), mean, np.square(exact - mean).sum(axis=0))

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both together (Chan, Golub and LeVeque 1979)."""
        if self.count == 0 or other.count == 0:
            return self if other.count == 0 else other
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        squares = self.squares + other.squares + np.square(delta) * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @cached_property
    def deviation(self) -> Array:
        """The standard deviation of each column; 1 while there are no rows."""
        if self.count == 0:
            return np.ones_like(self.mean)
        deviation: Array = np.sqrt(self.squares / self.count + EPSILON)
        return deviation


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Scales observations to mean 0 and standard deviation 1, and rewards so that returns have standard deviation 1.

    Attributes:
        observations: moments of the features; None leaves observations as they are.
        returns: moments of the discounted returns, one column; None leaves rewards as they are.
    """

    observations: Moments | None = None
    returns: Moments | None = None

    @classmethod
    def nothing(cls, features: int, *, observations: bool, rewards: bool) -> Normaliser | None:
        """Return a normaliser without data; None if nothing should be normalised."""
        if not observations and not rewards:
            return None
        return cls(Moments.nothing(features) if observations else None, Moments.nothing(1) if rewards else None)

    def merged(self, other: Normaliser) -> Normaliser:
        """Return a normaliser with the data of both."""
        return Normaliser(_merged(self.observations, other.observations), _merged(self.returns, other.returns))

    @cached_property
    def _mean_and_scale(self) -> tuple[Array, Array]:
        assert self.observations is not None
        scale = 1.0 / self.observations.deviation
        return self.observations.mean.astype(np.float32), scale.astype(np.float32)

    def normalise(self, features: Array) -> Array:
        """Return rows of features as the networks take them, float32 within `LIMIT` deviations."""
        if self.observations is None:
            return features
        mean, scale = self._mean_and_scale
        rows: Array = np.clip((features - mean) * scale, -LIMIT, LIMIT)
        return rows

    def scale_rewards(self, reward: Array) -> Array:
        """Return rewards as the learner takes them, float32 within `LIMIT`."""
        if self.returns is None:
            return reward
        scaled: Array = np.clip(reward / np.float32(self.returns.deviation[0]), -LIMIT, LIMIT)
        return scaled

    def to_arrays(self) -> dict[str, Any]:
        """Return plain arrays by name, for a file."""
        arrays: dict[str, Any] = {}
        for name in ("observations", "returns"):
            moments = getattr(self, name)
            if moments is not None:
                arrays |= {f"{name}.count": np.int64(moments.count), f"{name}.mean": moments.mean}
                arrays[f"{name}.squares"] = moments.squares
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Normaliser | None:
        """Rebuild what `to_arrays` made; None if there are no arrays."""
        if not arrays:
            return None
        parts = {
            name: Moments(int(arrays[f"{name}.count"]), arrays[f"{name}.mean"], arrays[f"{name}.squares"])
            for name in ("observations", "returns")
            if f"{name}.count" in arrays
        }
        return cls(**parts)


def merged(parts: Iterable[Normaliser | None]) -> Normaliser | None:
    """Return a normaliser with the data of all, merged in order; None if there is no normaliser."""
    whole: Normaliser | None = None
    for part in parts:
        if part is not None:
            whole = part if whole is None else whole.merged(part)
    return whole


def _merged(first: Moments | None, second: Moments | None) -> Moments | None:
    return first if second is None else second if first is None else first.merged(second)
