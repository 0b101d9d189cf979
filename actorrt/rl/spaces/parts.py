"""Pure: the parts of an observation that are one array each, and their columns in its rows of features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.spaces import Composite, Masked, Space


class ArrayPart(NamedTuple):
    """A part of an observation that is one array.

    Attributes:
        name: its name, after those of the `Dict`s and `Tuple`s that it is in; "" if the observation is one array.
        space: its space.
        start: the first of its columns.
        width: the number of its columns.
    """

    name: str
    space: Discrete | Box | MultiDiscrete | MultiBinary
    start: int
    width: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.width)


def array_parts(observation: Space, name: str = "", start: int = 0) -> Iterator[ArrayPart]:
    """Yield the parts of an observation in the order of its features, without a mask of actions."""
    match observation:
        case Masked():
            yield from array_parts(observation.observation, name, start)
        case Composite(parts=parts, names=names):
            for key, part in zip(range(len(parts)) if names is None else names, parts, strict=True):
                yield from array_parts(part, f"{name}.{key}" if name else str(key), start)
                start += part.feature_count
        case _:
            yield ArrayPart(name, observation, start, observation.feature_count)
