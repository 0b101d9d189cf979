"""One table of a replay service: which items there are, which are taken, and which go.

The table knows keys, priorities, and the row that each item refers to; the rows themselves are elsewhere. It never
waits: `allowed_inserts` and `allowed_samples` say what may happen now, and the caller keeps to it. The rules are
Reverb's (Cassirer et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from actorrt.rl.foundation.checks import require_whole
from actorrt.rl.replay.items import Items
from actorrt.rl.replay.limiters import Counts, Limiter, MinSize
from actorrt.rl.replay.selectors import Fifo, Selector, Uniform, require_priorities
from actorrt.rl.spaces.array_spaces import Array

NO_KEYS: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """The description of a table.

    Attributes:
        name: of the table.
        max_size: number of items beyond which the remover chooses one to go.
        sampler: chooses the items that are taken.
        remover: chooses the item that goes.
        max_times_sampled: an item goes when it was taken so often; 0 sets no limit.
        limiter: when items may be inserted and taken.

    Raises:
        ValueError: a number is out of range, or the limiter could never let anything be taken.
    """

    name: str
    max_size: int
    sampler: Selector = field(default_factory=Uniform)
    remover: Selector = field(default_factory=Fifo)
    max_times_sampled: int = 0
    limiter: Limiter = field(default_factory=lambda: MinSize(1))

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a table has a name: name=''")
        require_whole("max_size", self.max_size, 1)
        require_whole("max_times_sampled", self.max_times_sampled, 0)
        if self.limiter.min_size > self.max_size:
            raise ValueError(
                f"nothing could ever be taken from table {self.name!r}: its limiter waits for "
                f"{self.limiter.min_size} items, and max_size={self.max_size}"
            )


class Taken(NamedTuple):
    """Items that were taken, an element for each.

    Attributes:
        keys: of the items.
        rows: that they refer to.
        probabilities: with which they were chosen.
        priorities: at that time.
        times_sampled: how often they have been taken, this time too.
        table_size: number of items of the table at that time.
        gone: rows of items that this took for the last time.
    """

    keys: Array
    rows: Array
    probabilities: Array
    priorities: Array
    times_sampled: Array
    table_size: Array
    gone: Array


class ReplayTable:
    """The items of one table.

    Args:
        table: its description.
        seed: of the sampler's and the remover's choices.

    Attributes:
        counts: inserts, samples and deletions.
    """

    def __init__(self, table: Table, seed: int = 0) -> None:
        self.table = table
        self.counts = Counts()
        self._items = Items(table.max_size + 1)  # an item is inserted before the remover chooses
        self._sampler = table.sampler.at(self._items, table.max_size + 1)
        is_same = table.remover == table.sampler
        self._remover = self._sampler if is_same else table.remover.at(self._items, table.max_size + 1)
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._items)

    def allowed_inserts(self) -> float:
        """Return how many items the limiter lets be inserted now."""
        return self.table.limiter.allowed_inserts(self.counts)

    def allowed_samples(self) -> float:
        """Return how many items the limiter lets be taken now."""
        return self.table.limiter.allowed_samples(self.counts) if len(self._items) else 0

    def insert(self, keys: Sequence[int], priorities: Array, rows: Array) -> Array:
        """Insert items; return the rows of items that went for it, which may be among the new ones.

        An item whose key is known gets the new priority instead; it keeps its row and its place in the order, and does
        not count as inserted. Its new row is among those returned.

        Raises:
            ValueError: a priority is negative, infinite or NaN; nothing changes.
        """
        require_priorities(priorities)
        is_new = len({*keys}) == len(keys) and self._items.index_of.keys().isdisjoint(keys)
        if is_new and isinstance(self.table.remover, Fifo) and len(keys) <= self.table.max_size:
            return self._replace_oldest(keys, priorities, rows)
        gone: list[int] = []
        for place, key in enumerate(keys):
            one = slice(place, place + 1)
            if key in self._items:
                self.update((key,), priorities[one])
                gone.append(int(rows[place]))
                continue
            self._wrote(self._items.put((key,), priorities[one], rows[one]))
            self.counts.inserts += 1
            if len(self._items) > self.table.max_size:
                index = int(self._remover.choose(1, self._rng)[0][0])
                gone.append(self._remove(int(self._items.key[index])))
        return np.array(gone, np.int64)

    def _replace_oldest(self, keys: Sequence[int], priorities: Array, rows: Array) -> Array:
        """Insert new items where the oldest ones go: the same as one by one, but all at once."""
        items = self._items
        oldest = items.oldest(max(0, len(items) + len(keys) - self.table.max_size))
        gone = items.row[[items.index_of[key] for key in oldest]] if oldest else np.empty(0, np.int64)
        self._wrote(items.put(keys, priorities, rows, replaced=oldest))
        self.counts.inserts += len(keys)
        self.counts.deletions += len(oldest)
        return gone

    def _wrote(self, indexes: Array) -> None:
        self._sampler.wrote(indexes)
        if self._remover is not self._sampler:
            self._remover.wrote(indexes)

    def sample(self, count: int) -> Taken:
        """Take items, as many as the limiter allows, and at most `count`; with replacement."""
        count = int(min(count, self.allowed_samples()))
        if not self.table.max_times_sampled:
            taken = self._take(count) if count else _nothing()
        else:
            parts: list[Taken] = []
            while len(parts) < count and self.allowed_samples() >= 1:
                parts.append(self._take(1))
            taken = Taken(*map(np.concatenate, zip(*parts, strict=True))) if parts else _nothing()
        return taken

    def _take(self, count: int) -> Taken:
        """Take items; those that were taken for the last time go. Several are taken only if none goes."""
        items, limit = self._items, self.table.max_times_sampled
        indexes, probabilities = self._sampler.choose(count, self._rng)
        np.add.at(items.times_sampled, indexes, 1)
        self.counts.samples += count
        taken = Taken(
            items.key[indexes],
            items.row[indexes],
            probabilities,
            items.priority[indexes],
            items.times_sampled[indexes],
            np.full(count, len(items)),
            np.empty(0, np.int64),
        )
        if limit and taken.times_sampled[0] >= limit:
            taken = taken._replace(gone=np.array([self._remove(int(taken.keys[0]))], np.int64))
        return taken

    def update(self, keys: Sequence[int], priorities: Array) -> None:
        """Replace priorities; keys that are unknown, since their items have gone meanwhile, are ignored.

        Raises:
            ValueError: a priority is negative, infinite or NaN; nothing changes.
        """
        require_priorities(priorities)
        index_of = self._items.index_of
        newest = {key: place for place, key in enumerate(keys) if key in index_of}  # the last one of a key counts
        if newest:
            indexes = np.fromiter((index_of[key] for key in newest), np.int64, len(newest))
            self._items.write(indexes, priorities[[*newest.values()]])
            self._wrote(indexes)

    def delete(self, keys: Sequence[int]) -> Array:
        """Remove items; return their rows. Unknown keys are ignored."""
        known = dict.fromkeys(key for key in keys if key in self._items)
        return np.array([self._remove(key) for key in known], np.int64)

    def _remove(self, key: int) -> int:
        row = int(self._items.row[self._items.index_of[key]])
        index, last = self._items.remove(key)
        self._sampler.moved(index, last)
        if self._remover is not self._sampler:
            self._remover.moved(index, last)
        self.counts.deletions += 1
        return row

    def info(self) -> dict[str, float]:
        """Return the size, the counts, and the samples for each insert so far."""
        counts = self.counts
        never = int(np.count_nonzero(self._items.times_sampled[: len(self)] == 0))
        return {
            "size": len(self),
            "inserts": counts.inserts,
            "samples": counts.samples,
            "deletions": counts.deletions,
            "samples_per_insert": counts.samples / counts.inserts if counts.inserts else 0.0,
            "never_sampled": never,
        }

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another table's `resume`."""
        counts = {name: getattr(self.counts, name) for name in Counts.__slots__}
        return {"counts": counts, "rng": self._rng.bit_generator.state, **self._items.state()}

    def require_fitting(self, state: dict[str, Any]) -> None:
        """Make sure that this table has room for the items of a state.

        Raises:
            ValueError: it has not.
        """
        if len(state["key"]) > self.table.max_size:
            raise ValueError(
                f"table {self.table.name!r} has room for {self.table.max_size} items, and there are "
                f"{len(state['key'])} in the state: give max_size as it was"
            )

    def resume(self, state: dict[str, Any]) -> None:
        """Take over the `state` of a table of the same description; this one has no items yet.

        Raises:
            ValueError: the state has more items than this table holds; nothing changes.
        """
        self.require_fitting(state)
        self._wrote(self._items.resume(state))
        self.counts = Counts(**state["counts"])
        self._rng.bit_generator.state = state["rng"]

    def check_invariants(self) -> None:
        """Raise AssertionError if the items contradict the counts."""
        self._items.check_invariants()
        counts, size = self.counts, len(self)
        assert size == counts.inserts - counts.deletions, f"{size} items, and {counts}"
        assert size <= self.table.max_size, f"{size} items in a table for {self.table.max_size}"


def _nothing() -> Taken:
    whole, numbers = np.empty(0, np.int64), np.empty(0)
    return Taken(whole, whole, numbers, numbers, whole, whole, whole)
