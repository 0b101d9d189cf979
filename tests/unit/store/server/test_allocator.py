"""The allocator: requests that are served, wait or fail, and objects that are evicted or spilled for them."""

from __future__ import annotations

import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectLostError, ObjectStoreFullError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place, Pool
from actorrt.store.server.accounts import counts, largest
from actorrt.store.server.allocation_requests import AllocationRequest
from actorrt.store.server.allocator import Allocator
from actorrt.store.server.connections import Connections
from actorrt.store.table.instructions import DropSegment, FreeBytes, Instruction, MakeSegment, Send, Spill
from actorrt.store.table.objects import State
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.protocol import VERSION, Event, Role, Status, Wait

A, EVENTS_A = 1, 2
PEER_A = PeerId(b"a" * 16)
X, Y, Z = (ObjectId(bytes([name]) * 16) for name in b"xyz")


class Memory:
    """An allocator of 4 MiB with segments of 1 MiB, which are made when the test says so."""

    def __init__(self, *, may_spill: bool = False) -> None:
        self.pool = Pool(4 * MIB, 1 * MIB)
        self.table = ObjectTable()
        self.connections = Connections()
        self.allocator = Allocator(self.pool, self.table, self.connections, may_spill=may_spill)
        for number, role in ((A, Role.REQUESTS), (EVENTS_A, Role.EVENTS)):
            self.connections.open(number, f"pid {number}")
            self.connections.identify(number, VERSION, role, PEER_A)
            self.table.connect(number, PEER_A if role is Role.REQUESTS else None)

    def said(self) -> list[Instruction]:
        instructions, self.connections.instructions = self.connections.instructions, []
        return instructions

    def ask(self, object_id: ObjectId, length_bytes: int, *, waits_for_release: bool = False) -> None:
        objects = ((object_id, length_bytes),)
        self.allocator.ask(AllocationRequest(A, 5, length_bytes, objects, waits_for_release=waits_for_release))

    def fill(self) -> None:
        """Seal X, which takes all of the store, and leave it to be held by A."""
        self.ask(X, 4 * MIB)
        self.allocator.segment_made(1, None)
        self.allocator.take(A, 6, X)
        self.table.seal(X, A)
        self.table.take()
        self.said()


def test_a_request_waits_for_its_segment_and_takes_its_place_then() -> None:
    memory = Memory()
    memory.ask(X, 100)
    assert memory.said() == [MakeSegment(1, 1 * MIB, False), Send(A, [5, Status.WAIT, Wait.MEMORY, []])]
    memory.allocator.await_settled(A, X, EVENTS_A)
    assert memory.said() == []
    memory.allocator.segment_made(1, None)
    assert memory.said() == [Send(EVENTS_A, [Event.ALLOCATION, X])]
    memory.allocator.take(A, 6, X)
    assert memory.said() == [Send(A, [6, Status.DONE, [1, 0, 100], []], 1, True)]
    assert memory.allocator.files.used_bytes == 0


def test_a_waiter_that_comes_late_is_told_at_once() -> None:
    memory = Memory()
    memory.ask(X, 100)
    memory.allocator.segment_made(1, None)
    memory.said()
    memory.allocator.await_settled(A, X, EVENTS_A)
    assert memory.said() == [Send(EVENTS_A, [Event.ALLOCATION, X])]


def test_a_machine_without_memory_fails_the_request_that_waits() -> None:
    memory = Memory()
    memory.ask(X, 100)
    memory.allocator.segment_made(1, ObjectStoreFullError("no memory"))
    with pytest.raises(ObjectStoreFullError, match="no memory"):
        memory.allocator.take(A, 6, X)
    assert memory.pool.reserved_bytes == 0


def test_objects_of_one_request_lie_behind_each_other() -> None:
    memory = Memory()
    memory.allocator.ask(AllocationRequest(A, 5, 192, ((X, 100), (Y, 64))))
    memory.allocator.segment_made(1, None)
    places = [memory.table.get(object_id) for object_id in (X, Y)]
    assert [entry.place for entry in places if entry is not None] == [Place(1, 0, 100), Place(1, 128, 64)]


def test_an_object_that_is_longer_than_the_store_is_refused() -> None:
    memory = Memory()
    with pytest.raises(ObjectStoreFullError, match=r"5\.0 MiB are more than the whole store of 4\.0 MiB"):
        memory.ask(X, 5 * MIB)
    assert memory.said() == []


def test_a_full_store_recalls_and_names_its_holders() -> None:
    memory = Memory()
    memory.fill()
    with pytest.raises(ObjectStoreFullError) as caught:
        memory.ask(Y, 100)
    assert str(caught.value) == "no room for 0.0 MiB: 4.0 of 4.0 MiB are used; largest holders: pid 1 4.0 MiB"
    assert memory.said() == [Send(EVENTS_A, [Event.RECALL])]


def test_a_request_that_waits_for_releases_is_served_by_one() -> None:
    memory = Memory()
    memory.fill()
    memory.ask(Y, 100, waits_for_release=True)
    assert memory.said() == [Send(EVENTS_A, [Event.RECALL]), Send(A, [5, Status.WAIT, Wait.SPACE, []])]
    memory.allocator.offer()
    memory.table.free(X)
    memory.table.sweep()
    assert memory.table.take() == [FreeBytes(Place(1, 0, 4 * MIB))]
    memory.allocator.free(Place(1, 0, 4 * MIB))
    memory.allocator.offer()
    memory.allocator.take(A, 6, Y)
    assert memory.said() == [Send(A, [6, Status.DONE, [1, 0, 100], []], None, True)]


def test_a_request_that_is_taken_too_early_is_withdrawn() -> None:
    memory = Memory()
    memory.fill()
    memory.ask(Y, 100, waits_for_release=True)
    with pytest.raises(ObjectStoreFullError, match="no room for"):
        memory.allocator.take(A, 6, Y)
    with pytest.raises(ValueError, match="only the connection that asked for memory takes it"):
        memory.allocator.take(A, 7, Y)


def test_idle_objects_are_moved_to_disk_for_a_request() -> None:
    memory = Memory(may_spill=True)
    memory.fill()
    memory.ask(Y, 100)
    recall, spill, wait = memory.said()
    assert (recall, wait) == (Send(EVENTS_A, [Event.RECALL]), Send(A, [5, Status.WAIT, Wait.SPACE, []]))
    assert spill == Spill(2, ((X, Place(1, 0, 4 * MIB)),))
    memory.allocator.spilled(2, [64], "")
    moved = memory.table.get(X)
    assert moved is not None
    assert (moved.state, moved.place) == (State.SPILLED, Place(2, 64, 4 * MIB))
    assert memory.table.take() == [FreeBytes(Place(1, 0, 4 * MIB))]
    assert (memory.allocator.spills_count, memory.allocator.files.used_bytes) == (1, 4 * MIB)
    memory.allocator.free(Place(1, 0, 4 * MIB))
    memory.allocator.retry()
    memory.allocator.take(A, 6, Y)
    assert memory.pool.used_bytes == 128


def test_a_file_of_objects_that_are_gone_is_dropped() -> None:
    memory = Memory(may_spill=True)
    memory.fill()
    memory.ask(Y, 100)
    memory.table.pin(X, A)
    memory.said()
    memory.allocator.spilled(2, [64], "")
    assert memory.said() == [DropSegment(2)]
    assert memory.allocator.spills_count == 0


def test_a_disk_that_fails_is_named_until_it_is_tried_again() -> None:
    memory = Memory(may_spill=True)
    memory.fill()
    memory.ask(Y, 100)
    memory.allocator.spilled(2, [], "the disk is full")
    memory.allocator.retry()
    with pytest.raises(ObjectStoreFullError, match="nothing can be moved to disk: the disk is full"):
        memory.allocator.take(A, 6, Y)
    memory.said()
    memory.allocator.try_disk_again()
    memory.ask(Z, 100)
    assert [type(instruction) for instruction in memory.said()] == [Send, Spill, Send]


def test_one_connection_waits_once_for_an_object() -> None:
    memory = Memory()
    memory.ask(X, 100)
    with pytest.raises(ObjectLostError, match="is being made by another thread of its process"):
        memory.ask(X, 100)


def test_a_connection_that_ends_waits_no_more() -> None:
    memory = Memory()
    memory.ask(X, 100)
    memory.allocator.forget(A)
    memory.said()
    memory.allocator.segment_made(1, None)
    assert memory.said() == []
    assert memory.table.get(X) is None


def test_the_counts_add_up_and_the_largest_are_listed_first() -> None:
    memory = Memory()
    for object_id, length_bytes in ((X, 100), (Y, 1000)):
        memory.ask(object_id, length_bytes)
        if object_id == X:
            memory.allocator.segment_made(1, None)
        memory.table.seal(object_id, A)
    memory.table.pin(Y, A)
    assert counts(memory.pool, memory.table, memory.allocator) == {
        "capacity_bytes": 4 * MIB,
        "used_bytes": 128 + 1024,
        "lent_bytes": 0,
        "reserved_bytes": 1 * MIB,
        "pinned_bytes": 1000,
        "spilled_bytes": 0,
        "objects_count": 2,
        "segments_count": 1,
        "spills_count": 0,
        "evictions_count": 0,
    }
    assert largest(memory.table, memory.connections, 2) == [
        [Y[:4], 1000, "sealed", ["pid 1 (in view)"], ""],
        [X[:4], 100, "sealed", ["pid 1"], ""],
    ]
    assert largest(memory.table, memory.connections, 1) == [[Y[:4], 1000, "sealed", ["pid 1 (in view)"], ""]]
