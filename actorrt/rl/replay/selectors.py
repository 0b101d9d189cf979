"""How replay tables choose the items that are taken, and those that go when a table is full."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from actorrt.rl.foundation.checks import require_number
from actorrt.rl.replay.block_sums import BlockSums
from actorrt.rl.replay.items import Items
from actorrt.rl.spaces.array_spaces import Array


class Choice(Protocol):
    """A selector at work on the items of one table."""

    def wrote(self, indexes: Array) -> None:
        """Items at these indexes are new, or have new priorities."""

    def moved(self, index: int, last: int) -> None:
        """The item at `index` is gone; the item at `last` has taken its place, and is no longer at `last`."""

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return so many indexes of items, with replacement, and the probability of each. There is an item."""


class Selector(Protocol):
    """A way to choose items, as users name it."""

    def at(self, items: Items, capacity: int) -> Choice:
        """Return the selector at work on the items of a table, which has none yet."""


@dataclass(frozen=True)
class Uniform:
    """Chooses each item with the same probability."""

    def at(self, items: Items, capacity: int) -> Choice:
        return _UniformChoice(items)


@dataclass(frozen=True)
class Prioritised:
    """Chooses an item with a probability in proportion to priority ** exponent; 0 ** 0 is 0.

    If all priorities are 0, each item has the same probability.

    Attributes:
        exponent: 0 or larger; with 0, all items whose priority is not 0 are equal.

    Raises:
        ValueError: the exponent is negative.
    """

    exponent: float

    def __post_init__(self) -> None:
        require_number("exponent", self.exponent, at_least=0.0)

    def at(self, items: Items, capacity: int) -> Choice:
        return _PrioritisedChoice(items, capacity, self.exponent)


@dataclass(frozen=True)
class Fifo:
    """Chooses the item that was inserted first."""

    def at(self, items: Items, capacity: int) -> Choice:
        return _OrderChoice(items, is_oldest=True)


@dataclass(frozen=True)
class Lifo:
    """Chooses the item that was inserted last."""

    def at(self, items: Items, capacity: int) -> Choice:
        return _OrderChoice(items, is_oldest=False)


@dataclass(frozen=True)
class MinHeap:
    """Chooses the item with the lowest priority; of several, the one that was written first."""

    def at(self, items: Items, capacity: int) -> Choice:
        return _HeapChoice(items, sign=1.0)


@dataclass(frozen=True)
class MaxHeap:
    """Chooses the item with the highest priority; of several, the one that was written first."""

    def at(self, items: Items, capacity: int) -> Choice:
        return _HeapChoice(items, sign=-1.0)


def require_priorities(priorities: Array) -> None:
    """Make sure that these are priorities.

    Raises:
        ValueError: one is negative, infinite or NaN.
    """
    if len(priorities) and not (priorities.min() >= 0.0 and math.isfinite(priorities.max())):
        bad = priorities[~((priorities >= 0.0) & np.isfinite(priorities))][0]
        raise ValueError(f"priorities are finite, and 0 or larger: one is {bad}")


class _UniformChoice:
    def __init__(self, items: Items) -> None:
        self._items = items

    def wrote(self, indexes: Array) -> None:
        pass

    def moved(self, index: int, last: int) -> None:
        pass

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        size = len(self._items)
        return rng.integers(size, size=count), np.full(count, 1.0 / size)


class _PrioritisedChoice:
    def __init__(self, items: Items, capacity: int, exponent: float) -> None:
        self._items = items
        self._exponent = exponent
        self._sums = BlockSums(capacity)

    def wrote(self, indexes: Array) -> None:
        priorities = self._items.priority[indexes]
        self._sums.update(indexes, np.where(priorities > 0.0, priorities**self._exponent, 0.0))

    def moved(self, index: int, last: int) -> None:
        self._sums.update(np.array([index, last]), np.array([self._sums.weights(np.array(last)), 0.0]))

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        total = self._sums.total
        if total <= 0.0:
            return _UniformChoice(self._items).choose(count, rng)
        indexes = self._sums.find(rng.random(count))
        return indexes, self._sums.weights(indexes) / total


class _OrderChoice:
    def __init__(self, items: Items, *, is_oldest: bool) -> None:
        self._items = items
        self._is_oldest = is_oldest

    def wrote(self, indexes: Array) -> None:
        pass

    def moved(self, index: int, last: int) -> None:
        pass

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        items = self._items
        key = items.oldest(1)[0] if self._is_oldest else items.newest_key()
        return np.full(count, items.index_of[key]), np.ones(count)


class _HeapChoice:
    """A heap whose entries of items that are gone, or were written again, are dropped when they come up."""

    def __init__(self, items: Items, sign: float) -> None:
        self._items = items
        self._sign = sign
        self._heap: list[tuple[float, int, int]] = []

    def wrote(self, indexes: Array) -> None:
        items = self._items
        columns = (self._sign * items.priority[indexes], items.written[indexes], items.key[indexes])
        for entry in zip(*(column.tolist() for column in columns), strict=True):
            heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(items) + 16:
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)

    def moved(self, index: int, last: int) -> None:
        pass

    def _is_current(self, entry: tuple[float, int, int]) -> bool:
        index = self._items.index_of.get(entry[2])
        return index is not None and int(self._items.written[index]) == entry[1]

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        while not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return np.full(count, self._items.index_of[self._heap[0][2]]), np.ones(count)
