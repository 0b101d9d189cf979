"""The control store in a PostgreSQL database, which every node of the cluster asks by itself.

So the cluster outlives any of its nodes. Writes that a node sends together are committed together; writes of several
nodes wait for each other in the database, see `postgres_schema`. A write whose connection was lost is sent again under
its nonce, by which the database knows whether it happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from actorrt.cluster.control import postgres_schema as schema
from actorrt.cluster.control.history import HistoryWatch
from actorrt.cluster.control.store import ANSWER_TIMEOUT_S, BATCH_COUNT
from actorrt.cluster.control.tables import check
from actorrt.errors import ControlUnavailableError, RuntimeStateError
from actorrt.protocol.cluster.control import News, Outcome, Row, Write
from actorrt.scopes import Scope
from actorrt.texts import text_of

if TYPE_CHECKING:
    import asyncpg

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTIONS_COUNT: Final = 4
"""So many connections a node has at most: one that writes, and others that read meanwhile."""
CONNECT_TIMEOUT_S: Final = 5.0
AGAIN_S: Final = 0.2
"""How long a request waits before it is sent again, if its connection was lost."""

_Waiting: TypeAlias = "tuple[Write, asyncio.Future[Outcome]]"


class PostgresControlStore:
    """A `ControlStore` in a database.

    Args:
        url: `postgresql://user:password@host:port/database`; several hosts if the database fails over.
        scope: owns the task that writes.

    Raises:
        RuntimeStateError: the package asyncpg is missing.
    """

    def __init__(self, url: str, scope: Scope) -> None:
        self._url = url
        self._scope = scope
        self._driver = driver = _driver()
        self._lost = (
            OSError,
            driver.PostgresConnectionError,
            driver.OperatorInterventionError,  # it stops, or starts
            driver.TooManyConnectionsError,
            driver.ReadOnlySQLTransactionError,  # it was the primary
            driver.InternalClientError,  # no host takes writes, or the connection broke in an unfortunate moment
            driver.InterfaceError,
        )
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._is_away = False
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._history = HistoryWatch("its database is an older copy, or another one")

    async def open(self, cluster: str | None) -> str | None:
        """Make the tables if there are none, and make them the cluster's.

        Args:
            cluster: the fingerprint of the cluster's authority; None asks only.

        Returns:
            The fingerprint of the cluster that the database belongs to; None if it belongs to none.

        Raises:
            RuntimeStateError: another version of actorrt made the tables, or they are another cluster's.
            ControlUnavailableError: the database does not answer.
        """
        found, owner = await self._ask(lambda connection: self._make(connection, cluster))
        if found != schema.FORMAT:
            raise RuntimeStateError(
                f"the tables in {self._place} have the format {found} of another version of actorrt, not "
                f"{schema.FORMAT}; use the same version on all nodes"
            )
        if cluster is not None and owner != cluster:
            raise RuntimeStateError(
                f"the database {self._place} has the control store of another cluster: join that one with a token, or "
                "give another database"
            )
        return owner

    async def _make(self, connection: asyncpg.Connection, cluster: str | None) -> tuple[int, str | None]:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", schema.SETUP_LOCK)
            if not await connection.fetchval(schema.EXISTS):
                await connection.execute(schema.MAKE)
            if cluster is not None:
                await connection.execute(schema.CLAIM, cluster)
            found, owner = await connection.fetchrow(schema.STATE)
        if await connection.fetchval("SHOW fsync") != "on":
            logger.error("the database %s has fsync off: a crash of it loses what was acknowledged", self._place)
        return found, owner

    @property
    def _place(self) -> str:
        """The URL without a password."""
        scheme, _, rest = self._url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    # Requests

    async def write(self, write: Write) -> Outcome:
        check(write)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, outcome))
        if self._writing is None:
            self._writing = self._scope.start(self._write_all(), "control store")
        return await outcome

    async def read(self, table: str, key: bytes) -> Row | None:
        found = await self._ask(lambda connection: connection.fetchrow(schema.READ, table, key))
        return None if found is None else Row(table, key, found["value"], found["version"])

    async def since(self, version: int, tables: Sequence[str]) -> News:
        known = self._history.newest
        found = await self._ask(lambda connection: connection.fetch(schema.SINCE, version, list(tables)))
        first = found[0]
        self._history.read(first["version"], known)
        rows = [Row(row["name"], row["key"], row["value"], row["row_version"]) for row in found if row["key"]]
        return News(first["version"], first["view"], first["now_s"], rows, first["is_whole"])

    async def close(self) -> None:
        """Finish what has been asked for, and close the connections. Idempotent."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
        self._is_closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    # Writes

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_COUNT], self._waiting[BATCH_COUNT:]
                try:
                    outcomes = await self._ask(partial(_carry_out, [write for write, _ in batch]))
                except BaseException as error:
                    _fail(batch, error)
                    if not isinstance(error, ControlUnavailableError):
                        raise
                else:
                    for (_, future), outcome in zip(batch, outcomes, strict=True):
                        self._history.wrote(outcome.version)
                        if not future.done():  # whoever asked waits no longer
                            future.set_result(outcome)
        finally:
            self._writing = None

    # Connections

    async def _ask(self, work: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]]) -> T:
        """Do the work with a connection; again with another one if the connection is lost, until the time is up."""
        why = "it does not answer"
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    pool = await self._connected()
                    try:
                        async with pool.acquire() as connection:
                            answer = await work(connection)
                        self._is_away = False
                        return answer
                    except self._lost as error:
                        if isinstance(error, ValueError):  # such as a URL that can't be understood
                            raise
                        why = text_of(error)
                        self._say_away(why)
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            raise ControlUnavailableError(
                f"the database {self._place} with the control store can't be reached for {ANSWER_TIMEOUT_S:g} s: {why}"
            ) from None
        except (self._driver.PostgresError, ValueError) as error:
            raise ControlUnavailableError(
                f"the database {self._place} refuses what the control store needs: {_advice(self._driver, error)}"
            ) from error

    def _say_away(self, why: str) -> None:
        """Log that the database does not answer, once until it does."""
        if not self._is_away:
            self._is_away = True
            logger.warning("the database %s does not answer, and is asked again: %s", self._place, why)

    async def _connected(self) -> asyncpg.Pool:
        async with self._opening:
            if self._is_closed:
                raise ControlUnavailableError("the control store is closed: its node ends")
            if self._pool is None:
                self._pool = await self._driver.create_pool(
                    self._url,
                    min_size=0,
                    max_size=CONNECTIONS_COUNT,
                    timeout=CONNECT_TIMEOUT_S,
                    target_session_attrs="read-write",
                    server_settings={"application_name": "actorrt"},
                )
            return self._pool


async def _carry_out(writes: Sequence[Write], connection: asyncpg.Connection) -> list[Outcome]:
    changes = [(number, change) for number, write in enumerate(writes, start=1) for change in write.changes]
    answers = await connection.fetch(
        schema.CARRY_OUT,
        [write.nonce for write in writes],
        [write.view for write in writes],
        [number for number, _ in changes],
        [change.table for _, change in changes],
        [change.key for _, change in changes],
        [change.value for _, change in changes],
        [change.expected for _, change in changes],
    )
    return [Outcome(committed, version, view, _rows(*found)) for committed, version, view, *found in answers]


def _rows(*columns: Sequence[Any] | None) -> list[Row]:
    return [Row(*row) for row in zip(*(column or () for column in columns), strict=True)]


def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    why = text_of(error) if isinstance(error, Exception) else "its node ends"
    for _, future in batch:
        if not future.done():
            future.set_exception(ControlUnavailableError(f"the control store could not save a write: {why}"))


def _advice(driver: Any, error: Exception) -> str:
    if isinstance(error, driver.DiskFullError):
        return f"{error}; free some space, and the cluster goes on by itself"
    if isinstance(error, driver.InsufficientPrivilegeError):
        return f"{error}; its user must own the schema actorrt, or may make it: GRANT CREATE ON DATABASE"
    return text_of(error)


def _driver() -> Any:
    try:
        import asyncpg  # an extra: other clusters do without it
    except ImportError as error:
        raise RuntimeStateError(
            "a control store in PostgreSQL needs the package asyncpg: pip install 'actorrt[postgres]'"
        ) from error
    return asyncpg
