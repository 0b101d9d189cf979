"""Pure: turns observations into rows of numbers, and says which observation does not fit its space, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stacked(values: Sequence[Any]) -> Any:
    """Return single observations as one array.

    Raises:
        ValueError: they have several shapes.
    """
    try:
        return np.array(values)
    except ValueError:
        shapes = " and ".join(sorted({str(np.shape(value)) for value in values}))
        raise ValueError(f"observations of one space have several shapes: {shapes}") from None


def as_batch(obs: Any, shape: tuple[int, ...]) -> tuple[NDArray[Any], int | None]:
    """Return one observation of this shape, or a batch of them, as a batch. The shape tells which of both it is.

    Returns:
        The batch, and its number of observations; None in place of the number for one observation.

    Raises:
        ValueError: it is neither.
    """
    try:
        array = np.asarray(obs)
    except ValueError:  # lists of several lengths
        raise ValueError(f"an observation is no array of numbers: {obs!r:.200}") from None
    found = array.shape
    if found == shape:
        return array[None], None
    if found[1:] == shape and found:
        return array, len(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"an observation is no array of numbers: {obs!r:.200}")
    batch = f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
    raise ValueError(
        f"an observation of shape {found} is not in a space of shape {shape}, and no batch of shape {batch} either"
    )


def part_of(value: Any, key: Any) -> Any:
    """Return the part of an observation that has this name, or this place in a tuple.

    Raises:
        ValueError: there is no such part.
    """
    try:
        return value[key]
    except (KeyError, IndexError, TypeError):
        there = f"it has {', '.join(map(repr, value))}" if isinstance(value, dict) else f"it is {value!r}"
        raise ValueError(f"an observation has no part {key!r}: {there}") from None


def flattened(values: Any, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return observations of this shape as flat rows; the type None leaves theirs as it is.

    Raises:
        ValueError: they have another shape, or are not numbers.
    """
    try:
        array = np.asarray(values, dtype)
    except (TypeError, ValueError):
        raise ValueError(f"an observation is no array of numbers: {values!r:.200}") from None
    try:
        return array.reshape(len(array), math.prod(shape))
    except ValueError:
        raise ValueError(f"an observation of shape {array.shape[1:]} is not in a space of shape {shape}") from None


def one_hot(indices: NDArray[Any], counts: tuple[int, ...]) -> NDArray[Any]:
    """Return one-hot rows side by side, float32, for rows of indices from 0 that are below `counts`.

    Raises:
        ValueError: an index is not below its count.
    """
    limits, offsets = _limits_and_offsets(counts)
    if (indices.view(np.uint64) >= limits).any():  # as unsigned integers, negative ones are very large
        shown = f"{indices.tolist()}, counted from 0, of {counts}"
        raise ValueError(f"the environment shows a value outside its space: {shown}")
    rows = np.zeros((len(indices), sum(counts)), np.float32)
    rows[np.arange(len(indices))[:, None], indices + offsets] = 1.0
    return rows


@lru_cache(maxsize=128)
def _limits_and_offsets(counts: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the counts as unsigned integers, and where each one's columns begin."""
    return np.array(counts, np.uint64), np.cumsum(counts) - counts
