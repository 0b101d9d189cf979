"""The leaves of an action: its parts that are drawn independently, and which outputs and columns belong to each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from actorrt.rl.spaces.array_spaces import Discrete, Kind


class ActionSpace(Protocol):
    """The part of a space that leaves are derived from."""

    @property
    def kinds(self) -> tuple[tuple[Kind, int], ...]: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Leaf:
    """One part of an action that is drawn independently.

    Attributes:
        kind: of its distribution.
        outputs: which of the network's outputs are for it: logits, or means.
        columns: which columns of the action's row are its own: an index, zeros and ones, or values.
        deviations: which part of `log_std` is for it; empty unless it is Gaussian.
    """

    kind: Kind
    outputs: slice
    columns: slice
    deviations: slice


@lru_cache(maxsize=128)
def leaves(action: ActionSpace) -> tuple[Leaf, ...]:
    """Return the parts of an action that are drawn independently, in order."""
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


def output_count(action: ActionSpace) -> int:
    """Return how many outputs a network has for an action."""
    count: int = leaves(action)[-1].outputs.stop
    return count


def column_count(action: ActionSpace) -> int:
    """Return how many numbers a row of an action has."""
    count: int = leaves(action)[-1].columns.stop
    return count


def deviation_count(action: ActionSpace) -> int:
    """Return how many standard deviations an action's distribution has."""
    count: int = leaves(action)[-1].deviations.stop
    return count


def row_shape(action: ActionSpace) -> tuple[int, ...]:
    """Return the shape of one action as it is sampled: a single index, or a row."""
    return () if isinstance(action, Discrete) else (column_count(action),)


def row_dtype(action: ActionSpace) -> Any:
    """Return the dtype of sampled actions: int64 for indices alone, else float32, which holds indices exactly."""
    return np.int64 if all(leaf.kind == "categorical" for leaf in leaves(action)) else np.float32
