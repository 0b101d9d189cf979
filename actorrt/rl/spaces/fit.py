"""Pure: whether two spaces hold the same values for a network, and where they differ.

Bounds, first values of `Discrete` and types of numbers may differ: a network does not see them.
"""

from __future__ import annotations

from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.spaces import Composite, Masked, Space


def difference(first: Space, second: Space) -> str | None:
    """Return how a space differs from another one for a network; None if both are the same."""
    if isinstance(first, Masked) and isinstance(second, Masked):
        if (first.mask_count, first.key) != (second.mask_count, second.key):
            return f"{in_words(first)}, not {in_words(second)}"
        return difference(first.observation, second.observation)
    if isinstance(first, Composite) and isinstance(second, Composite):
        if first.names != second.names or len(first.parts) != len(second.parts):
            return f"{in_words(first)}, not {in_words(second)}"
        names = range(len(first.parts)) if first.names is None else first.names
        for name, one, other in zip(names, first.parts, second.parts, strict=True):
            found = difference(one, other)
            if found is not None:
                return f"part {name!r}: {found}"
        return None
    return None if _size(first) == _size(second) else f"{in_words(first)}, not {in_words(second)}"


def in_words(space: Space) -> str:
    """Describe a space in a few words."""
    match space:
        case Discrete(n=n):
            return f"one of {n}"
        case MultiDiscrete(counts=counts):
            return f"one of each of {', '.join(map(str, counts))}"
        case MultiBinary():
            return f"{space.feature_count} bits"
        case Box(shape=shape, dtype=dtype):
            return f"{'x'.join(map(str, shape)) or 'one'} {dtype}"
        case Masked(observation=observation):
            return f"{in_words(observation)}, with a mask of actions"
        case Composite(parts=parts, names=names):
            texts = map(in_words, parts)
            return "; ".join(texts if names is None else (f"{n}: {t}" for n, t in zip(names, texts, strict=True)))


def _size(space: Space) -> tuple[object, ...]:
    """Return what has to be the same of two spaces of one array; rows are flat, so that other shapes may differ."""
    kind = type(space)
    if isinstance(space, MultiDiscrete):
        return kind, space.counts
    image_shape = space.shape if isinstance(space, Box) and space.is_image else None  # convolutions depend on it
    return kind, space.feature_count, image_shape
