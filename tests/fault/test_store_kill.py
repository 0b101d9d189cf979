"""Killed processes leave nothing in the store."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectLostError
from actorrt.store.client.client import StoreClient
from tests.integration.store_serving import Serving, hear, serving, tell
from tests.running import wait_until


@pytest.fixture
def store() -> Iterator[Serving]:
    with serving() as state:
        yield state


@pytest.fixture
def client(store: Serving) -> Iterator[StoreClient]:
    client = store.connect()
    yield client
    client.close()


def test_pins_and_unsealed_buffer_of_a_killed_process_are_released(store: Serving) -> None:
    with store.process(
        """
        refs = [client.put(np.ones(1 << 20)) for _ in range(5)]
        views = [ref.get() for ref in refs]
        buffer = client.allocate(1 << 20, "f8")
        buffer.array[:1000] = 7
        say("holding")
        hear()
        """
    ) as process:
        assert hear(process) == "holding"
        counts = store.stats()
        assert counts["objects_count"] == 6
        assert counts["used_bytes"] > 48 * MIB
        process.send_signal(signal.SIGKILL)
        store.wait_closed(process.pid)
    counts = store.stats()
    assert [counts[name] for name in ("objects_count", "used_bytes", "pinned_bytes")] == [0, 0, 0]


def test_waiters_get_an_error_when_the_declarer_was_killed(store: Serving, client: StoreClient) -> None:
    with store.process("ref = client.declare(); say(ref.id.hex()); hear()") as declarer:
        promise = client.ref(type(client.put(0).id)(bytes.fromhex(hear(declarer))))
        assert not promise.done()
        declarer.send_signal(signal.SIGKILL)
        with pytest.raises(ObjectLostError, match="the process that promised it ended before it was sealed"):
            promise.get(timeout_s=10)


async def test_waiters_on_a_loop_get_an_error_when_the_declarer_was_killed(store: Serving, client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    with store.process("ref = client.declare(); say(ref.id.hex()); hear()") as declarer:
        object_id = await asyncio.get_running_loop().run_in_executor(None, hear, declarer)
        promise = client.ref(type(client.put(0).id)(bytes.fromhex(object_id)))
        asyncio.get_running_loop().call_soon(declarer.send_signal, signal.SIGKILL)
        with pytest.raises(ObjectLostError):
            async with asyncio.timeout(10):
                await promise


def test_object_whose_maker_was_killed_half_way_can_be_made_by_another_process(
    store: Serving, client: StoreClient
) -> None:
    promise = client.declare()
    with store.process(
        """
        target = client.create(hear_id(), 1 << 20, None, is_promised=True)
        target[:100] = b"half" * 25
        say("writing")
        hear()
        """
    ) as maker:
        tell(maker, promise.id.hex())
        assert hear(maker) == "writing"
        maker.send_signal(signal.SIGKILL)
        store.wait_closed(maker.pid)
    assert not promise.done()
    client.put("whole", object_id=promise.id)
    assert promise.get(timeout_s=10) == "whole"


def test_kill_at_any_moment_of_a_put_leaks_nothing(store: Serving, client: StoreClient) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        with store.process(
            """
            say("putting")
            refs = []
            while True:
                refs.append(client.put(np.ones(200_000, np.uint8)))
                refs[-1].get()
                del refs[:-20]
            """
        ) as process:
            assert hear(process) == "putting"
            for _ in range(rng.integers(1, 30)):
                client.stats()
            process.send_signal(signal.SIGKILL)
            store.wait_closed(process.pid)
    counts = store.stats()
    assert counts["objects_count"] == counts["used_bytes"] == counts["pinned_bytes"] == 0
    assert counts["segments_count"] <= 2  # one of them is made ahead of need


async def test_end_of_the_store_fails_waiters_at_once_and_leaves_views_readable() -> None:
    with serving() as store:
        client = store.connect()
        client.attach(asyncio.get_running_loop())
        ref = client.put(np.arange(1000))
        view = ref.get()
        unseen = client.put(b"never read")
        promise = client.declare()
        waiting = asyncio.ensure_future(_result(promise))  # waits while the store ends; awaited below
        await asyncio.sleep(0)
        closing = asyncio.run_coroutine_threadsafe(store.server.close(), store.loop)
        with pytest.raises(ObjectLostError):
            async with asyncio.timeout(5):
                await waiting
        closing.result(10)
        assert view.tolist() == list(range(1000))
        assert ref.get().tolist() == list(range(1000))
        with pytest.raises(ObjectLostError, match="the node's object store"):
            unseen.get()
        with pytest.raises(ObjectLostError, match="the node's object store"):
            client.put(1)
        client.close()


async def _result(promise: object) -> object:
    return await promise  # type: ignore[misc]


KILLED_AT_RANDOM = """
import os, random, signal, time
from actorrt.ids import PeerId
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps

shared = hear_id()
chance = random.Random(int(hear()))

def do_anything(client, seed):
    chance = random.Random(seed)
    held = []
    acts = [
        lambda: held.append(client.put({"small": seed})),
        lambda: held.append(client.put(np.ones(chance.randrange(1, 3_000_000), np.uint8))),
        lambda: held.extend(client.put_many([np.ones(100_000), b"bytes", [1, 2, 3]])),
        lambda: held.append(client.allocate(1000, "f8")),  # never sealed
        lambda: held.append(client.declare()),
        lambda: held.append(client.ref(shared).get()),
        lambda: held.append(dumps(client.put(held and 1), Carrier(client))),  # a message that is never sent
        lambda: held.append(client.put({"inside": client.put(np.ones(1000))})),
        lambda: client.names.publish("newest", np.ones(chance.randrange(1, 200_000))),
        lambda: held.append(client.names.latest("newest", 0)),
        lambda: client.pin(client.ref(shared)),
        lambda: held.clear(),
    ]
    while True:
        chance.choice(acts)()

client.close()
for number in range(COUNT):
    seed = chance.random()
    pid = os.fork()
    if pid == 0:
        do_anything(StoreClient.connect(sys.argv[1], IdSource().peer(), Surroundings.of_process()), seed)
    time.sleep(chance.random() * 0.01)  # a random moment
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
say("done")
"""


def kill_during_any_operation(count: int) -> None:
    """Fork processes that do random operations of the store, kill each after some milliseconds, and check for leaks."""
    with serving(64 * MIB) as store:
        client = store.connect()
        shared = client.put(np.arange(100_000))
        before = client.stats()
        with store.process(KILLED_AT_RANDOM.replace("COUNT", str(count))) as process:
            tell(process, shared.id.hex())
            tell(process, "1")
            assert hear(process) == "done"
        wait_until(
            lambda: client.stats()["connections_count"] == before["connections_count"],
            "the ends of the killed processes are seen",
        )
        wait_until(lambda: client.stats()["objects_count"] == 1, "the holds of messages have expired")
        assert store.stats()["refused_count"] == 0
        counts = client.stats()
        for name in ("used_bytes", "pinned_bytes", "lent_bytes"):
            assert counts[name] == before[name]
        assert shared.get()[-1] == 99_999
        client.close()


@pytest.mark.timeout(120)
def test_100_kills_during_any_operation_leak_nothing() -> None:
    kill_during_any_operation(100)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_10000_kills_during_any_operation_leak_nothing() -> None:
    kill_during_any_operation(10_000)
