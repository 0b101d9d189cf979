"""Pure: the items of a replay table in dense arrays: the indexes in use are 0 to n - 1.

When an item goes, the last one takes its index; so uniform draws need no search. Keys are in the order of insertion.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

COLUMNS = ("key", "priority", "times_sampled", "row", "written")


class Items:
    """At most `capacity` items.

    Attributes:
        index_of: the index of each item, by its key; in the order of insertion.
        key, priority, times_sampled, row: of the item at each index.
        written: when the item at each index was inserted or got its priority, as a number that grows.
    """

    def __init__(self, capacity: int) -> None:
        self.index_of: OrderedDict[int, int] = OrderedDict()
        self.key = np.zeros(capacity, np.int64)
        self.priority = np.zeros(capacity)
        self.times_sampled = np.zeros(capacity, np.int64)
        self.row = np.zeros(capacity, np.int64)
        self.written = np.zeros(capacity, np.int64)
        self._writes = 0

    def __len__(self) -> int:
        return len(self.index_of)

    def __contains__(self, key: int) -> bool:
        return key in self.index_of

    def oldest(self, count: int) -> list[int]:
        """Return so many keys, those that were inserted first."""
        return list(islice(self.index_of, count))

    def newest_key(self) -> int:
        """Return the key that was inserted last."""
        return next(reversed(self.index_of))

    def put(self, keys: Sequence[int], priorities: Array, rows: Array, replaced: Sequence[int] = ()) -> Array:
        """Add new items, in place of as many of the replaced ones as there are; return their indexes.

        Args:
            keys: none of which is known, nor twice there.
            priorities, rows: of each.
            replaced: keys of items that go; at most as many as there are new ones.
        """
        reused = [self.index_of.pop(key) for key in replaced]
        first = len(self.index_of) + len(reused)
        more = range(first, first + len(keys) - len(reused))
        indexes = np.fromiter((*reused, *more), np.int64, len(keys))
        self.index_of.update(zip(keys, indexes.tolist(), strict=True))
        self.key[indexes], self.row[indexes], self.times_sampled[indexes] = keys, rows, 0
        self.write(indexes, priorities)
        return indexes

    def write(self, indexes: Array, priorities: Array) -> None:
        """Replace the priorities of items."""
        self.priority[indexes] = priorities
        self.written[indexes] = np.arange(self._writes, self._writes + len(indexes))
        self._writes += len(indexes)

    def remove(self, key: int) -> tuple[int, int]:
        """Remove an item; return its index, and the index of the item that has taken it: the last one, or itself."""
        index, last = self.index_of.pop(key), len(self.index_of)
        if index != last:
            moved = int(self.key[last])
            self.index_of[moved] = index  # keeps its place in the order
            for name in COLUMNS:
                column = getattr(self, name)
                column[index] = column[last]
        return index, last

    def state(self) -> dict[str, Array]:
        """Return the items as arrays, by index; and `order`, the indexes in the order of insertion."""
        count = len(self)
        columns = {name: getattr(self, name)[:count].copy() for name in COLUMNS}
        return columns | {"order": np.fromiter(self.index_of.values(), np.int64, count)}

    def resume(self, state: Mapping[str, Array]) -> Array:
        """Take over the `state` of other items, at the same indexes; return these."""
        count = len(state["key"])
        for name in COLUMNS:
            getattr(self, name)[:count] = state[name]
        order = state["order"].tolist()
        self.index_of = OrderedDict(zip(self.key[order].tolist(), order, strict=True))
        self._writes = 1 + int(state["written"].max(initial=-1))
        return np.arange(count)

    def check_invariants(self) -> None:
        """Raise AssertionError if keys and indexes contradict each other."""
        assert sorted(self.index_of.values()) == list(range(len(self))), "the indexes are not dense"
        assert all(self.key[index] == key for key, index in self.index_of.items()), "a key is at another index"
