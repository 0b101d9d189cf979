"""Spaces of several parts, and `Space`, which is any space; they are plain data that fits in a policy's file.

Spaces of one array are in `array_spaces`, the parts of an action that are drawn independently in `leaves`, and the
conversion from Gymnasium in `gymnasium_spaces`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from actorrt.rl.spaces.array_spaces import Array, Box, Discrete, Kind, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.leaves import column_count, row_dtype, row_shape
from actorrt.rl.spaces.rows import part_of

MASK_KEY = "action_mask"  # as PettingZoo, RLlib and Tianshou call it, and Gymnasium's own environments in `info`


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
    def keys(self) -> Sequence[Any]:
        """The names of the parts, or their numbers."""
        return range(len(self.parts)) if self.names is None else self.names

    def _joined(self, values: Sequence[Any]) -> Any:
        return tuple(values) if self.names is None else dict(zip(self.names, values, strict=True))

    def as_batch(self, obs: Any) -> tuple[Any, int | None]:
        """Return one observation, or a batch of them, as a batch for each part, and how many; None means one.

        Raises:
            ValueError: a part is neither, or the parts are not equally many; the message names the part.
        """
        batches, counts = [], []
        for part, key in zip(self.parts, self.keys, strict=True):
            value = part_of(obs, key)
            try:
                batch, count = part.as_batch(value)
            except ValueError as error:
                raise ValueError(f"part {key!r}: {error}") from None
            batches.append(batch)
            counts.append(count)
        if counts.count(counts[0]) < len(counts):
            shown = ", ".join(f"{key!r} {_counted(count)}" for key, count in zip(self.keys, counts, strict=True))
            raise ValueError(f"the parts of an observation do not belong together: {shown}")
        return self._joined(batches), counts[0]

    def stack(self, values: Sequence[Any]) -> Any:
        """Return single observations as a batch: one batch for each part."""
        pairs = zip(self.parts, self.keys, strict=True)
        return self._joined([part.stack([part_of(value, key) for value in values]) for part, key in pairs])

    def encode(self, values: Any) -> Array:
        """Return the features of all parts side by side, float32."""
        pairs = zip(self.parts, self.keys, strict=True)
        return np.concatenate([part.encode(part_of(values, key)) for part, key in pairs], axis=1)

    def decode(self, features: Any) -> Any:
        """Return the features of each part in its own shape, by name or as a tuple."""
        decoded, start = [], 0
        for part in self.parts:
            end = start + part.feature_count
            decoded.append(part.decode(features[:, start:end]))
            start = end
        return self._joined(decoded)

    def to_environment(self, actions: Array) -> Any:
        """Convert rows of actions into the environment's values: one batch for each part."""
        batches, start = [], 0
        for part in self.parts:
            end = start + column_count(part)
            rows = actions[:, start:end].astype(row_dtype(part))
            batches.append(part.to_environment(rows[:, 0] if row_shape(part) == () else rows))
            start = end
        return self._joined(batches)

    def unstack(self, batch: Any) -> list[Any]:
        """Return a batch of actions as a list; each action has its parts by name or as a tuple."""
        columns = (part.unstack(batch[key]) for part, key in zip(self.parts, self.keys, strict=True))
        return [self._joined(values) for values in zip(*columns, strict=True)]

    def to_data(self) -> dict[str, Any]:
        names = None if self.names is None else list(self.names)
        return {"kind": "composite", "names": names, "parts": [part.to_data() for part in self.parts]}


@dataclass(frozen=True)
class Masked:
    """Observations with a mask of the actions that are allowed: the last columns of their features.

    Attributes:
        observation: the rest of the observation.
        mask_count: number of logits, each of which the mask allows or forbids.
        key: name of the rest if it is a single entry; None if the rest is a dictionary of its own.
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

    def as_batch(self, obs: Any) -> tuple[Any, int | None]:
        """Return one observation with its mask, or a batch of them, as a batch, and how many; None means one.

        Raises:
            ValueError: it is neither, or the mask does not fit.
        """
        batch, count = self.observation.as_batch(obs if self.key is None else part_of(obs, self.key))
        given = part_of(obs, MASK_KEY)
        mask = flat_mask(given)[None] if count is None else mask_rows(given)
        if mask.shape != (1 if count is None else count, self.mask_count):
            many = f"{self.mask_count} entries" if count is None else f"{count} rows of {self.mask_count} entries"
            raise ValueError(f"part {MASK_KEY!r}: a mask of shape {np.shape(given)} has not {many}")
        return ({**batch, MASK_KEY: mask} if self.key is None else {self.key: batch, MASK_KEY: mask}), count

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
        """Return the features of the rest in its own form; networks do not see the mask."""
        return self.observation.decode(features)

    def to_environment(self, actions: Array) -> Any:
        raise ValueError("an observation with a mask is no action")

    def unstack(self, batch: Any) -> list[Any]:
        raise ValueError("an observation with a mask is no action")

    def to_data(self) -> dict[str, Any]:
        rest = {"observation": self.observation.to_data(), "key": self.key}
        return {"kind": "masked", "mask_count": self.mask_count, **rest}


def _counted(count: int | None) -> str:
    return "is one observation" if count is None else f"is a batch of {count}"


Space: TypeAlias = Discrete | Box | MultiDiscrete | MultiBinary | Composite | Masked


def encoded_parts(space: Space, values: Any) -> Iterator[Array]:
    """Yield the features of each part of a batch that is one array, in order: images as bytes, all else as float32.

    Raises:
        ValueError: a part is missing, or not in its space.
    """
    match space:
        case Masked(observation=observation, key=key):
            rest = list(encoded_parts(observation, values if key is None else part_of(values, key)))
            yield from rest
            yield np.asarray(flat_mask(part_of(values, MASK_KEY), len(rest[0])), np.float32)
        case Composite(parts=parts):
            for part, key in zip(parts, space.keys, strict=True):
                yield from encoded_parts(part, part_of(values, key))
        case Box(is_image=True):
            yield space.encode_pixels(values)
        case _:
            yield space.encode(values)


def flat_mask(mask: Any, *batch: int) -> Array:
    """Return a mask of actions as one row, or as rows of a batch.

    Args:
        mask: an array, or a tuple of masks where the action has several parts.
        *batch: how many rows; left out for a single mask.
    """
    if isinstance(mask, tuple | list):
        return np.concatenate([flat_mask(part, *batch) for part in mask], axis=-1)
    return np.reshape(mask, (*batch, -1))


def mask_rows(mask: Any) -> Array:
    """Return a batch of masks as rows; a tuple has a batch for each part of the action.

    Raises:
        ValueError: the parts are not equally many.
    """
    if isinstance(mask, tuple):
        return np.concatenate([mask_rows(part) for part in mask], axis=-1)
    rows = np.atleast_1d(mask)
    return rows.reshape(len(rows), -1)


def unmasked(observation: Space) -> Space:
    """Return the space of an observation apart from its mask."""
    return observation.observation if isinstance(observation, Masked) else observation


def is_image(observation: Space) -> bool:
    """Whether an observation, apart from its mask, is an image."""
    inner = unmasked(observation)
    return isinstance(inner, Box) and inner.is_image


def space_from_data(data: dict[str, Any]) -> Space:
    """Rebuild what `to_data` made.

    Raises:
        ValueError: the kind is unknown.
    """
    kind = data["kind"]
    if kind == "discrete":
        return Discrete(data["n"], data["start"])
    if kind == "box":
        return Box(tuple(data["shape"]), tuple(data["low"]), tuple(data["high"]), data["dtype"])
    if kind == "multi_discrete":
        dtype = data.get("dtype", "int64")  # older files do not say it
        return MultiDiscrete(tuple(data["shape"]), tuple(data["counts"]), tuple(data["start"]), dtype)
    if kind == "multi_binary":
        return MultiBinary(tuple(data["shape"]))
    if kind == "composite":
        names = None if data["names"] is None else tuple(data["names"])
        return Composite(tuple(space_from_data(part) for part in data["parts"]), names)
    if kind == "masked":
        return Masked(space_from_data(data["observation"]), data["mask_count"], data["key"])
    raise ValueError(f"unknown kind of space {kind!r}; update actorrt to read this")
