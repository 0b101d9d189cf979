"""What every control store promises, whatever keeps its rows."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from actorrt.cluster.control.log import Log, MemoryLog
from actorrt.cluster.control.postgres import PostgresControlStore
from actorrt.cluster.control.sqlite_log import SqliteLog
from actorrt.cluster.control.store import ControlStore, LocalControlStore
from actorrt.cluster.control.tables import Batch, Tables
from actorrt.errors import ControlUnavailableError
from actorrt.machine.threads import OsThreads
from actorrt.protocol.cluster.control import MEMBERS, MISSING, Change, Row, Write
from actorrt.scopes import Scope
from tests.postgres_server import PostgresServer, emptied

_nonces = itertools.count(1)


def write_of(*changes: Change, view: int | None = None) -> Write:
    return Write(list(changes), next(_nonces).to_bytes(16, "big"), view)


def add(key: bytes, value: bytes = b"", table: str = "names") -> Write:
    return write_of(Change(table, key, value, MISSING))


class FailingLog:
    """Fails to commit where it is told to: before or after the rows are kept."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.fails: str | None = None
        self.open, self.close = log.open, log.close

    def commit(self, batch: Batch) -> None:
        if self.fails == "before":
            raise OSError("no space left on device")
        self._log.commit(batch)
        if self.fails == "after":
            raise OSError("the disk went away")


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    return log_of(request.param, tmp_path)


def log_of(kind: str, directory: Path) -> Log:
    return MemoryLog() if kind == "memory" else SqliteLog(str(directory / "control"))


def scope() -> Scope:
    def crashed(error: BaseException) -> None:
        raise error

    return Scope("test", crashed)


def make_store(log: Log) -> LocalControlStore:
    return LocalControlStore(log, OsThreads(), scope(), lambda: 1e9)


class Opener(Protocol):
    """Opens the store of a test again, as a node does that starts again."""

    async def __call__(self) -> LocalControlStore | PostgresControlStore: ...


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def open_store(
    request: pytest.FixtureRequest, postgres: PostgresServer | None, tmp_path: Path
) -> AsyncIterator[Opener]:
    stores: list[LocalControlStore | PostgresControlStore] = []
    log, url = log_of(request.param, tmp_path), ""
    if request.param == "postgres":
        url = await emptied(postgres)

    async def open_again() -> LocalControlStore | PostgresControlStore:
        if url:
            database = PostgresControlStore(url, scope())
            await database.open("a cluster")
            stores.append(database)
            return database
        store = make_store(log)
        await store.open()
        stores.append(store)
        return store

    yield open_again
    for store in stores:
        if isinstance(store, LocalControlStore):
            store.check_invariants()
        await store.close()


@pytest.fixture
async def store(open_store: Opener) -> LocalControlStore | PostgresControlStore:
    return await open_store()


async def test_a_write_is_read_back_with_its_version(store: ControlStore) -> None:
    made = await store.write(add(b"a", b"1"))
    assert (made.is_committed, made.version) == (True, 1)
    assert await store.read("names", b"a") == Row("names", b"a", b"1", 1)
    assert await store.read("names", b"b") is None


async def test_of_writers_that_expect_the_same_version_one_wins_and_the_others_see_what_it_wrote(
    store: ControlStore,
) -> None:
    outcomes = await asyncio.gather(*(store.write(add(b"a", b"%d" % number)) for number in range(100)))
    (winner,) = [number for number, outcome in enumerate(outcomes) if outcome.is_committed]
    row = Row("names", b"a", b"%d" % winner, 1)
    assert all(outcome.rows == [row] for outcome in outcomes if not outcome.is_committed)
    assert await store.read("names", b"a") == row


async def test_the_changes_of_a_write_happen_all_or_none(store: ControlStore) -> None:
    await store.write(add(b"a"))
    outcome = await store.write(write_of(Change("names", b"b", b"", MISSING), Change("names", b"a", b"", MISSING)))
    assert not outcome.is_committed
    assert await store.read("names", b"b") is None


async def test_a_write_to_the_members_compares_the_view_and_moves_it(store: ControlStore) -> None:
    first = await store.write(write_of(Change(MEMBERS, b"n1", b""), view=0))
    assert (first.is_committed, first.view) == (True, first.version)
    await store.write(add(b"a"))
    stale = await store.write(write_of(Change(MEMBERS, b"n2", b""), view=0))
    assert (stale.is_committed, stale.view) == (False, first.view)
    second = await store.write(write_of(Change(MEMBERS, b"n2", b""), view=stale.view))
    assert second.is_committed
    assert (await store.since(0, [MEMBERS])).view == second.view


async def test_a_write_that_is_sent_again_happens_once(open_store: Opener) -> None:
    store = await open_store()
    write = write_of(Change("names", b"a", b"1"))
    first = await store.write(write)
    await store.write(write_of(Change("names", b"a", b"2")))
    assert (await store.write(write)).version == first.version
    await store.close()
    reopened = await open_store()
    assert (await reopened.write(write)).version == first.version
    row = await reopened.read("names", b"a")
    assert row is not None
    assert row.value == b"2"


async def test_a_reader_learns_what_is_new_and_what_was_deleted(store: ControlStore) -> None:
    await store.write(add(b"a"))
    await store.write(add(b"b"))
    seen = await store.since(0, ["names"])
    assert [row.key for row in seen.rows] == [b"a", b"b"]
    assert seen.now_s >= 1e9
    await store.write(write_of(Change("names", b"a", None)))
    news = await store.since(seen.version, ["names"])
    assert [(row.key, row.value) for row in news.rows] == [(b"a", None)]
    assert not news.is_whole
    assert [(row.key) for row in (await store.since(10_000, ["names"])).rows] == [b"b"]  # of another history


async def test_what_was_acknowledged_is_there_after_the_store_is_opened_again(open_store: Opener) -> None:
    store = await open_store()
    await asyncio.gather(*(store.write(add(b"%d" % number)) for number in range(1_000)))
    before = await store.since(0, ["names"])
    await store.close()
    reopened = await open_store()
    after = await reopened.since(0, ["names"])
    assert dataclasses.replace(after, now_s=before.now_s) == before


async def test_a_write_that_changes_a_row_twice_is_refused_alone(store: ControlStore) -> None:
    twice = write_of(Change("names", b"a", b"1"), Change("names", b"a", b"2"))
    good, bad = await asyncio.gather(store.write(add(b"b")), store.write(twice), return_exceptions=True)
    assert isinstance(bad, ValueError)
    assert not isinstance(good, BaseException)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_write_that_may_not_be_kept_fails_and_what_was_kept_is_found_out(log: Log, when: str) -> None:
    failing = FailingLog(log)
    store = make_store(failing)
    await store.open()
    await store.write(add(b"a"))
    failing.fails = when
    write = add(b"b")
    with pytest.raises(ControlUnavailableError, match="could not save a write"):
        await store.write(write)
    assert await store.read("names", b"a") is not None
    assert (await store.read("names", b"b") is not None) is (when == "after")
    failing.fails = None
    assert (await store.write(write)).version == 2  # sent again under its nonce: it happens once
    assert (await store.write(add(b"c"))).version == 3
    store.check_invariants()
    await store.close()


async def test_a_closed_store_refuses_reads_and_writes(store: ControlStore) -> None:
    pending = asyncio.gather(*(store.write(add(b"%d" % number)) for number in range(10)))
    await asyncio.sleep(0)
    await store.close()
    assert all(outcome.is_committed for outcome in await pending)
    with pytest.raises(ControlUnavailableError, match="its node ends"):
        await store.write(add(b"a"))
    with pytest.raises(ControlUnavailableError, match="its node ends"):
        await store.read("names", b"a")


# SQLite


def test_a_file_that_is_open_is_refused_to_a_second_store(tmp_path: Path) -> None:
    first, second = SqliteLog(str(tmp_path / "control")), SqliteLog(str(tmp_path / "control"))
    first.open()
    with pytest.raises(OSError, match="another node runs on this state directory"):
        second.open()
    first.close()
    second.open()
    second.close()


def damage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1_000)


def of_a_later_format(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(("spoil", "text"), [(damage, "the file is damaged"), (of_a_later_format, "format 99")])
def test_a_file_that_cant_be_read_is_refused_with_its_name(
    tmp_path: Path, spoil: Callable[[Path], None], text: str
) -> None:
    spoil(tmp_path / "control")
    with pytest.raises(OSError, match=text) as refused:
        SqliteLog(str(tmp_path / "control")).open()
    assert str(tmp_path) in str(refused.value)


def test_the_file_is_for_its_user_only(tmp_path: Path) -> None:
    log = SqliteLog(str(tmp_path / "control"))
    log.open()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    log.close()


WRITER = """
import sys
from actorrt.protocol.cluster.control import Change, Write
from actorrt.cluster.control.postgres import PostgresControlStore
from actorrt.cluster.control.sqlite_log import SqliteLog
from actorrt.cluster.control.tables import Staging

log = SqliteLog(sys.argv[1])
tables = log.open()
for number in range(tables.version, 1_000_000):
    staging = Staging(tables)
    staging.write(Write([Change("names", b"%d" % (number % 50), b"%d" % number)], number.to_bytes(16, "big")))
    batch = staging.close()
    log.commit(batch)
    tables.add(batch)
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(1)
    path = str(tmp_path / "control")
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chance.randrange(1, 200))]
            writer.kill()
            lines += writer.stdout.readlines()
        acknowledged = max(int(line) for line in lines if line.endswith("\n"))
        log = SqliteLog(path)
        tables: Tables = log.open()
        tables.check_invariants()
        log.close()
        assert tables.version in (acknowledged + 1, acknowledged + 2)
        row = tables.row("names", b"%d" % (acknowledged % 50))
        assert row is not None
        assert row.value is not None
        assert int(row.value) >= acknowledged
