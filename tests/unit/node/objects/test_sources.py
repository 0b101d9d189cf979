"""From whom nodes are told to read an object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from actorrt.errors import ObjectNotFoundError
from actorrt.ids import ObjectId, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.node.objects import sources
from actorrt.node.objects.chunks import Chunks
from actorrt.node.objects.fanout import WIDTH
from actorrt.node.objects.sources import Sources
from actorrt.protocol.objects import ObjectSource
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS
from tests.unit.node.objects.stores import FakeExchange, FakeTransport, node_at
from tests.unit.records import crashed

HERE = node_at("here")


class Origin:
    """A node that has made objects."""

    def __init__(self) -> None:
        self.exchange, self.transport = FakeExchange(), FakeTransport(HERE)
        self.scope = Scope("test", crashed)
        self.executor = ThreadPoolExecutor(1)
        self.chunks = Chunks(
            self.transport,  # type: ignore[arg-type]
            self.exchange,  # type: ignore[arg-type]
            self.scope,
            ManualClock(),
            self.executor,
        )
        self.sources = Sources(self.transport, self.chunks, self.exchange)  # type: ignore[arg-type]

    def reader(self) -> PeerAddress:
        reader = node_at(f"reader-{len(self.transport.addresses)}")
        self.transport.addresses[reader.peer] = reader.address
        return reader

    def object(self, content: bytes = b"content") -> ObjectId:
        object_id = IDS.object()
        self.exchange.here[object_id] = content
        return object_id


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    origin = Origin()
    yield origin
    await origin.scope.close()
    origin.chunks.close()
    origin.executor.shutdown()


async def test_first_readers_read_here_and_the_next_from_those(origin: Origin) -> None:
    object_id, inner = origin.object(), IDS.object()
    origin.exchange.inner[object_id] = [inner]
    readers = [origin.reader() for _ in range(WIDTH + 1)]
    named = [await origin.sources.name(reader.peer, object_id, None) for reader in readers]
    assert named == [
        *[ObjectSource(length_bytes=7, contained=[inner], source=HERE)] * WIDTH,
        ObjectSource(length_bytes=7, contained=[inner], source=readers[0]),
    ]


async def test_source_that_gave_nothing_and_one_without_an_address_are_not_named_again(origin: Origin) -> None:
    object_id = origin.object()
    first, second, third = [origin.reader() for _ in range(3)]
    for reader in (first, second):
        await origin.sources.name(reader.peer, object_id, None)
    assert (await origin.sources.name(third.peer, object_id, None)).source == first
    assert (await origin.sources.name(third.peer, object_id, first.peer)).source == HERE  # which has room again
    fourth = origin.reader()
    del origin.transport.addresses[second.peer]
    assert (await origin.sources.name(fourth.peer, object_id, None)).source == HERE


async def test_node_that_is_gone_is_nobodys_source_and_makes_room(origin: Origin) -> None:
    object_id = origin.object()
    first, second, third = [origin.reader() for _ in range(3)]
    for reader in (first, second):
        await origin.sources.name(reader.peer, object_id, None)
    origin.sources.lost(first.peer)
    assert (await origin.sources.name(third.peer, object_id, None)).source == HERE


async def test_object_is_out_of_view_when_the_last_reader_has_all_of_it(origin: Origin) -> None:
    object_id = origin.object()
    readers = [origin.reader() for _ in range(2)]
    for reader in readers:
        await origin.sources.name(reader.peer, object_id, None)
    viewed = await origin.chunks.view(object_id)
    origin.sources.finished(readers[0].peer, object_id)
    assert await origin.chunks.view(object_id) is viewed
    origin.sources.finished(readers[1].peer, object_id)
    assert await origin.chunks.view(object_id) is not viewed
    origin.sources.finished(readers[1].peer, IDS.object())  # nobody asked for that one


async def test_object_that_is_not_here_is_not_found(origin: Origin) -> None:
    with pytest.raises(ObjectNotFoundError):
        await origin.sources.name(origin.reader().peer, IDS.object(), None)
    assert len(origin.sources) == 0


async def test_copies_of_many_objects_are_forgotten_but_for_those_that_are_being_read(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FANOUTS_COUNT", 3)
    reader = origin.reader()
    objects = [origin.object() for _ in range(5)]
    for object_id in objects[:3]:
        await origin.sources.name(reader.peer, object_id, None)
        origin.sources.finished(reader.peer, object_id)
    assert len(origin.sources) == 3
    await origin.sources.name(reader.peer, objects[3], None)
    await asyncio.sleep(0)
    await origin.sources.name(reader.peer, objects[4], None)
    assert len(origin.sources) <= 2
