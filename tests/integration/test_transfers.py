"""Pulls of objects between stores: complete, once, over connections that break, and from other readers.

Copies of remote objects are evicted first.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectLostError, PeerUnreachableError
from actorrt.ids import IdSource, PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.node.inspect.inquiry import inquire
from actorrt.node.objects.fanout import WIDTH
from actorrt.node.objects.pulls import CHUNK_BYTES, WINDOW_BYTES, chunks
from actorrt.node.objects.transfers import PULLS_COUNT
from actorrt.protocol.envelopes import CHUNK, GONE, READ
from actorrt.protocol.objects import PullObject, ReleaseObject
from actorrt.store.client.client import StoreClient
from actorrt.transport.interfaces import Landing, Transport
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.fault.breaking import InterposedProxy
from tests.integration.store_nodes import store_nodes, until
from tests.running import Node, wait_until

IDS = IdSource()
MakeTransport = Callable[[], Transport]


@pytest.fixture
def memory() -> MakeTransport:
    network = MemoryNetwork()
    return lambda: MemoryTransport(network, IDS.peer(), clock=MonotonicClock())


@pytest.fixture(params=["memory", "tcp", "ipc", "unix"])
def make_transport(request: pytest.FixtureRequest, memory: MakeTransport, tmp_path: Path) -> MakeTransport:
    if request.param == "memory":
        return memory
    if request.param == "tcp":
        return lambda: ZmqTransport(IDS.peer(), "tcp://127.0.0.1:0", clock=MonotonicClock())
    directory = os.environ["ACTORRT_RUNTIME_DIR"]
    if request.param == "unix":
        return lambda: unix_transport(directory)
    return lambda: ZmqTransport(peer := IDS.peer(), f"ipc://{directory}/{peer.hex()[:8]}", clock=MonotonicClock())


def unix_transport(directory: str) -> UnixTransport:
    return UnixTransport(peer := IDS.peer(), f"unix://{directory}/{peer.hex()[:8]}", clock=MonotonicClock())


@pytest.mark.parametrize("length_bytes", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 40 * MIB + 77])
async def test_object_is_pulled_completely(make_transport: MakeTransport, tmp_path: Path, length_bytes: int) -> None:
    async with store_nodes(2, make_transport, tmp_path) as (origin, reader):
        data = os.urandom(length_bytes)
        object_id = await origin.make(data)
        await asyncio.gather(*[reader.pull(object_id, origin) for _ in range(3)])
        assert await reader.bytes_of(object_id) == data
        assert reader.transfers.statistics() == {
            "chunks_sent_count": 0,
            "chunks_taken_count": len(chunks(length_bytes)),
            "chunks_wrong_count": 0,
            "pulls_count": 0,
        }
        assert origin.transfers.statistics()["chunks_sent_count"] == len(chunks(length_bytes))
        for _ in range(3):
            reader.server.exchange.release(object_id)
        await until(lambda: reader.server.stats()["objects_count"] == 0)


async def test_bytes_in_flight_are_bounded(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        asked_bytes = taken_bytes = most_bytes = 0

        def note_read(envelope: list[Any], buffers: Any) -> Any:
            nonlocal asked_bytes, most_bytes
            asked_bytes += CHUNK_BYTES
            most_bytes = max(most_bytes, asked_bytes - taken_bytes)
            return buffers

        def note_chunk(envelope: list[Any], buffers: Any) -> Any:
            nonlocal taken_bytes
            taken_bytes += CHUNK_BYTES
            return buffers

        origin.on_received, reader.on_received = note_read, note_chunk
        object_id = await origin.make(bytes(60 * MIB))
        await reader.pull(object_id, origin)
        assert (asked_bytes, most_bytes) == (60 * MIB, WINDOW_BYTES)


async def test_pull_resumes_at_its_offset_after_its_connection_broke(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        data = os.urandom(40 * MIB)
        object_id = await origin.make(data)
        asked: Counter[int] = Counter()
        breaks = iter([10, 25, 30])
        break_at = next(breaks)

        def note_read(envelope: list[Any], buffers: Any) -> Any:
            nonlocal break_at
            kind, _, offset = envelope
            assert kind == READ
            asked[offset] += 1
            if sum(asked.values()) == break_at:
                break_at = next(breaks, 0)
                reader.transfers.received(origin.transport.peer, [GONE, object_id], ())
            return buffers

        origin.on_received = note_read
        await reader.pull(object_id, origin)
        assert await reader.bytes_of(object_id) == data
        assert sorted(asked) == [offset for offset, _ in chunks(40 * MIB)]
        assert sum(asked.values()) <= 40 + 3 * WINDOW_BYTES // CHUNK_BYTES  # only the chunks in flight are sent again
        assert reader.transfers.statistics()["chunks_taken_count"] == 40


async def test_pull_survives_connections_that_are_reset(tmp_path: Path) -> None:
    directory = os.environ["ACTORRT_RUNTIME_DIR"]
    async with store_nodes(2, lambda: unix_transport(directory), tmp_path) as (origin, reader):
        data = os.urandom(40 * MIB)
        object_id = await origin.make(data)
        taken_count = 0

        async with InterposedProxy(reader.transport.address, Random(1)) as proxy:

            def reset_sometimes(_: Any, buffers: Any) -> Any:
                nonlocal taken_count
                taken_count += 1
                if taken_count % 10 == 5:  # not with the last one: no peer may connect while the proxy ends
                    proxy.reset()
                return buffers

            reader.on_received = reset_sometimes
            await reader.pull(object_id, origin)
        assert proxy.resets_count >= 3
        assert await reader.bytes_of(object_id) == data
        counts = reader.transfers.statistics()
        assert (counts["chunks_taken_count"], counts["chunks_wrong_count"]) == (40, 0)
        assert origin.transfers.statistics()["chunks_sent_count"] == 40, "the link sends the lost chunks again"


async def test_chunk_corrupted_in_transit_is_requested_again(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        data = os.urandom(10 * MIB)
        object_id = await origin.make(data)
        spoilt: set[int] = set()

        def spoil(envelope: list[Any], buffers: Any) -> Any:
            kind, _, offset, _ = envelope
            assert kind == CHUNK
            if offset % (3 * CHUNK_BYTES) == 0 and offset not in spoilt:
                spoilt.add(offset)
                changed = bytearray(buffers[0])
                changed[1000] ^= 1
                return [changed]
            return buffers

        reader.on_received = spoil
        await reader.pull(object_id, origin)
        assert await reader.bytes_of(object_id) == data
        assert reader.transfers.statistics()["chunks_wrong_count"] == len(spoilt) == 4


async def test_chunks_are_received_directly_into_their_object_without_a_copy(tmp_path: Path) -> None:
    directory = os.environ["ACTORRT_RUNTIME_DIR"]
    async with store_nodes(2, lambda: unix_transport(directory), tmp_path) as (origin, reader):
        data = os.urandom(8 * MIB)
        object_id = await origin.make(data)
        owners: list[Any] = []

        def note_owner(envelope: list[Any], buffers: Any) -> Any:
            owners.extend(memoryview(buffer).obj for buffer in buffers)
            return buffers

        reader.on_received = note_owner
        await reader.pull(object_id, origin)
        assert await reader.bytes_of(object_id) == data
        in_place = [isinstance(owner, mmap) for owner in owners]
        assert in_place[1:] == [True] * 7, "only the first may arrive together with the opening of the connection"
        owners.clear()


async def test_source_abandoned_in_the_middle_of_a_chunk_writes_no_more_of_it(tmp_path: Path) -> None:
    directory = os.environ["ACTORRT_RUNTIME_DIR"]
    async with store_nodes(2, lambda: unix_transport(directory), tmp_path) as (origin, reader):
        data = os.urandom(4 * MIB)
        object_id = await origin.make(data)
        object_memory: list[memoryview] = []
        find = reader.transfers.landing

        def abandon(peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None:
            landing = find(peer, envelope, size_bytes)
            if landing is not None and not object_memory:
                assert landing.memory is not None
                object_memory.append(landing.memory)
                reader.transfers.received(peer, [GONE, object_id], ())  # the next iteration requests this chunk again
            return landing

        reader.transfers.landing = abandon  # type: ignore[method-assign]
        await reader.pull(object_id, origin)
        assert await reader.bytes_of(object_id) == data
        counts = reader.transfers.statistics()
        assert (counts["chunks_taken_count"], counts["chunks_wrong_count"]) == (4, 0)


async def test_source_that_sends_only_wrong_chunks_fails_the_pull(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        object_id = await origin.make(os.urandom(3 * MIB))
        reader.on_received = lambda envelope, buffers: [bytes(len(buffers[0]))]
        with pytest.raises(ObjectLostError, match="did not agree with their checksums"):
            await reader.pull(object_id, origin)
        with pytest.raises(ObjectLostError):
            await reader.bytes_of(object_id)
        assert reader.server.stats()["used_bytes"] == 0


async def test_many_readers_pull_an_object_from_each_other(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(9, memory, tmp_path) as (origin, *readers):
        data = os.urandom(20 * MIB)
        object_id = await origin.make(data)
        await asyncio.gather(*[reader.pull(object_id, origin) for reader in readers])
        for reader in readers:
            assert await reader.bytes_of(object_id) == data
        sent = [node.transfers.statistics()["chunks_sent_count"] for node in (origin, *readers)]
        assert sum(sent) == 20 * len(readers)
        assert sent[0] <= 20 * WIDTH, "the origin serves at most WIDTH readers at a time"


async def test_readers_of_a_reader_that_ends_fall_back_to_the_origin(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(7, memory, tmp_path) as (origin, *readers):
        data = os.urandom(30 * MIB)
        object_id = await origin.make(data)
        first, others = readers[0], readers[1:]
        taken_count = 0

        def stop_in_the_middle(_: Any, buffers: Any) -> Any:
            nonlocal taken_count
            taken_count += 1
            if taken_count == 10:
                for node in (origin, *others):
                    node.transport.drop(first.transport.peer)
                    node.peer_failed(first.transport.peer, PeerUnreachableError("gone"))
            return buffers if taken_count < 10 else None

        first.on_received = stop_in_the_middle
        pulling = first.transfers.pull(object_id, origin.peer_address)
        await until(lambda: origin.transfers.statistics()["chunks_sent_count"] > 0)
        await asyncio.gather(*[reader.pull(object_id, origin) for reader in others])
        for reader in others:
            assert await reader.bytes_of(object_id) == data
            assert reader.transfers.statistics()["chunks_taken_count"] == 30
        assert not pulling.done()


async def test_pull_of_an_object_that_no_node_has_is_lost(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        with pytest.raises(ObjectLostError):
            await reader.pull(IDS.object(), origin)


async def test_copies_of_remote_objects_are_evicted_first_and_fetched_again(
    memory: MakeTransport, tmp_path: Path
) -> None:
    async with store_nodes(2, memory, tmp_path, 16 * MIB) as (origin, reader):
        copied = [(await origin.make(data), data) for data in (os.urandom(5 * MIB), os.urandom(5 * MIB))]
        for object_id, _ in copied:
            await reader.pull(object_id, origin)
        own = await reader.make(b"own bytes!" * MIB)  # it takes the memory of the first copy
        counts = reader.server.stats()
        assert (counts["evictions_count"], counts["spills_count"], counts["objects_count"]) == (1, 0, 3)
        assert await reader.bytes_of(own) == b"own bytes!" * MIB
        reader.server.exchange.release(own)
        for object_id, data in copied:
            assert await reader.bytes_of(object_id) == data


async def test_pull_waits_for_an_object_that_is_not_made_yet(memory: MakeTransport, tmp_path: Path) -> None:
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        object_id = IDS.object()
        target = await origin.server.exchange.create(object_id, 100)
        pulling = reader.transfers.pull(object_id, origin.peer_address)
        assert target is not None
        target[:] = b"x" * 100
        await asyncio.sleep(0)
        assert not pulling.done()
        origin.server.exchange.seal(object_id)
        await pulling
        assert await reader.bytes_of(object_id) == b"x" * 100


async def test_pulls_of_objects_that_are_not_made_yet_do_not_delay_other_pulls(
    memory: MakeTransport, tmp_path: Path
) -> None:
    """Each object is made only after the reader has the next one, as in a chain of calls with `returns="ref"`."""
    async with store_nodes(2, memory, tmp_path) as (origin, reader):
        chain = [IDS.object() for _ in range(PULLS_COUNT + 1)]
        pulls = []
        for object_id in chain:
            target = await origin.server.exchange.create(object_id, 100)
            assert target is not None
            target[:] = object_id[:4] * 25
            pulls.append(reader.transfers.pull(object_id, origin.peer_address))
        for object_id, pulling in reversed(list(zip(chain, pulls, strict=True))):
            origin.server.exchange.seal(object_id)
            async with asyncio.timeout(20):
                await pulling
            assert await reader.bytes_of(object_id) == object_id[:4] * 25


async def test_two_daemons_exchange_an_object(tmp_path: Path) -> None:
    daemons = [Node("--cpus=1", "--store-bytes=268435456") for _ in range(2)]
    clients = [
        StoreClient.connect(daemon.descriptor.store, IDS.peer(), Surroundings.of_process()) for daemon in daemons
    ]
    try:
        (here, there), (ours, theirs) = clients, [daemon.descriptor for daemon in daemons]
        array = np.random.default_rng(0).integers(0, 255, 50 * MIB, dtype=np.uint8)
        ref = here.put(array)
        here.flush()
        origin = PeerAddress(PeerId(bytes.fromhex(ours.peer)), ours.address)
        await inquire(theirs, PullObject(object=ref.id, origin=origin))
        copy = there.ref(ref.id)
        assert np.array_equal(await asyncio.to_thread(copy.get), array)
        await inquire(theirs, ReleaseObject(object=ref.id))
        del copy
        await asyncio.to_thread(wait_until, lambda: there.stats()["objects_count"] == 0, "the copy is deleted")
        with pytest.raises(ObjectLostError, match="nothing kept it"):
            await inquire(theirs, PullObject(object=IDS.object(), origin=origin))
        daemons[0].end()
        with pytest.raises(ObjectLostError, match="can't be held at the node that made it"):
            await inquire(theirs, PullObject(object=ref.id, origin=origin))
    finally:
        for client in clients:
            client.close()
        for daemon in daemons:
            daemon.end()
