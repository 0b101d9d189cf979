"""Reads: objects are pinned, verified if they come from disk, and pinned ahead of a request if they are read next."""

from __future__ import annotations

from actorrt.config import STORE_THRESHOLD_BYTES
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.server.connections import Connections
from actorrt.store.server.reads import ReadRequest, Reads
from actorrt.store.server.spilled import SpillFiles
from actorrt.store.table.instructions import AskKeeper, FreeBytes, Instruction, ObjectFailed, Send, Verify
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.protocol import VERSION, Event, Role, Status

A, EVENTS_A, B = 1, 2, 3
X, Y, Z = (ObjectId(bytes([name]) * 16) for name in b"xyz")
AT_X, AT_Y, AT_Z = Place(1, 0, 100), Place(1, 128, 100), Place(1, 256, STORE_THRESHOLD_BYTES + 1)
ON_DISK = Place(9, 64, 100)


class Reading:
    """Objects X, Y and the large Z, sealed by B, and a process A that reads."""

    def __init__(self) -> None:
        self.table, self.connections, self.files = ObjectTable(), Connections(), SpillFiles()
        self.reads = Reads(self.table, self.connections, self.files)
        for number, peer, role in (
            (A, b"a" * 16, Role.REQUESTS),
            (EVENTS_A, b"a" * 16, Role.EVENTS),
            (B, b"b" * 16, Role.REQUESTS),
        ):
            self.connections.open(number, f"pid {number}")
            self.connections.identify(number, VERSION, role, peer)
            self.table.connect(number, PeerId(peer) if role is Role.REQUESTS else None)
        for object_id, place in ((X, AT_X), (Y, AT_Y), (Z, AT_Z)):
            self.table.create(object_id, B, place)
            self.table.seal(object_id, B)

    def entry(self, object_id: ObjectId) -> ObjectEntry:
        entry = self.table.get(object_id)
        assert entry is not None
        return entry

    def said(self) -> list[Instruction]:
        instructions, self.connections.instructions = self.connections.instructions, []
        return instructions

    def spill(self) -> None:
        assert self.table.move(X, AT_X, ON_DISK)
        self.files.add(9, [(X, ON_DISK)])


def test_an_object_in_memory_is_pinned_and_answered_at_once() -> None:
    reading = Reading()
    reading.reads.answer(reading.entry(X), ReadRequest(A, 5, ("more",)))
    assert reading.said() == [Send(A, [5, Status.DONE, [1, 0, 100, "more"], []], 1, False)]
    assert reading.entry(X).pins == {A: 1}
    assert (reading.reads.hits_count, reading.reads.restores_count) == (1, 0)


def test_an_object_on_disk_is_verified_once_for_all_its_readers() -> None:
    reading = Reading()
    reading.spill()
    assert not reading.reads.can_be_answered(reading.entry(X))
    reading.reads.answer(reading.entry(X), ReadRequest(A, 5, ()))
    reading.reads.answer(reading.entry(X), ReadRequest(B, 6, ()))
    reading.reads.announce(reading.entry(X), EVENTS_A)
    assert reading.said() == [Verify(X, ON_DISK)]
    reading.reads.verified(X, ON_DISK, "")
    assert reading.said() == [
        Send(A, [5, Status.DONE, [9, 64, 100], []], 9, False),
        Send(B, [6, Status.DONE, [9, 64, 100], []], 9, False),
        Send(EVENTS_A, [Event.READY, [X]]),
    ]
    assert reading.reads.can_be_answered(reading.entry(X))
    assert reading.reads.restores_count == 1


def test_an_object_whose_bytes_changed_on_disk_is_lost_to_all_its_readers() -> None:
    reading = Reading()
    reading.spill()
    reading.reads.answer(reading.entry(X), ReadRequest(A, 5, ()))
    reading.reads.announce(reading.entry(X), EVENTS_A)
    reading.said()
    reading.reads.verified(X, ON_DISK, "does not match")
    (answer,) = reading.said()
    assert isinstance(answer, Send)
    assert answer.message[:2] == [5, Status.ERROR]
    assert b"is lost: its spill file does not match" in answer.message[2]
    assert (reading.entry(X).state, reading.entry(X).pins) == (State.FAILED, {})
    told = [instruction for instruction in reading.table.take() if isinstance(instruction, ObjectFailed)]
    assert told == [ObjectFailed(EVENTS_A, X, reading.entry(X).error)]


def test_readers_of_an_object_whose_bytes_changed_wait_if_a_process_can_make_it_again() -> None:
    reading = Reading()
    reading.table.keep(X, A)
    reading.spill()
    reading.table.take()
    reading.reads.answer(reading.entry(X), ReadRequest(B, 5, ()))
    reading.reads.announce(reading.entry(X), EVENTS_A)
    reading.said()
    reading.reads.verified(X, ON_DISK, "does not match")
    assert reading.said() == [Send(B, [5, Status.PENDING, None, []])]
    freed, asked = reading.table.take()
    assert freed == FreeBytes(ON_DISK)
    assert isinstance(asked, AskKeeper)
    assert (asked.connection, asked.object_id) == (A, X)
    assert "its spill file does not match" in str(asked.loss)
    assert reading.entry(X).waiters == {EVENTS_A}
    reading.table.check_invariants()


def test_a_reader_that_ended_meanwhile_is_not_answered() -> None:
    reading = Reading()
    reading.spill()
    reading.reads.answer(reading.entry(X), ReadRequest(A, 5, ()))
    reading.connections.close(A)
    reading.said()
    reading.reads.verified(X, ON_DISK, "")
    assert reading.said() == []


def test_small_objects_beside_the_first_are_pinned_too() -> None:
    reading = Reading()
    assert reading.reads.pin_beside(A, reading.entry(X), [Y, Z, b"?" * 16]) == [[Y, 1, 128, 100]]
    assert (reading.entry(Y).pins, reading.entry(Z).pins) == ({A: 1}, {})


def test_objects_that_become_ready_are_pinned_where_their_segment_is_mapped() -> None:
    reading = Reading()
    assert reading.reads.pin_ready(EVENTS_A, [X]) == []
    reading.connections[A].mapped.add((1, False))
    assert reading.reads.pin_ready(EVENTS_A, [X, Z]) == [[X, 1, 0, 100], [Z, 1, 256, STORE_THRESHOLD_BYTES + 1]]
    assert reading.reads.pin_ready(EVENTS_A, [X] * 17) == []
    assert reading.reads.pin_ready(B, [X]) == []
