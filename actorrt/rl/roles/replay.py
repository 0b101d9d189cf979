"""The replay service as an actor: simulators insert rows, learners take samples, limiters pace both."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import actorrt as art
from actorrt.rl.foundation.memory import keep_freed_memory
from actorrt.rl.replay.service import Insertion, ReplayService, Request, Sample
from actorrt.rl.replay.table import Table
from actorrt.rl.spaces.array_spaces import Array

REQUESTS_COUNT = 1_000


class Replay(art.Actor):
    """Tables of items that refer to rows, which are kept once.

    A request that a limiter holds up waits for its turn, and nothing polls; a call whose deadline passes, or that is
    cancelled, leaves nothing of it behind but rows that are in the tables already. So a slow learner slows simulators
    down, and slow simulators a learner, as the limiter says.

    With `snapshot_every` the next incarnation continues with the rows, keys, priorities and counts of the last
    snapshot. Rows inserted since are lost when the process is killed; `info` counts from the snapshot on.

    Args:
        tables: at least one `Table`.
        seed: of all choices.

    Raises:
        ValueError: there is no table, or two have one name.
    """

    _default_options: ClassVar[Mapping[str, Any]] = {"max_concurrency": REQUESTS_COUNT}

    def __init__(self, tables: Sequence[Table], seed: int = 0) -> None:
        self._service = ReplayService(tables, seed)

    async def on_start(self) -> None:
        """Keep freed memory: a new batch in pages of the system's takes ten times as long to fill."""
        keep_freed_memory()

    async def insert(self, columns: Mapping[str, Array], priorities: Mapping[str, Any] | None = None) -> Array:
        """Insert rows; return their keys when all are in the tables.

        Args:
            columns: an array for each column, all of one length. The first rows decide on types and shapes.
            priorities: for each table that gets items for these rows: a number, or an array with one for each row; None
                means 1 in every table.

        Raises:
            ValueError: the rows do not fit the earlier ones, a priority is bad, or there is no such table; nothing
                changes.
        """
        insertion = self._service.insert(columns, priorities)
        await self._served(insertion)
        return insertion.keys

    async def sample(self, table: str, count: int) -> Sample:
        """Take items, as soon as the limiter allows one; then as many as it allows, and at most `count`.

        Raises:
            ValueError: there is no such table, or `count` is less than 1.
        """
        request = self._service.sample(table, count)
        await self._served(request)
        assert request.sample is not None, "it was served"
        return request.sample

    async def _served(self, request: Insertion | Request) -> None:
        """Wait until a request is done; withdraw it if nobody waits for it any more."""
        if request.is_done:
            return
        done = asyncio.Event()
        request.on_done = done.set
        try:
            await done.wait()
        finally:
            if not request.is_done:
                self._service.withdraw(request)

    def update(self, table: str, keys: Array, priorities: Array) -> None:
        """Replace priorities of items; keys whose items have gone meanwhile are ignored.

        Raises:
            ValueError: there is no such table, or a priority is bad; nothing changes.
        """
        self._service.update(table, keys, priorities)

    def delete(self, table: str, keys: Array) -> None:
        """Remove items from a table; keys whose items have gone meanwhile are ignored.

        Raises:
            ValueError: there is no such table.
        """
        self._service.delete(table, keys)

    def info(self) -> dict[str, dict[str, float]]:
        """Return for each table its size, inserts, samples, deletions, samples for each insert, and what waits."""
        return self._service.info()

    def snapshot(self) -> Any:
        """Return rows, keys, priorities and counts; requests that wait are left out."""
        return self._service.state()

    def restore(self, state: Any) -> None:
        """Continue from the last incarnation's snapshot."""
        self._service.resume(state)
