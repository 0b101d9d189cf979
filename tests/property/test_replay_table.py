"""Random inserts, samples, updates and deletions of a replay table against a slow, obvious one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actorrt.rl.replay.limiters import Limiter, MinSize, SampleToInsertRatio
from actorrt.rl.replay.row_store import RowStore
from actorrt.rl.replay.selectors import Fifo, Lifo, MaxHeap, MinHeap, Prioritised, Selector, Uniform
from actorrt.rl.replay.table import ReplayTable, Table

CERTAIN = (Fifo(), Lifo(), MinHeap(), MaxHeap())
KEYS = st.integers(0, 30)
PRIORITIES = st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.0, 7.0])
ITEMS = st.lists(st.tuples(KEYS, PRIORITIES), min_size=1, max_size=5)


@dataclass
class Item:
    key: int
    priority: float
    row: int
    inserted: int
    written: int
    times: int = 0


class SlowTable:
    """A list of items, and the rules as they are written down."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.items: list[Item] = []
        self.inserts = self.samples = self.deletions = self.clock = 0

    def choices(self, selector: Selector) -> list[Item]:
        match selector:
            case Fifo():
                return [min(self.items, key=lambda item: item.inserted)]
            case Lifo():
                return [max(self.items, key=lambda item: item.inserted)]
            case MinHeap():
                return [min(self.items, key=lambda item: (item.priority, item.written))]
            case MaxHeap():
                return [min(self.items, key=lambda item: (-item.priority, item.written))]
            case Prioritised() if any(item.priority for item in self.items):
                return [item for item in self.items if item.priority]
        return self.items

    def find(self, key: int) -> Item | None:
        return next((item for item in self.items if item.key == key), None)

    def insert(self, key: int, priority: float, row: int) -> list[int]:
        self.clock += 1
        known = self.find(key)
        if known is not None:
            known.priority, known.written = priority, self.clock
            return [row]
        self.items.append(Item(key, priority, row, self.clock, self.clock))
        self.inserts += 1
        if len(self.items) <= self.table.max_size:
            return []
        (gone,) = self.choices(self.table.remover)
        return [self.remove(gone)]

    def remove(self, item: Item) -> int:
        self.items.remove(item)
        self.deletions += 1
        return item.row

    def allowed(self) -> float:
        limiter = self.table.limiter
        if not self.items or self.inserts - self.deletions < limiter.min_size:
            return 0
        return self.inserts * limiter.samples_per_insert - self.samples - limiter.lowest


class Tables(RuleBasedStateMachine):
    """A table and a slow one, with the same inserts, samples, updates and deletions."""

    @initialize(
        sampler=st.sampled_from([*CERTAIN, Uniform(), Prioritised(0.6)]),
        remover=st.sampled_from(CERTAIN),
        max_size=st.integers(1, 6),
        max_times_sampled=st.integers(0, 2),
        limiter=st.sampled_from([MinSize(1), SampleToInsertRatio(1.5, 1, 6.0)]),
    )
    def begin(self, **settings: Any) -> None:
        self.table = ReplayTable(Table(name="t", **settings), seed=1)
        self.slow = SlowTable(self.table.table)
        self.rows = 0

    @rule(items=ITEMS)
    def insert(self, items: list[tuple[int, float]]) -> None:
        rows = np.arange(self.rows, self.rows + len(items))
        self.rows += len(items)
        gone = self.table.insert([key for key, _ in items], np.array([p for _, p in items]), rows)
        expected = [self.slow.insert(key, p, row) for (key, p), row in zip(items, rows.tolist(), strict=True)]
        assert sorted(gone.tolist()) == sorted(row for rows in expected for row in rows)

    @rule(count=st.integers(1, 4))
    def sample(self, count: int) -> None:
        taken = self.table.sample(count)
        gone = []
        for place, key in enumerate(taken.keys.tolist()):
            assert self.slow.allowed() >= 1
            item = self.slow.find(key)
            assert item is not None
            choices = self.slow.choices(self.table.table.sampler)
            assert item in choices
            assert taken.table_size[place] == len(self.slow.items)
            assert taken.priorities[place] == item.priority
            assert taken.rows[place] == item.row
            item.times += 1
            self.slow.samples += 1
            if self.table.table.max_times_sampled and item.times >= self.table.table.max_times_sampled:
                gone.append(self.slow.remove(item))
        assert taken.gone.tolist() == gone
        assert len(taken.keys) == count or self.slow.allowed() < 1

    @rule(items=ITEMS)
    def update(self, items: list[tuple[int, float]]) -> None:
        self.table.update([key for key, _ in items], np.array([priority for _, priority in items]))
        last = dict(items)  # in the order of the first of each key, with the last priority
        for key, priority in last.items():
            self.slow.clock += 1
            item = self.slow.find(key)
            if item is not None:
                item.priority, item.written = priority, self.slow.clock

    @rule(keys=st.lists(KEYS, max_size=4))
    def delete(self, keys: list[int]) -> None:
        known = [item for key in dict.fromkeys(keys) if (item := self.slow.find(key)) is not None]
        assert self.table.delete(keys).tolist() == [self.slow.remove(item) for item in known]

    @rule()
    def resume(self) -> None:
        resumed = ReplayTable(self.table.table, seed=99)
        resumed.resume(self.table.state())
        self.table = resumed

    @precondition(lambda self: hasattr(self, "table"))
    @invariant()
    def agrees(self) -> None:
        self.table.check_invariants()
        counts = self.table.counts
        slow = self.slow
        assert (counts.inserts, counts.samples, counts.deletions) == (slow.inserts, slow.samples, slow.deletions)
        assert len(self.table) == len(slow.items)


TestTables = Tables.TestCase
TestTables.settings = settings(max_examples=150, stateful_step_count=30)


@given(
    spi=st.sampled_from([0.5, 1.0, 3.0, 8.0]),
    min_size=st.integers(1, 5),
    slack=st.floats(1.0, 20.0),
    turns=st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=200),
)
def test_the_ratio_stays_in_its_band_whatever_the_interleaving(
    spi: float, min_size: int, slack: float, turns: list[tuple[bool, int]]
) -> None:
    limiter: Limiter = SampleToInsertRatio(spi, min_size, max(1.0, spi) + slack)
    table = ReplayTable(Table(name="t", max_size=1_000, limiter=limiter))
    key = 0
    for is_insert, count in turns:
        for _ in range(count if is_insert else 0):
            if table.allowed_inserts() >= 1:
                table.insert([key], np.ones(1), np.zeros(1, np.int64))
                key += 1
        if not is_insert:
            table.sample(count)
        counts = table.counts
        difference = counts.inserts * spi - counts.samples
        assert counts.samples == 0 or difference >= limiter.lowest
        assert difference <= max(limiter.highest, spi * min_size)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 2), st.floats(0.0, 1.0)), max_size=30))
def test_rows_are_kept_until_their_last_holder_is_gone(turns: list[tuple[int, int, float]]) -> None:
    store, rng = RowStore(capacity=50), np.random.default_rng(0)
    held: list[tuple[int, int]] = []  # place of a row, and what it holds; once for each holder
    for number, (count, holders, released) in enumerate(turns):
        values = np.arange(number * 100, number * 100 + count)
        rows = store.add({"a": values, "b": np.stack([values, -values], 1)}, np.full(count, holders))
        held += [*zip(rows.tolist(), values.tolist(), strict=True)] * holders
        rng.shuffle(held)
        gone, held = held[: int(released * len(held))], held[int(released * len(held)) :]
        store.release(np.array([row for row, _ in gone], np.int64))
        taken = store.take(np.array([row for row, _ in held], np.int64))
        assert taken["a"].tolist() == [value for _, value in held]
        assert taken["b"][:, 1].tolist() == [-value for _, value in held]
        assert len(store) == len({row for row, _ in held})
        store.check_invariants()
