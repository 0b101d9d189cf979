"""Says what observations and actions look like, without Gymnasium: plain data that fits in a policy's file.

As an observation, a space turns batches of what environments say into rows of features. As an action, it says what a
network's outputs mean (`leaves`), and turns rows of sampled numbers into what an environment takes. Sampling is in
`sampling`, making environments in `environment`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from actorrt.rl.policies.rows import flattened, one_hot, part_of, stacked

Array: TypeAlias = NDArray[Any]
Kind = Literal["categorical", "bernoulli", "gaussian"]

MASK_KEY = "action_mask"  # as PettingZoo, RLlib and Tianshou call it, and Gymnasium's own environments in `info`


@dataclass(frozen=True)
class Leaf:
    """One part of an action that is drawn by itself.

    Attributes:
        kind: of its distribution.
        outputs: the network's outputs for it: logits, or means.
        columns: of the action's row: an index, zeros and ones, or values.
        deviations: its part of `log_std`; empty but for Gaussian ones.
    """

    kind: Kind
    outputs: slice
    columns: slice
    deviations: slice


class Flat:
    """What observations and actions of one array have in common."""

    def stack(self, values: Sequence[Any]) -> Any:
        """Return single observations as a batch."""
        return stacked(values)

    def unstack(self, batch: Array) -> list[Any]:
        """Return a batch of actions one by one, as environments take them: arrays, also of no dimension."""
        return [np.asarray(value) for value in batch]


@dataclass(frozen=True)
class Discrete(Flat):
    """`n` values, the first of which is `start`."""

    n: int
    start: int = 0

    @property
    def feature_count(self) -> int:
        return self.n

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return (("categorical", self.n),)

    def encode(self, values: Array) -> Array:
        """Return one-hot rows, float32 of shape (batch, n).

        Raises:
            ValueError: a value is none of the space.
        """
        return one_hot(flattened(values, np.int64, ()) - self.start, (self.n,))

    def decode(self, features: Any) -> Any:
        """Return features as they are: one-hot rows."""
        return features

    def to_environment(self, actions: Array) -> Array:
        """Return the environment's values for indices from 0."""
        return actions + self.start if self.start else actions

    def unstack(self, batch: Array) -> list[Any]:
        """Return a batch of actions one by one, as plain integers."""
        actions: list[Any] = batch.tolist()
        return actions

    def to_data(self) -> dict[str, Any]:
        return {"kind": "discrete", "n": self.n, "start": self.start}


@dataclass(frozen=True)
class Box(Flat):
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
        """Whether these are pixels: three dimensions of bytes."""
        return len(self.shape) == 3 and self.dtype == "uint8"

    def encode(self, values: Array, dtype: Any = np.float32) -> Array:
        """Return flattened rows of shape (batch, features)."""
        return flattened(values, dtype, self.shape)

    def decode(self, features: Any) -> Any:
        """Return features in the space's shape, (batch, *shape)."""
        return features.reshape(-1, *self.shape)

    def to_environment(self, actions: Array) -> Array:
        """Clip rows of shape (batch, features) to the bounds and give them the environment's shape and type."""
        clipped = np.clip(actions, *self._bounds).reshape(len(actions), *self.shape)
        return (clipped if np.dtype(self.dtype).kind == "f" else np.rint(clipped)).astype(self.dtype)

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        """Both bounds, within what the type holds, float64: in float32 they may lie outside those of a wider type."""
        kind, low, high = np.dtype(self.dtype).kind, np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        if kind == "b":
            return low, high
        limits: Any = np.finfo(self.dtype) if kind == "f" else np.iinfo(self.dtype)
        # The largest integer of 64 bits is no float, and the next float is too large.
        largest = float(limits.max) if kind == "f" else np.nextafter(float(limits.max), 0.0)
        return np.maximum(low, float(limits.min)), np.minimum(high, largest)

    def to_data(self) -> dict[str, Any]:
        bounds = {"low": list(self.low), "high": list(self.high)}
        return {"kind": "box", "shape": list(self.shape), **bounds, "dtype": self.dtype}


@dataclass(frozen=True)
class MultiDiscrete(Flat):
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
            ValueError: a value is none of the space.
        """
        return one_hot(flattened(values, np.int64, self.shape) - np.array(self.start), self.counts)

    def decode(self, features: Any) -> Any:
        """Return features as they are: one-hot rows side by side."""
        return features

    def to_environment(self, actions: Array) -> Array:
        """Return the environment's values for rows of indices from 0."""
        values: Array = (actions + np.array(self.start)).astype(self.dtype)
        return values.reshape(len(actions), *self.shape)

    def to_data(self) -> dict[str, Any]:
        lists = {"shape": list(self.shape), "counts": list(self.counts), "start": list(self.start)}
        return {"kind": "multi_discrete", **lists, "dtype": self.dtype}


@dataclass(frozen=True)
class MultiBinary(Flat):
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
        """Return rows of zeros and ones as bytes in the environment's shape."""
        return actions.astype(np.int8).reshape(len(actions), *self.shape)

    def to_data(self) -> dict[str, Any]:
        return {"kind": "multi_binary", "shape": list(self.shape)}


@dataclass(frozen=True)
class Composite:
    """Several spaces as one: a Gymnasium `Dict` where they have names, else a `Tuple`."""

    parts: tuple[Space, ...]
    names: tuple[str, ...] | None = None

    @property
    def feature_count(self) -> int:
        return sum(part.feature_count for part in self.parts)

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        return tuple(kind for part in self.parts for kind in part.kinds)

    @property
    def _keys(self) -> Sequence[Any]:
        return range(len(self.parts)) if self.names is None else self.names

    def _joined(self, values: Sequence[Any]) -> Any:
        return tuple(values) if self.names is None else dict(zip(self.names, values, strict=True))

    def stack(self, values: Sequence[Any]) -> Any:
        """Return single observations as a batch: one batch for each part."""
        pairs = zip(self.parts, self._keys, strict=True)
        return self._joined([part.stack([part_of(value, key) for value in values]) for part, key in pairs])

    def encode(self, values: Any) -> Array:
        """Return the parts' features side by side, float32."""
        pairs = zip(self.parts, self._keys, strict=True)
        return np.concatenate([part.encode(part_of(values, key)) for part, key in pairs], axis=1)

    def decode(self, features: Any) -> Any:
        """Return each part's features in its own shape, by name or as a tuple."""
        decoded, start = [], 0
        for part in self.parts:
            end = start + part.feature_count
            decoded.append(part.decode(features[:, start:end]))
            start = end
        return self._joined(decoded)

    def to_environment(self, actions: Array) -> Any:
        """Return the environment's values for rows of actions: one batch for each part."""
        batches, start = [], 0
        for part in self.parts:
            end = start + column_count(part)
            rows = actions[:, start:end].astype(row_dtype(part))
            batches.append(part.to_environment(rows[:, 0] if row_shape(part) == () else rows))
            start = end
        return self._joined(batches)

    def unstack(self, batch: Any) -> list[Any]:
        """Return a batch of actions one by one, each with its parts by name or as a tuple."""
        columns = (part.unstack(batch[key]) for part, key in zip(self.parts, self._keys, strict=True))
        return [self._joined(values) for values in zip(*columns, strict=True)]

    def to_data(self) -> dict[str, Any]:
        names = None if self.names is None else list(self.names)
        return {"kind": "composite", "names": names, "parts": [part.to_data() for part in self.parts]}


@dataclass(frozen=True)
class Masked:
    """Observations with a mask of the actions that are allowed: the last columns of their features.

    Attributes:
        observation: the rest of the observation.
        mask_count: the actions' logits, each of which the mask allows or forbids.
        key: of the rest, where it has no others; None where the rest is a dictionary.
    """

    observation: Space
    mask_count: int
    key: str | None = None

    @property
    def feature_count(self) -> int:
        return self.observation.feature_count + self.mask_count

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]:
        raise ValueError("an observation with a mask is no action")

    def stack(self, values: Sequence[Any]) -> Any:
        """Return single observations as a batch."""
        rest = [value if self.key is None else part_of(value, self.key) for value in values]
        mask = np.array([flat_mask(part_of(value, MASK_KEY)) for value in values])
        stacked = self.observation.stack(rest)
        return {**stacked, MASK_KEY: mask} if self.key is None else {self.key: stacked, MASK_KEY: mask}

    def encode(self, values: Any) -> Array:
        """Return the features, and the mask after them, float32."""
        rest = self.observation.encode(values if self.key is None else values[self.key])
        return np.concatenate([rest, flat_mask(values[MASK_KEY], len(rest))], axis=1, dtype=np.float32)

    def decode(self, features: Any) -> Any:
        """Return the features of the rest in its own form; networks are not shown the mask."""
        return self.observation.decode(features)

    def to_environment(self, actions: Array) -> Any:
        raise ValueError("an observation with a mask is no action")

    def unstack(self, batch: Any) -> list[Any]:
        raise ValueError("an observation with a mask is no action")

    def to_data(self) -> dict[str, Any]:
        rest = {"observation": self.observation.to_data(), "key": self.key}
        return {"kind": "masked", "mask_count": self.mask_count, **rest}


Space: TypeAlias = Discrete | Box | MultiDiscrete | MultiBinary | Composite | Masked


def flat_mask(mask: Any, *batch: int) -> Array:
    """Return a mask of actions as one row, or as rows of a batch.

    Args:
        mask: an array, or a tuple of masks where the action has several parts.
        *batch: how many rows; left out for a single mask.
    """
    if isinstance(mask, tuple | list):
        return np.concatenate([flat_mask(part, *batch) for part in mask], axis=-1)
    return np.reshape(mask, (*batch, -1))


def is_image(observation: Space) -> bool:
    """Whether an observation, apart from any mask, is pixels."""
    inner = observation.observation if isinstance(observation, Masked) else observation
    return isinstance(inner, Box) and inner.is_image


# What actions look like


@lru_cache(maxsize=128)
def leaves(action: Space) -> tuple[Leaf, ...]:
    """Return the parts of an action that are drawn by themselves, in order."""
    found, output, column, deviation = [], 0, 0, 0
    for kind, count in action.kinds:
        columns = 1 if kind == "categorical" else count
        deviations = count if kind == "gaussian" else 0
        found.append(
            Leaf(
                kind,
                slice(output, output + count),
                slice(column, column + columns),
                slice(deviation, deviation + deviations),
            )
        )
        output, column, deviation = output + count, column + columns, deviation + deviations
    return tuple(found)


def output_count(action: Space) -> int:
    """Return how many outputs a network has for an action."""
    count: int = leaves(action)[-1].outputs.stop
    return count


def column_count(action: Space) -> int:
    """Return how many numbers a row of an action has."""
    count: int = leaves(action)[-1].columns.stop
    return count


def deviation_count(action: Space) -> int:
    """Return how many deviations an action's distribution has."""
    count: int = leaves(action)[-1].deviations.stop
    return count


def row_shape(action: Space) -> tuple[int, ...]:
    """Return the shape of one action as it is sampled: a single index, or a row."""
    return () if isinstance(action, Discrete) else (column_count(action),)


def row_dtype(action: Space) -> Any:
    """Return the type of sampled actions: integers where all are indices, else float32, which holds indices exactly."""
    return np.int64 if all(leaf.kind == "categorical" for leaf in leaves(action)) else np.float32


# To and from other forms


def from_data(data: dict[str, Any]) -> Space:
    """Rebuild what `to_data` made.

    Raises:
        ValueError: the kind is none that is known here.
    """
    kind = data["kind"]
    if kind == "discrete":
        return Discrete(data["n"], data["start"])
    if kind == "box":
        return Box(tuple(data["shape"]), tuple(data["low"]), tuple(data["high"]), data["dtype"])
    if kind == "multi_discrete":
        dtype = data.get("dtype", "int64")  # which files of before do not say
        return MultiDiscrete(tuple(data["shape"]), tuple(data["counts"]), tuple(data["start"]), dtype)
    if kind == "multi_binary":
        return MultiBinary(tuple(data["shape"]))
    if kind == "composite":
        names = None if data["names"] is None else tuple(data["names"])
        return Composite(tuple(from_data(part) for part in data["parts"]), names)
    if kind == "masked":
        return Masked(from_data(data["observation"]), data["mask_count"], data["key"])
    raise ValueError(f"unknown kind of space {kind!r}; update actorrt to read this")


def from_gymnasium(space: Any) -> Space:
    """Describe a Gymnasium space; one of a user's own class as the space that the class derives from.

    Raises:
        ValueError: the space has no fixed number of values, or none at all.
    """
    described = _described(space)
    if described.feature_count == 0:
        raise ValueError(f"there is no value in {space}, so that nothing can be seen or chosen")
    return described


def _described(space: Any) -> Space:
    kinds = {base.__name__ for base in type(space).__mro__}
    if "Discrete" in kinds:
        return Discrete(int(space.n), int(space.start))
    if "Box" in kinds:
        low, high = (tuple(np.asarray(bound, np.float64).ravel().tolist()) for bound in (space.low, space.high))
        return Box(tuple(space.shape), low, high, np.dtype(space.dtype).name)
    if "MultiDiscrete" in kinds:
        counts, start = (tuple(np.ravel(values).tolist()) for values in (space.nvec, space.start))
        return MultiDiscrete(tuple(space.shape), counts, start, np.dtype(space.dtype).name)
    if "MultiBinary" in kinds:
        return MultiBinary(tuple(space.shape))
    if "Tuple" in kinds:
        return Composite(tuple(map(_described, space.spaces)))
    if "Dict" in kinds:
        return Composite(tuple(map(_described, space.spaces.values())), tuple(space.spaces))
    raise ValueError(
        f"spaces of kind {type(space).__name__} are not supported: {space}; use an environment with Box, Discrete, "
        f"MultiDiscrete, MultiBinary, Dict or Tuple spaces"
    )


def of_environment(environment: Any) -> tuple[Space, Space]:
    """Describe what an environment shows and takes; a part `action_mask` of what it shows is a mask.

    Raises:
        ValueError: a space has no fixed number of values, or the mask does not fit the actions.
    """
    action = from_gymnasium(environment.action_space)
    space = environment.observation_space
    names = getattr(space, "spaces", None)
    if not isinstance(names, dict) or MASK_KEY not in names:
        return from_gymnasium(space), action
    mask_count = from_gymnasium(names[MASK_KEY]).feature_count
    is_chosen_by_index = all(leaf.kind == "categorical" for leaf in leaves(action))
    if not is_chosen_by_index or mask_count != output_count(action):
        raise ValueError(f"a mask of {mask_count} entries does not fit actions of {environment.action_space}")
    rest = {name: _described(part) for name, part in names.items() if name != MASK_KEY}
    if len(rest) == 1:
        ((key, part),) = rest.items()
        return Masked(part, mask_count, key), action
    return Masked(Composite(tuple(rest.values()), tuple(rest)), mask_count), action
