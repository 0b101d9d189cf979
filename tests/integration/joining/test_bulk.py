"""Objects that are read over the TLS port of another node: whole and in place; stalls and garbage end in errors."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.dialling import open_as_member
from actorrt.cluster.joining.messages import Question
from actorrt.cluster.joining.port import Visit
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import Credentials
from actorrt.errors import PeerUnreachableError
from actorrt.ids import IdSource, ObjectId, PeerId
from actorrt.machine.clock import ManualClock
from actorrt.node.objects import bulk_reader, bulk_source
from actorrt.node.objects.bulk import BULK, CHUNK, GONE, READ, WAIT, BulkOpening, BulkRead
from actorrt.node.objects.bulk_reader import BulkReader, Port
from actorrt.node.objects.bulk_source import SENDERS_COUNT, VISITS_COUNT, BulkSource
from actorrt.node.objects.pulls import CHUNK_BYTES
from actorrt.scopes import Scope
from tests.integration.joining.entry_node import WAIT_S, EntryNode, joined, refusals_of, stranger
from tests.unit.records import crashed

IDS = IdSource()
SOURCE = IDS.peer()
OBJECT = IDS.object()
CONTENT = os.urandom(3 * CHUNK_BYTES + 77)


class FakeParts:
    """The objects of the source. What is in `chunks` only is still being read there: one chunk after the other."""

    def __init__(self) -> None:
        self.whole = {OBJECT: CONTENT}
        self.chunks: dict[int, bytes] = {}
        self.changed = asyncio.Event()

    async def part(self, object_id: ObjectId, offset: int) -> memoryview | None:
        if object_id in self.whole:
            return memoryview(self.whole[object_id])[offset:]
        while self.chunks and offset not in self.chunks:
            self.changed.clear()
            await self.changed.wait()
        return memoryview(self.chunks[offset]) if self.chunks else None

    def add(self, offset: int) -> None:
        self.chunks[offset] = CONTENT[offset : offset + CHUNK_BYTES]
        self.changed.set()


class Two:
    """The entry node as the source, and a member that reads from it."""

    def __init__(self, entry: EntryNode, credentials: Credentials, workers: ThreadPoolExecutor) -> None:
        self.entry, self.credentials = entry, credentials
        self.parts, self.clock = FakeParts(), ManualClock()
        self.scope = Scope("reader", crashed)
        self.sent: list[int] = []
        self.refusal: RefusedError | None = None
        self.ports = {SOURCE: Port(entry.directory.identity.node, entry.address)}
        self.reader = BulkReader(self.ports.get, lambda: credentials, workers, self.scope, self.clock, time.time)
        self.source = BulkSource(SOURCE, self.parts, workers, lambda card: self.refusal, self.sent.append)
        self.arrived: list[int] = []

    async def read(self, target: memoryview, offset: int = 0, object_id: ObjectId = OBJECT) -> bool:
        return await self.reader.read(SOURCE, object_id, offset, target, self.arrived.append)

    async def connect(self, source: PeerId = SOURCE) -> TlsStream:
        """Open a connection as a member that does what it wants."""
        opening = messages.pack(BULK, BulkOpening(source=source))
        node = self.entry.directory.identity.node
        return await open_as_member(self.entry.address, self.credentials, opening, time.time, expected=node)

    def answer_by(self, answer: Callable[[Visit], object]) -> None:
        """Let the source do something else with each request."""

        async def serve(visit: Visit, card: Card) -> None:
            await visit.stream.receive(256)
            await answer(visit)  # type: ignore[misc]

        self.entry.admission.port.routes[BULK] = self.entry.admission.members_only(serve)


@asynccontextmanager
async def two_nodes(entry: EntryNode, newcomer: StateDirectory) -> AsyncIterator[Two]:
    credentials = await joined(newcomer, entry)
    with ThreadPoolExecutor(SENDERS_COUNT + 2) as workers:
        two = Two(entry, credentials, workers)
        entry.admission.port.routes[BULK] = entry.admission.members_only(two.source.serve)
        try:
            yield two
        finally:
            await two.scope.close()
            two.reader.close()
            await until(lambda: len(two.source) == 0)


@pytest.fixture
async def two(entry: EntryNode, newcomer: StateDirectory) -> AsyncIterator[Two]:
    async with two_nodes(entry, newcomer) as nodes:
        yield nodes


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            await asyncio.sleep(0.005)


async def test_object_arrives_in_place_and_the_connection_is_used_again(two: Two) -> None:
    target = bytearray(len(CONTENT))
    assert await two.read(memoryview(target))
    assert target == CONTENT
    assert two.arrived == [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES]
    rest = bytearray(len(CONTENT) - 2 * CHUNK_BYTES)
    assert await two.read(memoryview(rest), 2 * CHUNK_BYTES)
    assert rest == CONTENT[2 * CHUNK_BYTES :]
    await until(lambda: two.sent == [4, 2])
    assert two.entry.admission.statistics().authenticated == 2  # one join and one connection


async def test_object_that_is_not_there_is_said_to_be_gone_and_the_connection_goes_on(two: Two) -> None:
    target = memoryview(bytearray(CHUNK_BYTES))
    assert not await two.read(target, object_id=IDS.object())
    assert not await two.read(target, 4 * CHUNK_BYTES)  # beyond its end
    assert await two.read(target)
    assert two.entry.admission.statistics().authenticated == 2


async def test_chunks_are_passed_on_as_they_come_while_the_source_still_reads(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_source, "WAIT_EVERY_S", 0.01)
    two.parts.whole.clear()
    two.parts.add(0)
    target = bytearray(len(CONTENT))
    reading = asyncio.create_task(two.read(memoryview(target)))
    for count in range(1, 5):
        await until(lambda count=count: len(two.arrived) == count)  # type: ignore[misc]
        two.parts.add(count * CHUNK_BYTES)
    assert await reading
    assert target == CONTENT


async def test_source_that_stops_reading_ends_the_answer(two: Two) -> None:
    two.parts.whole.clear()
    two.parts.add(0)
    reading = asyncio.create_task(two.read(memoryview(bytearray(len(CONTENT)))))
    await until(lambda: two.arrived == [0])
    two.parts.chunks.clear()
    two.parts.changed.set()
    assert not await reading


async def test_connection_that_the_source_has_closed_meanwhile_is_replaced(two: Two) -> None:
    target = bytearray(len(CONTENT))
    assert await two.read(memoryview(target))
    [(stream, _)] = two.reader._idle[SOURCE]
    stream.cut()
    two.arrived.clear()
    assert await two.read(memoryview(target))
    assert two.arrived == [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES]


# Stalls, ends and garbage


async def silent(visit: Visit) -> None:
    await visit.stream.receive(1)


async def part_of_a_chunk(visit: Visit) -> None:
    await visit.stream.write(CHUNK + bytes(100))


async def no_mark(visit: Visit) -> None:
    await visit.stream.write(b"?")
    await visit.stream.receive(1)


async def waits_only(visit: Visit) -> None:
    await visit.stream.write(WAIT * 1000)
    await visit.stream.receive(1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (silent, "sent nothing for 0.2 s"),
        (part_of_a_chunk, "broke the connection"),
        (no_mark, r"refuses to send objects: .*b'\?', which is no mark"),
        (waits_only, "sent nothing"),
    ],
)
async def test_source_that_stalls_breaks_off_or_sends_garbage_ends_the_read_with_an_error(
    two: Two, answer: Callable[[Visit], object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_reader, "STALL_S", 0.2)
    two.answer_by(answer)
    with pytest.raises(PeerUnreachableError, match=words):
        await two.read(memoryview(bytearray(len(CONTENT))))
    assert (two.arrived, two.reader._used, two.reader._idle) == ([], {}, {})


async def test_reader_that_takes_nothing_is_disconnected_and_others_are_served(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_source, "STALL_S", 0.2)
    two.parts.whole[OBJECT] = bytes(64 * CHUNK_BYTES)  # more than the buffers of sockets take
    stalled = await two.connect()
    await stalled.send(messages.pack(READ, BulkRead(object=OBJECT, offset=0, length_bytes=64 * CHUNK_BYTES)))
    assert await two.read(memoryview(bytearray(CHUNK_BYTES)))
    assert await refusals_of(two.entry, 1) == {"too_slow": 1}
    stalled.close()


async def test_end_of_the_source_ends_what_is_being_read_from_it_at_once(two: Two) -> None:
    two.answer_by(silent)
    reading = asyncio.create_task(two.read(memoryview(bytearray(len(CONTENT)))))
    await until(lambda: bool(two.reader._used))
    two.reader.node_ended(SOURCE)
    with pytest.raises(PeerUnreachableError, match="broke the connection"):
        await reading


async def test_cancelled_read_writes_no_more_to_its_memory(two: Two) -> None:
    two.answer_by(silent)
    before = threading.active_count()
    reading = asyncio.create_task(two.read(memoryview(bytearray(len(CONTENT)))))
    await until(lambda: bool(two.reader._used) and threading.active_count() > before)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert two.reader._used == {}


async def test_port_that_can_not_be_reached_is_left_alone_for_a_while(two: Two) -> None:
    two.ports[SOURCE] = Port(two.entry.directory.identity.node, "127.0.0.1:1")
    assert two.reader.reaches(SOURCE)
    with pytest.raises(PeerUnreachableError, match=r"127\.0\.0\.1:1 can't be reached: no node listens there"):
        await two.read(memoryview(bytearray(1)))
    assert not two.reader.reaches(SOURCE)
    two.clock.advance(bulk_reader.BARRED_S)
    assert two.reader.reaches(SOURCE)
    del two.ports[SOURCE]
    assert not two.reader.reaches(SOURCE)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (messages.framed(b"\xc1 garbage"), "malformed"),
        (b"\xff\xff\xff\xff", "malformed"),
        (messages.framed(messages.pack(READ, Question())), "malformed"),
        (messages.framed(messages.pack("write", Question())), "malformed"),
        (messages.framed(messages.pack(READ, BulkRead(object=OBJECT, offset=1, length_bytes=1))), "malformed"),
    ],
    ids=["garbage", "4 GiB", "empty", "unknown", "between chunks"],
)
async def test_member_that_sends_garbage_is_refused_and_told_why(two: Two, message: bytes, reason: str) -> None:
    stream = await two.connect()
    await stream.write(message)
    answer = messages.read(await stream.receive(messages.ANSWER_BYTES))
    assert (answer.kind, answer.contents["reason"]) == (messages.REFUSAL, reason)
    stream.close()
    assert await refusals_of(two.entry, 1) == {reason: 1}


async def test_stranger_reads_nothing(two: Two) -> None:
    answer = await stranger(two.entry, messages.framed(messages.pack(BULK, BulkOpening(source=SOURCE))))
    assert answer.contents["reason"] == "card_missing"


async def test_node_that_is_no_member_any_more_is_refused_and_the_reason_arrives(two: Two) -> None:
    two.refusal = RefusedError(Reason.NO_MEMBER, "this node was written dead")
    with pytest.raises(PeerUnreachableError, match="refuses to send objects: this node was written dead"):
        await two.read(memoryview(bytearray(1)))
    assert await refusals_of(two.entry, 1) == {"no_member": 1}


async def test_other_incarnation_of_the_source_is_refused(two: Two) -> None:
    stream = await two.connect(IDS.peer())
    answer = messages.read(await stream.receive(messages.ANSWER_BYTES))
    assert answer.contents["text"] == "the incarnation of this node that had the object has ended"
    stream.close()


async def test_connections_of_one_node_are_bounded(two: Two) -> None:
    streams = [await two.connect() for _ in range(VISITS_COUNT)]
    await until(lambda: len(two.source) == VISITS_COUNT)
    more = await two.connect()
    answer = messages.read(await more.receive(messages.ANSWER_BYTES))
    assert answer.contents["reason"] == "too_many"
    for stream in [*streams, more]:
        stream.close()


def test_marks_are_no_beginning_of_a_message() -> None:
    assert {CHUNK, WAIT, GONE} & {messages.framed(b"a" * count)[:1] for count in (1, messages.FIRST_BYTES)} == set()
