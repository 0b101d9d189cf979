"""Several replay tables over the same rows, and requests that wait for limiters.

A request that may not go on waits; inserts go in their order, and so do samples. While both can go on, they alternate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actorrt.rl.foundation.checks import require_whole
from actorrt.rl.replay.row_store import RowStore
from actorrt.rl.replay.selectors import require_priorities
from actorrt.rl.replay.table import ReplayTable, Table, Taken
from actorrt.rl.spaces.array_spaces import Array

WAITING_LIMIT = 10_000


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Items that were taken from a table, an element for each in every array.

    Attributes:
        columns: the rows of the items, by column.
        keys: of the items, for `update` and `delete`.
        probabilities: with which the items were chosen.
        priorities: at that time.
        times_sampled: how often the items have been taken, this time too.
        table_size: number of items of the table at that time.
        has_waited: whether the limiter held the request up.
    """

    columns: dict[str, Array]
    keys: Array
    probabilities: Array
    priorities: Array
    times_sampled: Array
    table_size: Array
    has_waited: bool = False

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(eq=False)
class Insertion:
    """A request to insert rows, of which some may be in the tables already.

    Attributes:
        columns: the rows.
        priorities: of the items, for each table.
        keys: of the items; one key for each row, in every table.
        done_count: number of rows that are in the tables.
        on_done: called when all are, if they are not yet when `insert` returns.
    """

    columns: Mapping[str, Array]
    priorities: Mapping[str, Array]
    keys: Array
    done_count: int = 0
    on_done: Callable[[], None] = _nothing

    @property
    def is_done(self) -> bool:
        return self.done_count == len(self.keys)


@dataclass(eq=False)
class Request:
    """A request to take items.

    Attributes:
        table: from which.
        count: how many at most.
        sample: the items; None until they are taken.
        on_done: called when they are, if they are not yet when `sample` returns.
        has_waited: whether the limiter has held the request up.
    """

    table: str
    count: int
    sample: Sample | None = None
    on_done: Callable[[], None] = _nothing
    has_waited: bool = False

    @property
    def is_done(self) -> bool:
        return self.sample is not None


class ReplayService:
    """Tables whose items refer to the same rows.

    Args:
        tables: their descriptions.
        seed: of all choices.

    Raises:
        ValueError: there is no table, or two have one name.
    """

    def __init__(self, tables: Sequence[Table], seed: int = 0) -> None:
        if not tables:
            raise ValueError("a replay service has at least one table: tables=[]")
        if len({table.name for table in tables}) < len(tables):
            raise ValueError(f"tables have different names: {[table.name for table in tables]}")
        seeds = np.random.SeedSequence(seed).generate_state(len(tables))
        self._tables = {t.name: ReplayTable(t, int(s)) for t, s in zip(tables, seeds, strict=True)}
        self._rows = RowStore(sum(table.max_size for table in tables))
        self._next_key = 0
        self._insertions: deque[Insertion] = deque()
        self._requests: dict[str, deque[Request]] = {name: deque() for name in self._tables}
        self._is_turn_of_inserts = True

    def table(self, name: str) -> ReplayTable:
        """Return a table.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in self._tables:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(self._tables)}")
        return self._tables[name]

    # Requests

    def insert(self, columns: Mapping[str, Array], priorities: Mapping[str, Any] | None = None) -> Insertion:
        """Insert rows, as soon as the limiters allow it.

        Args:
            columns: an array for each column, all of one length.
            priorities: for each table that gets items for these rows: a number, or an array with one for each row; None
                means 1 in every table.

        Returns:
            The request, which may be done already.

        Raises:
            ValueError: the rows do not fit the earlier ones, a priority is bad, there is no such table, or too many
                requests wait; nothing changes.
        """
        arrays = {name: np.asarray(column) for name, column in columns.items()}
        count = self._rows.require(arrays)
        chosen = dict.fromkeys(self._tables, 1.0) if priorities is None else priorities
        given: dict[str, Array] = {}
        for name, values in chosen.items():
            self.table(name)
            given[name] = np.broadcast_to(np.asarray(values, float), (count,))
            require_priorities(given[name])
        if not given:
            raise ValueError(f"rows without a table are lost at once: name one of {', '.join(self._tables)}")
        _require_room(self._insertions)
        keys = np.arange(self._next_key, self._next_key + count)
        self._next_key += count
        insertion = Insertion(arrays, given, keys)
        self._insertions.append(insertion)
        self._advance()
        return insertion

    def sample(self, table: str, count: int) -> Request:
        """Take items, as soon as the limiter allows one; then as many as it allows, and at most `count`.

        Raises:
            ValueError: there is no such table, `count` is less than 1, or too many requests wait; nothing changes.
        """
        self.table(table)
        require_whole("count", count, 1)
        waiting = self._requests[table]
        _require_room(waiting)
        request = Request(table, count)
        waiting.append(request)
        self._advance()
        request.has_waited = not request.is_done
        return request

    def withdraw(self, request: Insertion | Request) -> None:
        """Forget a request that nobody waits for any more. Rows that are in the tables already stay."""
        self._insertions = deque(each for each in self._insertions if each is not request)
        for name, requests in self._requests.items():
            self._requests[name] = deque(each for each in requests if each is not request)
        self._advance()

    def update(self, table: str, keys: Array, priorities: Array) -> None:
        """Replace priorities; keys that are unknown are ignored.

        Raises:
            ValueError: there is no such table, or a priority is bad; nothing changes.
        """
        self.table(table).update(np.asarray(keys).tolist(), np.asarray(priorities, float))

    def delete(self, table: str, keys: Array) -> None:
        """Remove items from a table; keys that are unknown are ignored.

        Raises:
            ValueError: there is no such table.
        """
        self._rows.release(self.table(table).delete(np.asarray(keys).tolist()))
        self._advance()

    def info(self) -> dict[str, dict[str, float]]:
        """Return what `ReplayTable.info` says of each table, and how many requests wait for it."""
        return {
            name: {
                **table.info(),
                "waiting_samples": len(self._requests[name]),
                "waiting_inserts": sum(name in waiting.priorities for waiting in self._insertions),
            }
            for name, table in self._tables.items()
        }

    # What may go on

    def _advance(self) -> None:
        """Carry out requests until none may go on; inserts and samples take turns."""
        idle = 0
        while idle < 2:
            has_moved = self._insert_next() if self._is_turn_of_inserts else self._sample_next()
            self._is_turn_of_inserts = not self._is_turn_of_inserts
            idle = 0 if has_moved else idle + 1

    def _insert_next(self) -> bool:
        """Insert as many rows of the first insertion as the limiters of its tables allow."""
        if not self._insertions:
            return False
        first = self._insertions[0]
        allowed = min(self._tables[name].allowed_inserts() for name in first.priorities)
        count = int(min(allowed, len(first.keys) - first.done_count))
        if count < 1 and len(first.keys):
            return False
        part = slice(first.done_count, first.done_count + count)
        rows = self._rows.add(
            {name: column[part] for name, column in first.columns.items()}, np.full(count, len(first.priorities))
        )
        keys = first.keys[part].tolist()
        for name, priorities in first.priorities.items():
            self._rows.release(self._tables[name].insert(keys, priorities[part], rows))
        first.done_count += count
        if first.done_count == len(first.keys):
            self._insertions.popleft()
            first.on_done()
        return True

    def _sample_next(self) -> bool:
        """Carry out the first request of each table that allows it."""
        has_moved = False
        for name, requests in self._requests.items():
            if requests and self._tables[name].allowed_samples() >= 1:
                request = requests.popleft()
                request.sample = self._sampled(request)
                request.on_done()
                has_moved = True
        return has_moved

    def _sampled(self, request: Request) -> Sample:
        taken: Taken = self._tables[request.table].sample(request.count)
        columns = self._rows.take(taken.rows)
        self._rows.release(taken.gone)
        return Sample(columns, *taken[:1], *taken[2:6], has_waited=request.has_waited)

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """Return the state as plain values and arrays, for another service's `resume`; without requests that wait."""
        tables = {name: table.state() for name, table in self._tables.items()}
        held = np.unique(np.concatenate([table["row"] for table in tables.values()]))
        for table in tables.values():
            table["row"] = np.searchsorted(held, table["row"])
        return {"next_key": self._next_key, "tables": tables, "rows": self._rows.take(held)}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another service's `state`; this one has no items yet, and tables of the same names.

        Raises:
            ValueError: it has other tables, or they are too small; nothing changes.
        """
        if state["tables"].keys() != self._tables.keys():
            raise ValueError(f"the state is of tables {[*state['tables']]}, not of {[*self._tables]}")
        for name, table in self._tables.items():
            table.require_fitting(state["tables"][name])
        count = len(next(iter(state["rows"].values()), ()))
        holders = np.zeros(count, np.int64)
        for table in state["tables"].values():
            np.add.at(holders, table["row"], 1)
        rows = self._rows.add(state["rows"], holders) if count else np.empty(0, np.int64)
        for name, table in self._tables.items():
            kept = state["tables"][name]
            table.resume({**kept, "row": rows[kept["row"]]})
        self._next_key = state["next_key"]
        self._advance()

    def check_invariants(self) -> None:
        """Raise AssertionError if tables or rows contradict themselves or each other."""
        for table in self._tables.values():
            table.check_invariants()
        self._rows.check_invariants()
        for name, requests in self._requests.items():
            assert not requests or self._tables[name].allowed_samples() < 1, f"a sample of {name!r} waits in vain"


def _require_room(waiting: deque[Any]) -> None:
    if len(waiting) >= WAITING_LIMIT:
        raise ValueError(f"{WAITING_LIMIT:,} requests wait for a limiter already: what they wait for does not come")
