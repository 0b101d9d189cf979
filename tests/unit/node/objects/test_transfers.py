"""How a node reads objects from others, and passes on what it reads, with stores and links that are not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ObjectLostError, ObjectNotFoundError
from actorrt.ids import ObjectId, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.machine.threads import OsThreads
from actorrt.node.objects import transfers
from actorrt.node.objects.checksums import checksum
from actorrt.node.objects.pulls import CHUNK_BYTES
from actorrt.node.objects.transfers import Transfers
from actorrt.protocol.envelopes import CHUNK, GONE, READ
from actorrt.protocol.objects import Holding, HoldObject, NameSource, ObjectRead, ObjectSource
from actorrt.scopes import Scope
from tests.unit.node.daemon.peers import until
from tests.unit.node.fakes import IDS, Asked, FakeControl
from tests.unit.node.objects.stores import FakeExchange, FakeTransport, node_at
from tests.unit.records import crashed

HERE, ORIGIN, OTHER = node_at("here"), node_at("origin"), node_at("other")


class Node:
    """One node's transfers; the test plays the others."""

    def __init__(self) -> None:
        self.control, self.exchange, self.transport = FakeControl(), FakeExchange(), FakeTransport(HERE)
        self.scope, self.clock = Scope("test", crashed), ManualClock()
        self.transfers = Transfers(
            self.transport,  # type: ignore[arg-type]
            self.control,  # type: ignore[arg-type]
            self.exchange,  # type: ignore[arg-type]
            self.scope,
            self.clock,
            OsThreads(),
        )

    async def asked(self, count: int) -> Asked:
        await until(lambda: len(self.control.asked) >= count)
        return self.control.asked[count - 1]

    async def pull(self, content: bytes, source: PeerAddress = ORIGIN) -> tuple[ObjectId, Completion[None]]:
        """Begin to pull an object that the origin holds, up to the requests for its first chunks."""
        object_id = IDS.object()
        outcome = self.transfers.pull(object_id, ORIGIN)
        held = await self.asked(1)
        assert (held.to, held.request) == (ORIGIN, HoldObject(object=object_id, token=None))
        held.set_value(Holding(node=None))
        named = await self.asked(2)
        assert (named.to, named.request) == (ORIGIN, NameSource(object=object_id, failed=None))
        named.set_value(ObjectSource(length_bytes=len(content), contained=[], source=source))
        await until(lambda: self.transport.sent)
        return object_id, outcome

    def chunk(self, object_id: ObjectId, offset: int, chunk: bytes, *, is_right: bool = True, of: PeerAddress = ORIGIN):
        known = checksum(memoryview(chunk)) ^ (not is_right)
        self.transfers.received(of.peer, [CHUNK, object_id, offset, known], [chunk])


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.scope.close()
    node.transfers.close()


async def test_object_is_read_chunk_by_chunk_sealed_and_its_origin_told(node: Node) -> None:
    content = bytes(range(256)) * (CHUNK_BYTES // 256) + b"tail"
    object_id, outcome = await node.pull(content)
    assert node.transport.take() == [(ORIGIN.peer, [READ, object_id, offset], []) for offset in (0, CHUNK_BYTES)]
    node.chunk(object_id, CHUNK_BYTES, b"tail")
    assert not outcome.done()
    node.chunk(object_id, 0, content[:CHUNK_BYTES])
    await outcome
    assert node.exchange.here == {object_id: content}
    assert node.control.told == [(ORIGIN, ObjectRead(object=object_id))]
    assert node.transfers.statistics() == {
        "chunks_sent_count": 0,
        "chunks_taken_count": 2,
        "chunks_wrong_count": 0,
        "pulls_count": 0,
    }


async def test_chunk_with_a_wrong_checksum_is_asked_for_again_and_one_of_a_stranger_is_dropped(node: Node) -> None:
    object_id, outcome = await node.pull(b"content")
    node.transport.take()
    node.chunk(object_id, 0, b"content", of=OTHER)
    node.chunk(object_id, 0, b"too long")
    node.chunk(object_id, 0, b"cantent", is_right=False)
    assert node.transport.take() == [(ORIGIN.peer, [READ, object_id, 0], [])]
    node.chunk(object_id, 0, b"content")
    await outcome
    assert node.exchange.here[object_id] == b"content"
    assert node.transfers.statistics()["chunks_wrong_count"] == 1


@pytest.mark.parametrize("end", ["gone", "peer failed"])
async def test_lost_source_is_replaced_and_chunks_that_are_here_are_not_read_again(
    node: Node, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "_RETRY_S", 0.0)
    content = bytes(CHUNK_BYTES) + b"tail"
    object_id, outcome = await node.pull(content, OTHER)
    node.transport.take()
    node.chunk(object_id, 0, content[:CHUNK_BYTES], of=OTHER)
    if end == "gone":
        node.transfers.received(OTHER.peer, [GONE, object_id], [])
    else:
        node.transfers.node_ended(OTHER.peer)
    again = await node.asked(3)
    assert (again.to, again.request) == (ORIGIN, NameSource(object=object_id, failed=OTHER.peer))
    again.set_value(ObjectSource(length_bytes=len(content), contained=[], source=ORIGIN))
    await until(lambda: node.transport.sent)
    assert node.transport.take() == [(ORIGIN.peer, [READ, object_id, CHUNK_BYTES], [])]
    node.chunk(object_id, CHUNK_BYTES, b"tail")
    await outcome
    assert node.exchange.here[object_id] == content


async def test_object_of_which_nobody_sends_anything_is_lost(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "_RETRY_S", 0.0)
    object_id, outcome = await node.pull(b"content")
    node.clock.advance(transfers.GIVE_UP_S)
    node.transfers.received(ORIGIN.peer, [GONE, object_id], [])
    with pytest.raises(ObjectLostError, match="no node has sent any of it for 5 s"):
        await outcome
    assert [event[0] for event in node.exchange.events if event[0] in ("abort", "fail")] == ["abort", "fail"]
    assert node.exchange.begun == {}


async def test_object_whose_chunks_never_agree_with_their_checksums_is_lost(node: Node) -> None:
    object_id, outcome = await node.pull(b"content")
    for count in range(transfers._WRONG_COUNT // transfers._WRONG_TURN_COUNT):
        for _ in range(transfers._WRONG_TURN_COUNT):
            node.chunk(object_id, 0, b"cantent", is_right=False)
        if count < transfers._WRONG_COUNT // transfers._WRONG_TURN_COUNT - 1:
            named = await node.asked(3 + count)
            node.transport.take()
            named.set_value(ObjectSource(length_bytes=7, contained=[], source=ORIGIN))
            await until(lambda: node.transport.sent)
    with pytest.raises(ObjectLostError, match=f"{transfers._WRONG_COUNT} chunks did not agree with their checksums"):
        await outcome


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (ActorDiedError("its process ended"), ObjectLostError, "its node is gone: its process ended"),
        (ObjectNotFoundError("freed"), ObjectNotFoundError, "freed"),
    ],
)
async def test_origin_that_can_not_say_anything_fails_the_pull(
    node: Node, error: Exception, raised: type[Exception], words: str
) -> None:
    object_id = IDS.object()
    outcome = node.transfers.pull(object_id, ORIGIN)
    (await node.asked(1)).set_value(Holding(node=None))
    (await node.asked(2)).set_error(error)
    with pytest.raises(raised, match=words):
        await outcome
    assert [event[:2] for event in node.exchange.events if event[0] == "fail"] == [("fail", object_id)]


async def test_two_requests_for_an_object_wait_for_one_pull(node: Node) -> None:
    object_id, outcome = await node.pull(b"content")
    assert node.transfers.statistics()["pulls_count"] == 1
    node.transfers.fetch(object_id)
    node.chunk(object_id, 0, b"content")
    await outcome
    assert len(node.control.asked) == 2


async def test_chunks_are_passed_on_to_waiting_nodes_as_soon_as_they_are_here(node: Node) -> None:
    content = bytes(CHUNK_BYTES) + b"tail"
    object_id, outcome = await node.pull(content)
    node.transport.addresses[OTHER.peer] = OTHER.address
    node.transport.take()
    node.transfers.received(OTHER.peer, [READ, object_id, CHUNK_BYTES], [])
    assert node.transport.take() == []
    node.chunk(object_id, CHUNK_BYTES, b"tail")
    known = checksum(memoryview(b"tail"))
    assert (OTHER.peer, [CHUNK, object_id, CHUNK_BYTES, known], [b"tail"]) in node.transport.take()
    node.transfers.received(OTHER.peer, [READ, object_id, 0], [])
    node.transfers.received(ORIGIN.peer, [GONE, object_id], [])
    (await node.asked(3)).set_error(ActorDiedError("its process ended"))
    with pytest.raises(ObjectLostError):
        await outcome
    assert node.transport.take()[-1] == (OTHER.peer, [GONE, object_id], [])


async def test_object_that_is_here_is_served_and_one_that_is_not_is_said_to_be_gone(node: Node) -> None:
    object_id, missing = IDS.object(), IDS.object()
    node.exchange.here[object_id] = b"content"
    node.transport.addresses[OTHER.peer] = OTHER.address
    node.transfers.received(OTHER.peer, [READ, object_id, 0], [])
    node.transfers.received(OTHER.peer, [READ, missing, 0], [])
    async with asyncio.timeout(5):
        while len(node.transport.sent) < 2:
            await asyncio.sleep(0.001)  # a checksum is made in a thread
    assert node.transport.take() == [
        (OTHER.peer, [GONE, missing], []),
        (OTHER.peer, [CHUNK, object_id, 0, checksum(memoryview(b"content"))], [b"content"]),
    ]


async def test_chunk_may_land_in_its_object_only_when_it_was_asked_for(node: Node) -> None:
    object_id, outcome = await node.pull(b"content")
    envelope = [CHUNK, object_id, 0, checksum(memoryview(b"content"))]
    landings = [
        node.transfers.landing(OTHER.peer, envelope, 7),
        node.transfers.landing(ORIGIN.peer, envelope, 8),
        node.transfers.landing(ORIGIN.peer, [GONE, object_id], 7),
        node.transfers.landing(ORIGIN.peer, [CHUNK, b"another", 0, 1], 7),
    ]
    assert landings == [None] * 4
    landing = node.transfers.landing(ORIGIN.peer, envelope, 7)
    assert landing is not None
    landing.memory[:] = b"content"
    node.transfers.received(ORIGIN.peer, envelope, [landing.memory])
    await outcome
    assert node.exchange.here[object_id] == b"content"
