"""A store's objects as other nodes see them, with a real core and fake remote stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectLostError, ObjectNotFoundError, ObjectStoreFullError, RuntimeStateError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.segments import Segment
from actorrt.store.server.core import StoreCore
from actorrt.store.server.exchange import Exchange
from actorrt.store.table.instructions import (
    Adopt,
    DropSegment,
    Fetch,
    MakeSegment,
    ReleaseAdopted,
    Send,
    TransitArrived,
)
from actorrt.store.table.objects import State

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)
NODE = b"node b"
PEER_B = PeerId(b"b" * 16)


class Others:
    """What was asked of other nodes, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def fetch(self, object_id: ObjectId) -> None:
        self.asked.append(("fetch", object_id))

    def adopt(self, object_id: ObjectId, node: bytes, token: bytes | None) -> None:
        self.asked.append(("adopt", object_id, node, token))

    def arrived(self, object_id: ObjectId, node: bytes, token: bytes) -> None:
        self.asked.append(("arrived", object_id, node, token))

    def release(self, object_id: ObjectId) -> None:
        self.asked.append(("release", object_id))


class Shell:
    """Carries out what the core says, as the server does, but makes segments at once."""

    def __init__(self) -> None:
        self.core = StoreCore(8 * MIB)
        self.segments: dict[int, Segment] = {}
        self.makes_segments = True
        self.others = Others()
        self.exchange = Exchange(self.core, self.settle)

    def settle(self) -> None:
        self._carry_out()
        self.core.sweep(0.0)
        self._carry_out()

    def _carry_out(self) -> None:
        while instructions := self.core.take():
            for instruction in instructions:
                match instruction:
                    case Send(connection, message, segment_id, writable):
                        if connection in self.exchange.connections:
                            segment = None if segment_id is None else self.segments[segment_id]
                            fd = None if segment is None else os.dup(segment.fd(writable=writable))
                            self.exchange.receive(message, fd, writable=writable)
                    case MakeSegment(segment_id, size_bytes, _) if self.makes_segments:
                        self.segments[segment_id] = Segment(segment_id, size_bytes)
                        self.core.segment_made(segment_id, None)
                    case DropSegment(segment_id):
                        self.segments.pop(segment_id).close()
                    case Fetch() | Adopt() | TransitArrived() | ReleaseAdopted():
                        self.exchange.carry_out(instruction)

    def close(self) -> None:
        self.exchange.close()
        for segment in self.segments.values():
            segment.close()


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    shell = Shell()
    shell.exchange.attach(shell.others)
    yield shell
    shell.close()


async def make(shell: Shell, object_id: ObjectId, data: bytes) -> None:
    target = await shell.exchange.create(object_id, len(data))
    assert target is not None
    target[:] = data
    shell.exchange.seal(object_id)


async def test_an_object_can_be_read_and_is_pinned_while_it_is_in_view(shell: Shell) -> None:
    await make(shell, X, b"value")
    view = await shell.exchange.read(X)
    assert (bytes(view), view.readonly) == (b"value", True)
    assert shell.exchange.is_here(X)
    assert await shell.exchange.create(X, 5) is None
    shell.exchange.release(X)
    assert shell.core.get(X) is not None
    del view
    await asyncio.sleep(0)
    assert shell.core.get(X) is None


async def test_a_reader_waits_until_the_object_is_sealed(shell: Shell) -> None:
    target = await shell.exchange.create(X, 4)
    assert target is not None
    reading = asyncio.ensure_future(shell.exchange.read(X))
    await asyncio.sleep(0)
    assert not reading.done()
    target[:] = b"late"
    shell.exchange.seal(X)
    assert bytes(await reading) == b"late"


async def test_a_read_of_a_freed_object_raises(shell: Shell) -> None:
    with pytest.raises(ObjectNotFoundError, match="is not in the store: it was freed"):
        await shell.exchange.read(X)


async def test_an_object_that_another_node_told_of_is_adopted_and_released(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    assert shell.others.asked == [("adopt", X, NODE, None)]
    entry = shell.core.get(X)
    assert entry is not None
    assert (entry.state, entry.origin) == (State.REMOTE, NODE)
    shell.exchange.release(X)
    assert shell.others.asked[1:] == [("release", X)]


async def test_an_adopted_object_is_fetched_for_its_reader_and_made_here(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    reading = asyncio.ensure_future(shell.exchange.read(X))
    await asyncio.sleep(0)
    assert ("fetch", X) in shell.others.asked
    await make(shell, X, b"copy")
    assert bytes(await reading) == b"copy"


async def test_a_fetch_that_fails_raises_for_the_reader(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    reading = asyncio.ensure_future(shell.exchange.read(X))
    await asyncio.sleep(0)
    shell.exchange.fail(X, ObjectLostError("the node is gone"))
    with pytest.raises(ObjectLostError, match="the node is gone"):
        await reading


async def test_an_aborted_copy_is_remote_again(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    assert await shell.exchange.create(X, 5) is not None
    shell.exchange.abort(X)
    entry = shell.core.get(X)
    assert entry is not None
    assert entry.state is State.REMOTE


async def test_a_create_that_is_cancelled_while_it_waits_for_memory_leaves_nothing(shell: Shell) -> None:
    shell.makes_segments = False
    creating = asyncio.ensure_future(shell.exchange.create(X, 5))
    await asyncio.sleep(0)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    shell.core.segment_made(1, ObjectStoreFullError("no memory"))
    shell.settle()
    assert shell.core.get(X) is None
    assert shell.exchange._allocations == {}


async def test_an_object_holds_the_objects_that_it_contains(shell: Shell) -> None:
    await make(shell, Y, b"inner")
    assert await shell.exchange.create(X, 5) is not None
    shell.exchange.contain(X, [Y])
    shell.exchange.seal(X)
    shell.exchange.release(Y)
    assert shell.exchange.contained(X) == [Y]
    assert shell.core.get(Y) is not None
    shell.exchange.release(X)
    assert shell.core.get(Y) is None


async def test_another_node_holds_an_object_until_it_releases_it_or_is_gone(shell: Shell) -> None:
    for end in (lambda: shell.exchange.release_for(PEER_B, X), lambda: shell.exchange.node_gone(PEER_B)):
        await make(shell, X, b"value")
        assert shell.exchange.hold_for(PEER_B, X, None) is None
        shell.exchange.release(X)
        assert shell.core.get(X) is not None
        end()
        assert shell.core.get(X) is None


async def test_another_node_is_told_where_an_adopted_object_was_made(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    assert shell.exchange.hold_for(PEER_B, X, None) == NODE
    shell.exchange.set_origin(X, b"node c")
    assert shell.exchange.hold_for(PEER_B, X, None) == b"node c"


async def test_an_object_without_a_copy_here_is_lost_with_its_origin(shell: Shell) -> None:
    shell.exchange.locate(X, NODE)
    shell.exchange.set_origin(X, None)
    with pytest.raises(ObjectLostError, match="is lost: its node is gone"):
        await shell.exchange.read(X)


async def test_a_store_that_is_not_attached_fails_objects_of_other_nodes() -> None:
    shell = Shell()
    shell.exchange.locate(X, NODE)
    entry = shell.core.get(X)
    assert entry is not None
    assert entry.state is State.FAILED
    assert "is on another node, and this node speaks with no others" in str(entry.error)
    with pytest.raises(RuntimeStateError, match="it is not attached, or closed"):
        await shell.exchange.read(X)
    shell.close()


async def test_closing_ends_every_wait(shell: Shell) -> None:
    await shell.exchange.create(X, 4)
    reading = asyncio.ensure_future(shell.exchange.read(X))
    await asyncio.sleep(0)
    shell.exchange.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
