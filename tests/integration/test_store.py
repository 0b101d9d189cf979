"""The object store with real processes and real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import uvloop

from actorrt.config import MIB
from actorrt.errors import (
    CallTimeoutError,
    ObjectLostError,
    ObjectStoreFullError,
    PeerUnreachableError,
    RuntimeStateError,
)
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.socket_channel import SocketChannel
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps, loads
from actorrt.store.wire.protocol import Op
from tests.integration.store_serving import IDS, Serving, hear, serving, tell
from tests.running import wait_until

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def store(request: pytest.FixtureRequest) -> Iterator[Serving]:
    with serving(new_loop=request.param) as state:
        yield state


@pytest.fixture
def client(store: Serving) -> Iterator[StoreClient]:
    client = store.connect()
    yield client
    client.close()


def test_object_put_in_one_process_is_read_in_another_without_a_copy(store: Serving, client: StoreClient) -> None:
    ref = client.put(np.arange(5 * MIB // 8))
    with store.process(
        """
        array = client.ref(hear_id()).get()
        say(int(array.sum()))
        say(array.flags.writeable)
        address = array.__array_interface__["data"][0]
        mapped = [line for line in open("/proc/self/maps")
                  if int(line.split("-")[0], 16) <= address < int(line.split("-")[1].split()[0], 16)]
        say(mapped[0].split()[1] + " " + mapped[0].split()[5])
        hear()
        """
    ) as reader:
        tell(reader, ref.id.hex())
        assert hear(reader) == str(sum(range(5 * MIB // 8)))
        assert hear(reader) == "False"
        assert hear(reader).startswith("r--s /memfd:actorrt-")
        assert store.stats()["pinned_bytes"] >= 5 * MIB


def test_forced_write_to_a_view_ends_the_writer_and_changes_nothing(store: Serving, client: StoreClient) -> None:
    ref = client.put(np.zeros(1000))
    client.flush()
    with store.process(
        """
        import ctypes
        array = client.ref(hear_id()).get()
        say("ready")
        ctypes.memset(array.__array_interface__["data"][0], 255, 8)
        """
    ) as writer:
        tell(writer, ref.id.hex())
        assert hear(writer) == "ready"
        assert writer.wait(10) == -signal.SIGSEGV
    assert ref.get().tolist() == [0.0] * 1000


def test_object_outlives_its_maker(store: Serving, client: StoreClient) -> None:
    with store.process(
        """
        ref = client.put({"weights": np.ones(100_000)})
        say(ref.id.hex())
        hear()
        """
    ) as maker:
        ref = client.ref(type(client.declare().id)(bytes.fromhex(hear(maker))))
        assert ref.get()["weights"].sum() == 100_000
    store.wait_closed(maker.pid)
    assert client.stats()["objects_count"] == 1
    assert ref.get()["weights"].sum() == 100_000


def test_many_threads_share_one_client(store: Serving, client: StoreClient) -> None:
    errors: list[BaseException] = []

    def use(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(50):
                value = rng.integers(0, 255, rng.integers(1, 100_000), np.uint8)
                assert (client.put(value).get() == value).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert client.stats()["objects_count"] == 0


def test_get_without_a_loop_returns_when_the_object_is_sealed(store: Serving, client: StoreClient) -> None:
    promise = client.declare()
    with pytest.raises(CallTimeoutError, match=r"the object did not end within 0\.05 s"):
        promise.get(timeout_s=0.05)
    with store.process("client.put('made', object_id=hear_id())") as maker:
        tell(maker, promise.id.hex())
        assert promise.get(timeout_s=10) == "made"


async def test_many_objects_can_be_awaited_on_a_loop(store: Serving, client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    promises = [client.declare() for _ in range(2500)]
    with store.process(
        """
        for _ in range(2500):
            object_id = hear_id()
            client.put(int.from_bytes(object_id[:4], "big"), object_id=object_id)
        """
    ) as maker:
        asyncio.get_running_loop().run_in_executor(None, tell, maker, "\n".join(p.id.hex() for p in promises))
        values = await asyncio.gather(*promises)
    assert values == [int.from_bytes(promise.id[:4], "big") for promise in promises]
    assert client.statistics()["watched_count"] == 0


async def test_awaited_object_is_pinned_with_its_notice_and_released_soon_if_it_is_not_read(
    store: Serving, client: StoreClient
) -> None:
    client.attach(asyncio.get_running_loop())
    maker = store.connect()
    sizes_bytes = []
    for is_read in (True, True, False):  # the first one maps the segment
        promise, ready = client.declare(), asyncio.Event()
        promise.add_callback(lambda _, ready=ready: ready.set())
        await asyncio.to_thread(maker.put, np.arange(1000), object_id=promise.id)
        await ready.wait()
        if is_read:
            array = promise.get()
            assert array[-1] == 999
            sizes_bytes.append(store.stats()["pinned_bytes"])
            del array
            del promise
        await asyncio.to_thread(wait_until, lambda: store.stats()["pinned_bytes"] == 0, "the object is unpinned")
    assert len(set(sizes_bytes)) == 1
    assert promise.get()[0] == 0  # the object that was not read at once
    maker.close()


async def test_dropped_refs_are_released_without_another_request(store: Serving, client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    ref = client.put(np.zeros(1000))
    del ref
    await asyncio.sleep(0)  # the release that `__del__` queued runs on the loop
    assert store.stats()["objects_count"] == 0


async def test_client_whose_connection_breaks_is_notified_and_keeps_its_views(
    store: Serving, client: StoreClient
) -> None:
    lost = asyncio.Event()
    client.attach(asyncio.get_running_loop(), lost.set)
    ref = client.put(np.ones(1000))
    view = ref.get()
    promise = client.declare()
    client._connection._channel._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        await lost.wait()
    store.wait_closed(os.getpid())
    with pytest.raises(ObjectLostError, match="the connection to the node's object store ended"):
        await promise
    with pytest.raises(ObjectLostError, match="the connection to the node's object store ended"):
        client.put(1)
    assert view.sum() == 1000


def test_hello_with_the_id_of_another_process_is_refused_and_that_process_is_not_disturbed(
    store: Serving, client: StoreClient
) -> None:
    with pytest.raises(PeerUnreachableError):
        StoreClient.connect(store.path, client.peer, Surroundings.of_process())
    assert client.put(np.ones(1000)).get().sum() == 1000
    assert store.closed_pids == []


async def test_release_of_one_object_does_not_announce_a_new_object(store: Serving, client: StoreClient) -> None:
    """An announced object can't be dropped without a message, nor can the next object reuse its warm memory."""
    client.attach(asyncio.get_running_loop())
    held = client.put(np.zeros(1000))
    client.flush()
    fresh = client.put(np.zeros(1000))
    del held
    while client._backlog.to_release_count:
        await asyncio.sleep(0)
    assert store.stats()["objects_count"] == 0
    assert fresh.get().shape == (1000,)


def test_hold_that_arrives_before_the_last_one_ends_counts_in_any_order_of_reading(
    store: Serving, client: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store reads all messages of one process while a faster process waits to be read."""
    other = store.connect()
    refs, theirs = [client.put(np.ones(1000))], []
    object_id, token = refs[0].id, client.new_token()
    core = store.server._core
    handle = core.handle

    def handle_and_continue(number: int, message: list[Any]) -> None:
        handle(number, message)
        if message[0] == Op.TRANSIT:
            theirs.append(other.ref(object_id, token))
            client.settle([token])
            refs.clear()
            client.flush()

    monkeypatch.setattr(core, "handle", handle_and_continue)
    client.begin_transit(refs[0], token, 1)
    wait_until(lambda: not refs and store.stats()["objects_count"] == 1, "every message is handled")
    assert theirs[0].get(timeout_s=10).sum() == 1000
    other.close()


def test_put_waits_for_room_until_its_deadline(client: StoreClient, store: Serving) -> None:
    held = client.put(np.zeros(200 * MIB, np.uint8))
    with pytest.raises(ObjectStoreFullError, match=r"largest holders: pid \d+ 200\.0 MiB"):
        client.put(np.zeros(200 * MIB, np.uint8), timeout_s=0.05)
    other = store.connect()
    putting = threading.Thread(target=lambda: other.put(np.ones(200 * MIB, np.uint8), timeout_s=20))
    putting.start()
    del held
    client.stats()
    putting.join(20)
    assert not putting.is_alive()
    other.close()


async def test_put_async_leaves_the_loop_free(store: Serving, client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    held = client.put(np.zeros(200 * MIB, np.uint8))

    async def drop() -> None:
        nonlocal held
        del held

    async with asyncio.timeout(20):
        ref, _ = await asyncio.gather(client.put_async(np.ones(200 * MIB, np.uint8), timeout_s=20), drop())
    assert (await ref)[-1] == 1


def test_refs_can_be_sent_between_processes_in_messages(store: Serving, client: StoreClient) -> None:
    other = store.connect()
    for _ in range(200):
        ref = client.put(b"passed on")
        data, buffers = dumps([ref], Carrier(client))
        del ref
        (arrived,) = loads(data, buffers, Carrier(other))
        assert arrived.get() == b"passed on"
    del arrived
    other.close()
    client.stats()  # a request reports the dropped refs, too
    assert store.stats()["objects_count"] == 0


async def test_ref_that_arrives_again_at_once_needs_no_request_to_the_store(
    store: Serving, client: StoreClient
) -> None:
    client.attach(asyncio.get_running_loop())
    sender = store.connect()
    refs = [sender.put(np.arange(1000))]

    def arrive() -> int:
        data, _ = dumps(refs[0], Carrier(sender))
        return int(loads(data, (), Carrier(client)).get()[-1])

    assert arrive() == 999
    hits_count = store.stats()["hits_count"]
    assert [arrive() for _ in range(10)] == [999] * 10
    assert store.stats()["hits_count"] == hits_count
    object_id = refs.pop().id
    sender.close()
    await asyncio.to_thread(wait_until, lambda: store.stats()["objects_count"] == 0, "the object is released")
    with pytest.raises(ObjectLostError):
        client.get(object_id)


async def test_put_reclaims_memory_that_another_client_still_has_in_view(store: Serving, client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    sender = store.connect()
    ref = sender.put(np.zeros(200 * MIB, np.uint8))
    data, _ = dumps(ref, Carrier(sender))
    assert loads(data, (), Carrier(client)).get()[-1] == 0  # dropped at once; the client still has it pinned
    del ref
    assert (await asyncio.to_thread(sender.put, np.ones(200 * MIB, np.uint8))).get()[-1] == 1
    sender.close()


def test_client_is_disabled_in_a_forked_child_and_the_parent_is_not_disturbed(
    store: Serving, client: StoreClient
) -> None:
    ref = client.put("the parent's")
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client.put("the child's")
        except RuntimeStateError as error:
            os.write(write_end, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        assert pipe.read().startswith("this process was forked from a process that uses actorrt")
    assert ref.get() == "the parent's"
    assert client.put("again").get() == "again"


@pytest.mark.parametrize(
    "act", [lambda client, ref: client.put(np.zeros(MIB)), lambda client, ref: ref.get()], ids=["put", "get"]
)
def test_interrupted_request_leaves_nothing(
    store: Serving, monkeypatch: pytest.MonkeyPatch, act: Callable[[StoreClient, ObjectRef[bytes]], object]
) -> None:
    channel = SocketChannel(store.path, peer := IDS.peer(), MonotonicClock())
    client = StoreClient(channel, peer, Surroundings.of_process())
    ref = client.put(b"there")
    client.flush()

    def interrupted() -> object:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(channel, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        act(client, ref)
    assert client.put("next").get() == "next"
    assert ref.get() == b"there"
    del ref

    def is_empty() -> bool:
        client.stats()  # the answer to the interrupted request may arrive late, after a segment was made
        return store.stats()["objects_count"] == store.stats()["used_bytes"] == 0

    wait_until(is_empty, "the memory of the interrupted request is released")
    client.close()


def test_owner_of_the_store_is_notified_of_processes_that_connect_and_leave(store: Serving) -> None:
    with store.process("say('here'); hear()") as process:
        assert hear(process) == "here"
        assert store.opened_pids == [process.pid]
        tell(process, "end")
        process.wait(10)
        store.wait_closed(process.pid)
    assert store.closed_pids == [process.pid]


def _raw(store: Serving) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(10)
    sock.connect(store.path)
    return sock


@pytest.mark.parametrize(
    "packet",
    [b"\xc1", b"\x93\x01\x02", b"\x90", b"\x01", b"\x92\x02\x01", b"\x93\x63\x01\x02", b"x" * 60_000, b"\x81" * 5000],
    ids=["no msgpack", "cut", "empty", "no list", "before hello", "unknown", "noise", "deep"],
)
def test_bad_packet_closes_its_connection_and_affects_no_other_process(
    store: Serving, client: StoreClient, packet: bytes
) -> None:
    ref = client.put("safe")
    with _raw(store) as sock:
        sock.send(packet)
        assert sock.recv(100) == b""
    assert store.stats()["refused_count"] == 1
    assert ref.get() == "safe"


def test_connection_without_a_listener_is_an_error_that_names_the_path(store: Serving) -> None:
    with pytest.raises(PeerUnreachableError, match=r"no object store answers at /nowhere/store"):
        StoreClient.connect("/nowhere/store", IDS.peer(), Surroundings.of_process())


@pytest.mark.parametrize("make_value", [lambda: np.zeros(3 * MIB), lambda: b"x" * MIB, lambda: list(range(1000))])
def test_nothing_is_left_when_every_process_has_disconnected(
    store: Serving, client: StoreClient, make_value: Callable[[], object]
) -> None:
    for _ in range(20):
        client.put(make_value()).get()
    counts = client.stats()
    assert counts["objects_count"] == counts["used_bytes"] == counts["pinned_bytes"] == 0
