"""What the control store in PostgreSQL promises beside the contract: other nodes write to it, and its server fails."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import pytest

from actorrt.cluster.control import postgres
from actorrt.cluster.control.postgres import PostgresControlStore
from actorrt.errors import ControlUnavailableError, RuntimeStateError
from actorrt.protocol.cluster.control import MEMBERS, MISSING, Change, Row, Write
from actorrt.scopes import Scope
from tests.postgres_server import PostgresServer, emptied, running_server, why_missing

_nonces = itertools.count(1)
_crashes: list[BaseException] = []


def write_of(*changes: Change, view: int | None = None) -> Write:
    return Write(list(changes), next(_nonces).to_bytes(16, "big"), view)


@pytest.fixture
async def url(postgres: PostgresServer | None) -> str:
    return await emptied(postgres)


@pytest.fixture
async def make_store(url: str) -> AsyncIterator[Callable[[], PostgresControlStore]]:
    stores: list[PostgresControlStore] = []

    def make() -> PostgresControlStore:
        stores.append(PostgresControlStore(url, Scope("test", _crashes.append)))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()
    assert not _crashes


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ANSWER_TIMEOUT_S", 0.5)


@pytest.fixture
def own_server() -> Iterator[PostgresServer | None]:
    """A server that the test may kill."""
    if why_missing() is not None:
        yield None
        return
    with running_server() as server:
        yield server


async def test_nodes_that_start_at_once_make_the_tables_once(make_store: Callable[[], PostgresControlStore]) -> None:
    stores = [make_store() for _ in range(4)]
    assert await asyncio.gather(*(store.open("ours") for store in stores)) == ["ours"] * 4
    outcomes = await asyncio.gather(*(s.write(write_of(Change("names", b"a", b"", MISSING))) for s in stores))
    assert sorted(outcome.is_committed for outcome in outcomes) == [False, False, False, True]


async def test_a_database_of_another_cluster_is_refused(make_store: Callable[[], PostgresControlStore]) -> None:
    assert await make_store().open(None) is None
    await make_store().open("ours")
    with pytest.raises(RuntimeStateError, match="the control store of another cluster: join that one with a token"):
        await make_store().open("theirs")
    assert await make_store().open(None) == "ours"


async def test_tables_of_another_version_are_refused(url: str, make_store: Callable[[], PostgresControlStore]) -> None:
    await make_store().open("ours")
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE actorrt.state SET format = 99")
    await connection.close()
    with pytest.raises(RuntimeStateError, match="have the format 99 of another version of actorrt, not 1"):
        await make_store().open("ours")


async def test_writes_of_several_nodes_are_one_history(make_store: Callable[[], PostgresControlStore]) -> None:
    """Each increments a counter in a row if it has not changed meanwhile: sorted by version, no number is missing."""
    stores = [make_store() for _ in range(4)]
    await asyncio.gather(*(store.open("ours") for store in stores))
    history: list[tuple[int, int]] = []

    async def increment(store: PostgresControlStore) -> None:
        found = await store.read("names", b"counter")
        while True:
            number = 1 + (int(found.value or b"0") if found is not None else 0)
            expected = MISSING if found is None else found.version
            outcome = await store.write(write_of(Change("names", b"counter", b"%d" % number, expected)))
            if outcome.is_committed:
                history.append((outcome.version, number))
                return
            (found,) = outcome.rows

    await asyncio.gather(*(increment(store) for store in stores for _ in range(25)))
    assert sorted(history) == [(number, number) for number in range(1, 101)]


async def test_of_members_written_by_several_nodes_over_one_view_one_is_kept(
    make_store: Callable[[], PostgresControlStore],
) -> None:
    stores = [make_store() for _ in range(3)]
    await asyncio.gather(*(store.open("ours") for store in stores))
    writes = [store.write(write_of(Change(MEMBERS, b"%d" % n, b""), view=0)) for n, store in enumerate(stores)]
    assert sum(outcome.is_committed for outcome in await asyncio.gather(*writes)) == 1
    news = await stores[0].since(0, [MEMBERS])
    assert (len(news.rows), news.view) == (1, 1)


async def test_a_node_that_is_stopped_in_a_write_holds_up_nobody(
    url: str, make_store: Callable[[], PostgresControlStore]
) -> None:
    store = make_store()
    await store.open("ours")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        await asyncio.to_thread(writer.stdout.readline)
        for _ in range(20):
            writer.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(postgres.ANSWER_TIMEOUT_S):
                assert (await store.write(write_of(Change("other", b"a", b"")))).is_committed
            writer.send_signal(signal.SIGCONT)
    finally:
        writer.kill()
        writer.communicate()


async def test_what_is_forgotten_is_bounded_and_late_readers_get_all_rows(
    url: str, make_store: Callable[[], PostgresControlStore]
) -> None:
    store = make_store()
    await store.open("ours")
    await store.write(write_of(Change("names", b"kept", b"1")))
    first = write_of(Change("names", b"gone", b"1"))
    await store.write(first)
    deleted = (await store.write(write_of(Change("names", b"gone", None)))).version
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE actorrt.state SET version = version + 20000")
    await store.write(write_of(Change("other", b"a", b"1")))
    assert await connection.fetchval("SELECT count(*) FROM actorrt.nonces") == 1
    assert await connection.fetchval("SELECT count(*) FROM actorrt.rows") == 2
    await connection.close()
    news = await store.since(deleted - 1, ["names"])
    assert news.is_whole
    assert [row.key for row in news.rows] == [b"kept"]


async def test_a_database_that_has_gone_back_is_away(url: str, make_store: Callable[[], PostgresControlStore]) -> None:
    store = make_store()
    await store.open("ours")
    await store.write(write_of(Change("names", b"a", b"1")))
    await store.write(write_of(Change("names", b"a", b"2")))
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE actorrt.state SET version = 1")
    await connection.close()
    with pytest.raises(ControlUnavailableError, match="has gone back from version 2 to 1: its database is an older"):
        await store.since(0, ["names"])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql:///nowhere?host={directory}", 'database "nowhere" does not exist'),
        ("postgresql://h:not_a_port/x", "refuses what the control store needs"),
        ("postgresql://someone@/postgres?host={directory}", 'role "someone" does not exist'),
    ],
)
async def test_a_wrong_url_fails_at_once_with_the_reason(postgres: PostgresServer | None, url: str, text: str) -> None:
    if postgres is None:
        pytest.skip(why_missing() or "")
    place = url.format(directory=postgres.directory).replace("///", "//postgres@/")
    store = PostgresControlStore(place, Scope("test", _crashes.append))
    with pytest.raises(ControlUnavailableError, match=text):
        await store.open("ours")
    await store.close()


@pytest.mark.usefixtures("short_patience")
async def test_an_error_has_no_password_in_it() -> None:
    store = PostgresControlStore("postgresql://me:secret@/x?host=/nowhere", Scope("test", _crashes.append))
    with pytest.raises(ControlUnavailableError, match=r"can't be reached for 0\.5 s") as away:
        await store.read("names", b"a")
    assert "secret" not in str(away.value)
    await store.close()


# The server fails


WRITER = """
import asyncio, itertools, sys
from actorrt.cluster.control.postgres import PostgresControlStore
from actorrt.protocol.cluster.control import Change, Write
from actorrt.scopes import Scope

async def main():
    store = PostgresControlStore(sys.argv[1], Scope("writer", print))
    await store.open("ours")
    for number in itertools.count():
        change = Change("names", b"%d" % (number % 50), b"%d" % number)
        await store.write(Write([change], number.to_bytes(16, "big")))
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(own_server: PostgresServer | None) -> None:
    url = await emptied(own_server)
    assert own_server is not None
    store = PostgresControlStore(url, Scope("test", _crashes.append))
    await store.open("ours")
    chance, acknowledged = random.Random(1), {}
    is_over = False

    async def writes(name: int) -> None:
        number = 0
        while not is_over:
            number += 1
            key, value = b"%d" % name, b"%d" % number
            outcome = await store.write(write_of(Change("names", key, value)))
            assert outcome.is_committed
            acknowledged[key] = Row("names", key, value, outcome.version)

    writers = [asyncio.ensure_future(writes(name)) for name in range(8)]  # awaited below
    for _ in range(3):
        count = sum(int(row.value or b"0") for row in acknowledged.values()) + chance.randrange(20, 100)
        while sum(int(row.value or b"0") for row in acknowledged.values()) < count:
            await asyncio.sleep(0.001)  # polling interval, since writers count and tell nobody
        own_server.kill()
        await asyncio.to_thread(own_server.start)
    is_over = True
    await asyncio.gather(*writers)  # each write outlived the kills: sent again under its nonce, it happened once
    news = await store.since(0, ["names"])
    assert news.rows == sorted(acknowledged.values(), key=lambda row: row.version)
    assert news.version == sum(int(row.value or b"0") for row in acknowledged.values())
    await store.close()
    assert not _crashes


async def test_while_the_server_is_away_requests_fail_and_then_go_on(
    own_server: PostgresServer | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await emptied(own_server)
    assert own_server is not None
    store = PostgresControlStore(url, Scope("test", _crashes.append))
    await store.open("ours")
    own_server.stop()
    write = write_of(Change("names", b"a", b"1"))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(postgres, "ANSWER_TIMEOUT_S", 0.5)
            with pytest.raises(ControlUnavailableError, match=r"could not save a write: the database .* can't be"):
                await store.write(write)
            with pytest.raises(ControlUnavailableError, match=r"can't be reached for 0\.5 s"):
                await store.since(0, ["names"])
    finally:
        await asyncio.to_thread(own_server.start)
    assert (await store.write(write)).version == 1
    await store.close()
    assert not _crashes
