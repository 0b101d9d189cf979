"""The control store: what the nodes of a cluster agree on by writes that compare versions.

Kept in it: members, names, tokens, revocations. Never kept in it: heartbeats, calls, tasks, loads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, ParamSpec, Protocol, TypeAlias, TypeVar

from actorrt.cluster.control.log import Log
from actorrt.cluster.control.tables import Staging, Tables
from actorrt.errors import ControlUnavailableError
from actorrt.machine.threads import Threads
from actorrt.protocol.cluster.control import News, Outcome, Row, Write
from actorrt.scopes import Scope
from actorrt.texts import text_of

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ANSWER_TIMEOUT_S: Final = 10.0
"""How long a request to a store elsewhere waits, unless its caller waits less."""
BATCH_COUNT: Final = 256
"""So many writes are committed together at most."""
_CLOSED: Final = "its node ends"

_Waiting: TypeAlias = "tuple[Write, asyncio.Future[Outcome]]"


class ControlStore(Protocol):
    """The control store of a cluster, here or at another node.

    Each method raises ControlUnavailableError if the store does not answer. A write may have happened then: whoever
    sends it again, under its nonce, learns what became of it.
    """

    async def write(self, write: Write) -> Outcome:
        """Carry out a write; return when it is on disk, or has been refused."""

    async def read(self, table: str, key: bytes) -> Row | None:
        """Return a row; None if there is none."""

    async def since(self, version: int, tables: Sequence[str]) -> News:
        """Return the rows of these tables that were written after a version."""


class LocalControlStore:
    """The control store of the process that has its file. Writes that come together are committed together.

    Args:
        log: keeps the rows.
        threads: for the thread in which the log blocks.
        scope: owns the task that commits.
        wall: the time in seconds since 1970.

    Attributes:
        on_commit: called with the store's version after each commit.
    """

    def __init__(self, log: Log, threads: Threads, scope: Scope, wall: Callable[[], float]) -> None:
        self._log = log
        self._thread: Executor = threads.pool("actorrt-control")
        self._scope = scope
        self._wall = wall
        self._tables = Tables()
        self._waiting: list[_Waiting] = []
        self._opening = asyncio.Lock()
        self._committing: asyncio.Task[None] | None = None
        self._why_away: str | None = "it is not open"
        self.on_commit: Callable[[int], None] = lambda version: None

    async def open(self) -> None:
        """Read the rows that are kept.

        Raises:
            OSError: they can't be read.
        """
        async with self._opening:
            if self._why_away == _CLOSED:
                raise OSError(_CLOSED)
            if self._why_away is not None:
                self._tables = await self._in_thread(self._log.open)
                self._why_away = None

    async def write(self, write: Write) -> Outcome:
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, outcome))
        if self._committing is None:
            self._committing = self._scope.start(self._commit_all(), "control store")
        return await outcome

    async def read(self, table: str, key: bytes) -> Row | None:
        await self._need()
        return self._tables.row(table, key)

    async def rows(self, table: str) -> list[Row]:
        """Return the rows of a table, the one that was written last at the end."""
        await self._need()
        return list(self._tables.rows(table))

    async def since(self, version: int, tables: Sequence[str]) -> News:
        await self._need()
        rows, is_whole = self._tables.since(version, tables)
        return News(self._tables.version, self._tables.view, self._wall(), rows, is_whole)

    async def close(self) -> None:
        """Finish what has been asked for, and release the file. Idempotent."""
        while self._committing is not None:
            await asyncio.wait([self._committing])
        if self._why_away != _CLOSED:
            self._why_away = _CLOSED
            await self._in_thread(self._log.close)
            self._thread.shutdown(wait=False)

    def check_invariants(self) -> None:
        """Raise AssertionError if the rows contradict themselves."""
        self._tables.check_invariants()

    async def _need(self) -> None:
        """Open the store if a batch has failed: whether that was kept is known by reading what is kept."""
        if self._why_away is not None:
            try:
                await self.open()
            except OSError as error:
                raise ControlUnavailableError(f"the control store is away: {error}") from error

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_COUNT], self._waiting[BATCH_COUNT:]
                try:
                    await self._commit(batch)
                except OSError as error:
                    logger.error("the control store is away: %s", error)
                    self._failed(batch, str(error))
                except BaseException as error:
                    self._failed(batch, text_of(error))
                    raise
        finally:
            self._committing = None

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Carry out writes; none of them is answered before all that were carried out are kept."""
        await self.open()
        staging = Staging(self._tables)
        answers: list[tuple[asyncio.Future[Outcome], Outcome | ValueError]] = []
        for write, future in batch:
            try:
                answers.append((future, staging.write(write)))
            except ValueError as error:
                answers.append((future, error))
        if staging.batch.nonces:
            kept = staging.close()
            await self._in_thread(self._log.commit, kept)
            self._tables.add(kept)
        for future, answer in answers:
            if future.done():  # whoever asked waits no longer
                continue
            if isinstance(answer, ValueError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if staging.batch.nonces:
            self.on_commit(self._tables.version)

    def _failed(self, batch: Sequence[_Waiting], why: str) -> None:
        """Called when a batch may or may not have been kept. The rows are read again before anything else."""
        if self._why_away != _CLOSED:
            self._why_away = why
        for _, future in batch:
            if not future.done():
                future.set_exception(ControlUnavailableError(f"the control store could not save a write: {why}"))

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **names: P.kwargs) -> T:
        return await asyncio.wrap_future(self._thread.submit(function, *args, **names), loop=self._scope.loop)
