"""Pure: the rows in which observations travel from simulators to networks.

A row holds numbers, each as float32. Where a network takes images, a row holds bytes instead: first the pixels of all
images, one byte each, and then all numbers, four bytes each. So an image takes a quarter of the memory and of the
messages, and pixels are never normalised. A mask of actions is the last of the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from actorrt.rl.spaces.array_spaces import Array, Box
from actorrt.rl.spaces.parts import ArrayPart, array_parts
from actorrt.rl.spaces.spaces import Masked, Space, encoded_parts


class RowPart(NamedTuple):
    """The place of one part of an observation.

    Attributes:
        part: the part, with its place among the features.
        is_pixels: whether it is an image, which lies among the pixels; otherwise it lies among the numbers.
        columns: its columns there.
    """

    part: ArrayPart
    is_pixels: bool
    columns: slice


@dataclass(frozen=True)
class RowLayout:
    """The places of all parts of an observation.

    Attributes:
        parts: in the order of the features, without the mask.
        pixel_count: number of the pixels of all images; 0 if all features are numbers.
        number_count: number of all other features.
        mask_count: number of the entries of the mask, which follow the numbers.
    """

    parts: tuple[RowPart, ...]
    pixel_count: int
    number_count: int
    mask_count: int

    @classmethod
    def of(cls, observation: Space, *, with_pixels: bool) -> RowLayout:
        """Return the layout for a space; `with_pixels` lets images travel as bytes."""
        parts, counts = [], {True: 0, False: 0}
        for part in array_parts(observation):
            is_pixels = with_pixels and isinstance(part.space, Box) and part.space.is_image
            start = counts[is_pixels]
            counts[is_pixels] += part.width
            parts.append(RowPart(part, is_pixels, slice(start, start + part.width)))
        mask_count = observation.mask_count if isinstance(observation, Masked) else 0
        return cls(tuple(parts), counts[True], counts[False], mask_count)

    @property
    def dtype(self) -> Any:
        return np.uint8 if self.pixel_count else np.float32

    @property
    def width(self) -> int:
        """Number of columns."""
        numbers = self.number_count + self.mask_count
        return self.pixel_count + 4 * numbers if self.pixel_count else numbers

    def encode(self, observation: Space, obs: Any) -> Array:
        """Return the rows for a batch of observations of the space.

        Raises:
            ValueError: the observations are not in the space.
        """
        if not self.pixel_count:
            return np.asarray(observation.encode(obs), np.float32)
        pixels: list[Array] = []
        numbers: list[Array] = []
        for features in encoded_parts(observation, obs):
            (pixels if features.dtype == np.uint8 else numbers).append(features)
        packed = [np.concatenate(numbers, axis=1).view(np.uint8)] if numbers else []
        return np.concatenate([*pixels, *packed], axis=1) if len(pixels) + len(packed) > 1 else pixels[0]

    def numbers(self, rows: Array) -> Array:
        """Return the numbers of rows of shape (..., width), those of the mask included."""
        if not self.pixel_count:
            return rows
        return np.ascontiguousarray(rows[..., self.pixel_count :]).view(np.float32)

    def features(self, rows: Array) -> Array:
        """Return the features of rows of shape (batch, width), float32 without the mask; pixels are 0 to 255."""
        numbers = self.numbers(rows)
        if not self.pixel_count:
            return numbers[:, : self.number_count]
        return np.concatenate(
            [(rows if part.is_pixels else numbers)[:, part.columns] for part in self.parts], 1, dtype=np.float32
        )

    def observed_numbers(self, rows: Array) -> Array:
        """Return the numbers of rows without the mask, which are those that a normaliser counts."""
        return self.numbers(rows)[..., : self.number_count]

    def changed(self, rows: Array, change: Callable[[Array], Array]) -> Array:
        """Return rows whose numbers were changed, without their mask: `change` takes them and returns new ones."""
        if not self.pixel_count and not self.mask_count:
            return change(rows)
        numbers = self.numbers(rows)
        made = np.concatenate([change(numbers[:, : self.number_count]), numbers[:, self.number_count :]], axis=1)
        if not self.pixel_count:
            return made
        return np.concatenate([rows[:, : self.pixel_count], made.view(np.uint8)], axis=1)

    def spread(self, values: Array, pixel_value: float) -> Array:
        """Return a value for each feature of an observation, float32: those of the numbers, and one for all pixels."""
        wide = np.full(self.pixel_count + self.number_count, pixel_value, np.float32)
        for part, is_pixels, columns in self.parts:
            if not is_pixels:
                wide[part.columns] = values[columns]
        return wide
