"""A slow disk: a put that waits for room delays no other client, and no loop is blocked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actorrt.actors.wire.payload import Payloads
from actorrt.config import MIB
from actorrt.errors import ObjectStoreFullError
from actorrt.store.client.client import StoreClient
from actorrt.store.client.ref import ObjectRef
from actorrt.store.memory.disk import SpillDisk
from actorrt.store.server import server
from tests.integration.store_serving import Serving, serving

CAPACITY_BYTES = 64 * MIB
LARGE = np.ones(40 * MIB, np.uint8)


class Gate:
    """Holds every write to disk until it is opened."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self.is_open = threading.Event()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    write = SpillDisk.write

    def held(self: SpillDisk, *arguments: object) -> object:
        gate.is_reached.set()
        gate.is_open.wait()
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SpillDisk, "write", held)
    yield gate
    gate.is_open.set()


@pytest.fixture
def store(disk: Gate, tmp_path: Path) -> Iterator[Serving]:
    with serving(CAPACITY_BYTES, spill_directory=str(tmp_path)) as store:
        yield store
        disk.is_open.set()


@pytest.fixture
def client(store: Serving) -> Iterator[StoreClient]:
    client = store.connect()
    yield client
    client.close()


@pytest.fixture
def other(store: Serving) -> Iterator[StoreClient]:
    client = store.connect()
    yield client
    client.close()


async def beats(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: threading.Event) -> None:
    while not condition.is_set():
        await asyncio.sleep(0)


async def test_put_async_waits_without_blocking_the_loop(client: StoreClient, disk: Gate) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    putting = asyncio.ensure_future(client.put_async(LARGE * 2))  # waits for the disk; awaited below
    await until(disk.is_reached)
    await beats(100)
    assert client.stats()["objects_count"] == 1  # the connection serves other requests meanwhile
    assert not putting.done()
    disk.is_open.set()
    ref = await putting
    assert (await ref == 2).all()
    assert (await first == 1).all()


async def test_cancelled_put_async_takes_no_memory(client: StoreClient, store: Serving, disk: Gate) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    putting = asyncio.ensure_future(client.put_async(LARGE))  # waits for the disk; awaited below
    await until(disk.is_reached)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    disk.is_open.set()
    while client.stats()["spills_count"] == 0:
        await asyncio.sleep(0)
    del first
    while client.stats()["objects_count"]:
        await asyncio.sleep(0)
    assert store.stats()["used_bytes"] == 0


async def test_put_async_raises_at_its_deadline(client: StoreClient, disk: Gate) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    with pytest.raises(ObjectStoreFullError, match=r"no room for 40\.0 MiB: .* being moved to disk"):
        await client.put_async(LARGE, timeout_s=0.05)
    assert (await first)[0] == 1


async def test_put_on_the_loop_can_be_read_at_once_and_is_stored_later(
    client: StoreClient, other: StoreClient, disk: Gate
) -> None:
    client.attach(asyncio.get_running_loop())
    other.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    ref = client.put(LARGE * 2)
    assert disk.is_reached.wait(10)
    assert (ref.get() == 2).all()
    theirs = other.ref(ref.id)
    assert not theirs.done()
    disk.is_open.set()
    assert (await theirs == 2).all()
    del first
    while isinstance(ref.mapped(), memoryview):  # the copy is dropped when the store has the object
        await asyncio.sleep(0)
    assert (ref.get() == 2).all()


async def test_large_result_or_argument_is_sent_at_once_and_stored_later(
    client: StoreClient, other: StoreClient, disk: Gate
) -> None:
    client.attach(asyncio.get_running_loop())
    other.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    endpoint: Any = None  # actor refs would be bound to it
    captured = Payloads(client, endpoint).capture_value({"large": LARGE * 2})
    assert isinstance(captured.body, dict)
    theirs = other.ref(captured.body["object"], captured.body["token"])
    assert not theirs.done()
    disk.is_open.set()
    assert ((await theirs)["large"] == 2).all()
    assert (await first == 1).all()


async def test_puts_that_wait_beside_the_loop_are_bounded(client: StoreClient, disk: Gate) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    waiting = client.put(LARGE)
    with pytest.raises(ObjectStoreFullError, match=r"await actorrt\.put_async"):
        client.put(LARGE)
    with pytest.raises(ObjectStoreFullError, match=r"await actorrt\.put_async"):
        client.allocate(40 * MIB, np.uint8)
    disk.is_open.set()
    assert (await client.ref(waiting.id) == 1).all()
    assert (await first == 1).all()


async def test_waiters_for_a_value_that_never_finds_room_get_an_error(
    client: StoreClient, other: StoreClient, disk: Gate
) -> None:
    client.attach(asyncio.get_running_loop())
    other.attach(asyncio.get_running_loop())
    first = client.put(LARGE)
    ref = client.put(LARGE, timeout_s=0.2)
    with pytest.raises(ObjectStoreFullError, match=r"no room for 40\.0 MiB"):
        await other.ref(ref.id)
    assert (await first)[0] == 1


async def test_closing_a_client_abandons_its_waiting_puts(store: Serving, disk: Gate) -> None:
    client = store.connect()
    client.attach(asyncio.get_running_loop())
    first, waiting = client.put(LARGE), client.put(LARGE)
    client.close()
    disk.is_open.set()
    while store.stats()["objects_count"]:
        await asyncio.sleep(0)
    assert waiting.done()
    assert first.done()


def test_put_of_a_thread_raises_at_its_deadline_and_the_connection_still_serves(
    client: StoreClient, disk: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.put(LARGE[: 25 * MIB])  # it leaves enough memory for a loan
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError, match=r"no room for 40\.0 MiB"):
        client.put(LARGE, timeout_s=0.2)
    assert time.monotonic() - begun < 5
    assert (first.get() == 1).all()
    client.put(0)  # borrows memory again
    asked: list[object] = []
    channel = client._connection._channel
    request = channel.request
    monkeypatch.setattr(channel, "request", lambda *arguments: (asked.append(arguments), request(*arguments))[1])
    assert [client.put(number).get() for number in range(100)] == list(range(100))
    assert asked == []


def test_thread_that_waits_for_the_disk_blocks_no_other_client(client: StoreClient, disk: Gate) -> None:
    first = client.put(LARGE)
    made: list[object] = []
    putting = threading.Thread(target=lambda: made.append(client.put(LARGE * 2, timeout_s=60)))
    putting.start()
    assert disk.is_reached.wait(10)
    assert client.stats()["objects_count"] == 1
    assert putting.is_alive()
    disk.is_open.set()
    putting.join(20)
    assert (first.get() == 1).all()
    assert (made[0].get() == 2).all()  # type: ignore[attr-defined]


async def test_await_of_a_spilled_object_leaves_the_loop_free(
    client: StoreClient, other: StoreClient, disk: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.attach(asyncio.get_running_loop())
    other.attach(asyncio.get_running_loop())
    disk.is_open.set()
    first, second = client.put(LARGE), await client.put_async(LARGE * 2)
    reading = Gate()
    check = server.verify

    def held(*arguments: Any) -> str:
        reading.is_reached.set()
        reading.is_open.wait()
        return check(*arguments)

    monkeypatch.setattr(server, "verify", held)
    awaiting = asyncio.ensure_future(_value(other.ref(first.id)))  # waits for the disk; awaited below
    await until(reading.is_reached)
    await beats(100)
    assert client.stats()["spilled_bytes"] > 0
    assert not awaiting.done()
    reading.is_open.set()
    assert (await awaiting == 1).all()
    assert (await second == 2).all()


async def _value(ref: ObjectRef[Any]) -> Any:
    return await ref
