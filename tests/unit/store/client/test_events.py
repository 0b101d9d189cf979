"""Each event of the store reaches the part of the client that it concerns."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt.config import KIB
from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.wire.channel import StoreReply
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import Event, Op, Status
from tests.unit.store.connection.fake_channel import FakeChannel

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)


class Listening:
    """A client on the running loop, and its store."""

    def __init__(self) -> None:
        self.channel = FakeChannel()
        self.client = StoreClient(self.channel, PeerId(b"p" * 16), Surroundings.of_process())
        self.client.attach(asyncio.get_running_loop())

    def tell(self, *event: Any, with_segment: bool = False) -> None:
        assert self.channel.on_event is not None
        fd = os.dup(self.channel.segment.fd(writable=True)) if with_segment else None
        self.channel.on_event(list(event), fd)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    listening = Listening()
    yield listening
    listening.client.close()


async def test_a_ref_is_done_when_its_object_is_ready(listening: Listening) -> None:
    ref = listening.client.declare(X)
    ref.add_callback(lambda _: None)
    listening.tell(Event.READY, [Y])
    assert not ref.is_complete
    listening.tell(Event.READY, [X])
    assert ref.is_complete


async def test_an_object_that_comes_pinned_with_its_event_is_read_without_a_request(listening: Listening) -> None:
    listening.tell(Event.NEXT, 1, with_segment=True)
    ref = listening.client.declare(X)
    listening.channel.take()
    listening.tell(Event.READY, [X], [[X, 1, 64, 5]])
    assert len(listening.client.view(ref)) == 5
    assert listening.channel.take() == []


async def test_a_ref_gets_the_error_of_an_object_that_failed(listening: Listening) -> None:
    ref = listening.client.declare(X)
    ref.add_callback(lambda _: None)
    listening.tell(Event.FAILED, X, encode_plain(ObjectLostError("object 7878 is lost")))
    with pytest.raises(ObjectLostError, match="object 7878 is lost"):
        ref.value()


async def test_an_allocation_is_taken_when_the_store_says_so(listening: Listening) -> None:
    listening.channel.answers.append(StoreReply(Status.WAIT, 2, []))
    putting = asyncio.ensure_future(listening.client.put_async(bytes(2000), object_id=X))
    while not listening.channel.said or listening.channel.said[-1] != (Op.AWAIT_ALLOCATION, X):
        await asyncio.sleep(0)
    listening.channel.take()
    listening.channel.answer([1, 0, 4096], with_segment=True)
    listening.tell(Event.ALLOCATION, X)
    assert (await putting).id == X
    assert listening.channel.take() == [(Op.TAKE_ALLOCATION, (X,)), (Op.SEAL, X)]


async def test_a_segment_that_is_offered_is_mapped_until_it_is_retired(listening: Listening) -> None:
    listening.tell(Event.NEXT, 1, with_segment=True)
    assert listening.client.statistics()["maps_count"] == 2  # to be read, and to be written
    listening.tell(Event.RETIRED, [1])
    assert listening.client.statistics()["maps_count"] == 0


async def test_a_recall_ends_the_loan(listening: Listening) -> None:
    listening.channel.answer([1, 0, 256 * KIB], with_segment=True)
    ref = listening.client.put(1)
    listening.channel.take()
    listening.tell(Event.RECALL)
    report, borrow = listening.channel.take()
    assert (report[0], report[2][0][0], borrow) == (Op.REPORT, ref.id, (Op.BORROW, 0))


async def test_a_published_version_wakes_its_waiters(listening: Listening) -> None:
    told: list[Any] = []
    listening.client.names.join(b"job")
    listening.client.names.wait("weights", 0, lambda error, version: told.append((error, version)))
    listening.tell(Event.PUBLISHED, b"job", "weights", None)
    assert told == [(None, None)]
