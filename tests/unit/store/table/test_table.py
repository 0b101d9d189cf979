"""The object table: the states of objects, and what keeps objects alive."""

from __future__ import annotations

import pytest

from actorrt.errors import ObjectLostError, ObjectNotFoundError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import FreeBytes, ObjectFailed, ObjectReady, TableInstruction
from actorrt.store.table.objects import State
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S
from actorrt.store.table.table import ObjectTable

A, B, C, EVENTS = 1, 2, 3, 10
PEERS = {A: PeerId(b"a" * 16), B: PeerId(b"b" * 16), C: PeerId(b"c" * 16)}
X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)
PLACE, OTHER = Place(1, 0, 100), Place(1, 128, 100)
TOKEN = PEERS[A] + b"00000001"


@pytest.fixture
def table() -> ObjectTable:
    table = ObjectTable()
    for connection, peer in PEERS.items():
        table.connect(connection, peer)
    table.connect(EVENTS)
    return table


def swept(table: ObjectTable) -> list[TableInstruction]:
    table.sweep()
    return table.take()


def put(table: ObjectTable, object_id: ObjectId, connection: int, place: Place = PLACE) -> None:
    assert table.may_create(object_id)
    table.create(object_id, connection, place)
    table.seal(object_id, connection)


def state(table: ObjectTable, object_id: ObjectId) -> State | None:
    entry = table.get(object_id)
    return None if entry is None else entry.state


def failure(instructions: list[TableInstruction]) -> tuple[type, str]:
    (instruction,) = instructions
    assert isinstance(instruction, ObjectFailed)
    return type(instruction.error), str(instruction.error)


def test_an_object_is_deleted_with_its_last_hold_at_the_sweep(table: ObjectTable) -> None:
    put(table, X, A)
    table.acquire(X, B, None)
    table.release(X, A)
    assert swept(table) == []
    table.release(X, B)
    assert state(table, X) is State.SEALED
    assert swept(table) == [FreeBytes(PLACE)]
    assert state(table, X) is None


def test_an_object_that_only_its_maker_knew_is_deleted_at_once(table: ObjectTable) -> None:
    table.create(X, A, PLACE, is_promised=False)
    table.seal(X, A)
    table.release(X, A)
    assert table.take() == [FreeBytes(PLACE)]


def test_a_view_keeps_the_bytes_after_the_last_ref(table: ObjectTable) -> None:
    put(table, X, A)
    assert table.pin(X, A) == PLACE
    table.release(X, A)
    assert swept(table) == []
    table.unpin(X, A)
    assert swept(table) == [FreeBytes(PLACE)]


def test_waiters_are_told_when_a_declared_object_is_sealed_by_another(table: ObjectTable) -> None:
    table.declare(X, A)
    table.subscribe(X, EVENTS)
    assert table.take() == []
    put(table, X, B)
    assert table.take() == [ObjectReady(EVENTS, X)]


def test_subscribing_to_a_sealed_object_tells_at_once(table: ObjectTable) -> None:
    put(table, X, A)
    table.subscribe(X, EVENTS)
    assert table.take() == [ObjectReady(EVENTS, X)]


def test_subscribing_to_an_unknown_object_fails_at_once(table: ObjectTable) -> None:
    table.subscribe(X, EVENTS)
    assert failure(table.take()) == (ObjectNotFoundError, "object 78787878 was freed")


def test_a_result_that_overtakes_its_declaration_is_not_lost(table: ObjectTable) -> None:
    put(table, X, B)
    table.release(X, B)
    table.declare(X, A)
    assert swept(table) == []
    assert state(table, X) is State.SEALED


def test_an_error_that_overtakes_its_declaration_is_not_lost(table: ObjectTable) -> None:
    table.fail(X, b"why")
    table.declare(X, A)
    table.sweep()
    table.subscribe(X, EVENTS)
    assert table.take() == [ObjectFailed(EVENTS, X, b"why")]


def test_an_object_is_lost_with_the_connection_that_declared_it(table: ObjectTable) -> None:
    table.declare(X, A)
    table.acquire(X, B, None)
    table.subscribe(X, EVENTS)
    table.disconnect(A, 0.0)
    kind, text = failure(table.take())
    assert kind is ObjectLostError
    assert "ended before it was sealed" in text


def test_the_end_of_the_maker_frees_the_bytes_and_leaves_the_promise(table: ObjectTable) -> None:
    table.declare(X, A)
    table.create(X, B, PLACE)
    table.disconnect(B, 0.0)
    assert swept(table) == [FreeBytes(PLACE)]
    assert state(table, X) is State.PENDING
    put(table, X, C, OTHER)
    assert state(table, X) is State.SEALED


def test_an_object_that_was_not_declared_is_lost_with_its_maker(table: ObjectTable) -> None:
    table.create(X, A, PLACE)
    table.acquire(X, B, None)
    table.subscribe(X, EVENTS)
    table.disconnect(A, 0.0)
    table.sweep()
    given_up, failed = table.take()
    assert given_up == FreeBytes(PLACE)
    assert failure([failed])[0] is ObjectLostError


def test_the_end_of_a_connection_ends_its_holds_pins_and_waits(table: ObjectTable) -> None:
    put(table, X, A)
    table.acquire(X, A, None)
    table.pin(X, A)
    table.disconnect(A, 0.0)
    assert swept(table) == [FreeBytes(PLACE)]
    table.declare(Y, B)
    table.subscribe(Y, EVENTS)
    table.disconnect(EVENTS, 0.0)
    put(table, Y, B)
    assert table.take() == []


def test_an_object_outlives_its_maker(table: ObjectTable) -> None:
    put(table, X, A)
    table.acquire(X, B, None)
    table.disconnect(A, 0.0)
    assert swept(table) == []
    assert table.pin(X, B) == PLACE


def test_a_transit_keeps_the_object_until_it_arrives(table: ObjectTable) -> None:
    put(table, X, A)
    table.transit(X, A, TOKEN, 1)
    table.release(X, A)
    assert swept(table) == []
    table.acquire(X, B, TOKEN)
    table.release(X, B)
    assert swept(table) == [FreeBytes(PLACE)]


def test_an_arrival_may_overtake_the_announcement(table: ObjectTable) -> None:
    put(table, X, A)
    table.acquire(X, B, TOKEN)
    table.transit(X, A, TOKEN, 1)
    table.release(X, A)
    table.release(X, B)
    assert swept(table) == [FreeBytes(PLACE)]


def test_an_arrival_may_overtake_the_declaration(table: ObjectTable) -> None:
    table.acquire(X, B, TOKEN)
    assert state(table, X) is State.EXPECTED
    table.declare(X, A)
    table.transit(X, A, TOKEN, 1)
    assert state(table, X) is State.PENDING


def test_an_expected_object_that_its_sender_does_not_make_known_fails(table: ObjectTable) -> None:
    table.acquire(X, B, TOKEN)
    table.subscribe(X, EVENTS)
    table.transit(X, A, TOKEN, 1)
    assert failure(table.take()) == (ObjectNotFoundError, "object 78787878 was freed before it was sent")


def test_an_expected_object_that_is_forwarded_waits_for_its_first_sender(table: ObjectTable) -> None:
    onward = PEERS[B] + b"00000001"
    table.acquire(X, B, TOKEN)
    table.transit(X, B, onward, 1)
    table.acquire(X, C, onward)
    assert state(table, X) is State.EXPECTED
    table.declare(X, A)
    assert state(table, X) is State.PENDING


def test_an_expected_object_is_lost_with_its_sender(table: ObjectTable) -> None:
    table.acquire(X, B, TOKEN)
    table.subscribe(X, EVENTS)
    table.disconnect(A, 0.0)
    assert failure(table.take())[0] is ObjectLostError


def test_an_unknown_object_of_a_sender_that_is_gone_is_lost(table: ObjectTable) -> None:
    table.disconnect(A, 0.0)
    table.acquire(X, B, TOKEN)
    table.subscribe(X, EVENTS)
    assert failure(table.take())[0] is ObjectLostError


def test_an_object_that_was_freed_and_forgotten_is_not_found(table: ObjectTable) -> None:
    put(table, X, A)
    table.free(X)
    table.release(X, A)
    table.sweep()
    table.take()
    table.acquire(X, B, None)
    table.subscribe(X, EVENTS)
    assert failure(table.take())[0] is ObjectNotFoundError


def test_a_message_to_several_receivers_keeps_the_object_until_the_last(table: ObjectTable) -> None:
    put(table, X, A)
    table.transit(X, A, TOKEN, 2)
    table.release(X, A)
    table.acquire(X, B, TOKEN)
    table.release(X, B)
    assert swept(table) == []
    table.acquire(X, C, TOKEN)
    table.release(X, C)
    assert swept(table) == [FreeBytes(PLACE)]


def test_a_lost_message_is_settled_by_its_sender(table: ObjectTable) -> None:
    put(table, X, A)
    table.transit(X, A, TOKEN, 3)
    table.release(X, A)
    table.settle(TOKEN)
    assert swept(table) == [FreeBytes(PLACE)]


def test_a_transit_outlives_its_sender_for_the_grace_only(table: ObjectTable) -> None:
    put(table, X, A)
    table.transit(X, A, TOKEN, 1)
    table.disconnect(A, 100.0)
    table.tick(100.0 + TRANSIT_GRACE_S - 1)
    assert swept(table) == []
    table.tick(100.0 + TRANSIT_GRACE_S)
    assert swept(table) == [FreeBytes(PLACE)]


def test_an_object_holds_the_objects_that_it_contains(table: ObjectTable) -> None:
    put(table, X, A)
    table.create(Y, A, OTHER)
    table.contain(Y, A, [X, X])
    table.seal(Y, A)
    table.release(X, A)
    assert swept(table) == []
    table.release(Y, A)
    assert sorted(swept(table), key=str) == [FreeBytes(PLACE), FreeBytes(OTHER)]


def test_a_freed_object_is_not_found_but_its_views_stay(table: ObjectTable) -> None:
    put(table, X, A)
    table.pin(X, A)
    table.free(X)
    assert swept(table) == []
    table.subscribe(X, EVENTS)
    assert failure(table.take())[0] is ObjectNotFoundError
    table.unpin(X, A)
    assert swept(table) == [FreeBytes(PLACE)]
    table.release(X, A)
    assert state(table, X) is None


def test_a_freed_object_does_not_keep_receivers_waiting(table: ObjectTable) -> None:
    put(table, X, A)
    table.free(X)
    table.sweep()
    table.take()
    table.acquire(X, B, TOKEN)
    table.subscribe(X, EVENTS)
    assert failure(table.take())[0] is ObjectNotFoundError


@pytest.mark.parametrize("freed_first", [True, False], ids=["freed, sent", "sent, freed"])
def test_a_ref_of_a_freed_object_leaves_nothing_where_it_arrives(table: ObjectTable, freed_first: bool) -> None:
    put(table, X, A)
    steps = [lambda: (table.free(X), table.sweep()), lambda: table.transit(X, A, TOKEN, 1)]
    for step in steps if freed_first else reversed(steps):
        step()
    table.acquire(X, B, TOKEN)
    table.take()
    table.subscribe(X, EVENTS)
    assert failure(table.take())[0] is ObjectNotFoundError
    table.release(X, B)
    table.sweep()
    assert state(table, X) is None
    assert len(table.transits) == 0


def test_freeing_an_object_that_is_being_written_waits_for_the_writer(table: ObjectTable) -> None:
    table.create(X, A, PLACE)
    table.free(X)
    assert swept(table) == []
    table.seal(X, A)
    assert swept(table) == [FreeBytes(PLACE)]
    assert state(table, X) is None


def test_a_failed_promise_refuses_a_late_result(table: ObjectTable) -> None:
    table.declare(X, A)
    table.fail(X, b"cancelled")
    with pytest.raises(ObjectLostError, match="was given up"):
        table.may_create(X)


def test_a_late_error_does_not_change_a_sealed_object(table: ObjectTable) -> None:
    put(table, X, A)
    table.fail(X, b"too late")
    assert state(table, X) is State.SEALED
    assert not table.may_create(X)


def test_two_makers_of_one_object_are_refused(table: ObjectTable) -> None:
    table.create(X, A, PLACE)
    with pytest.raises(ObjectLostError, match="is being made by another process"):
        table.may_create(X)


def test_an_aborted_object_leaves_nothing(table: ObjectTable) -> None:
    table.create(X, A, PLACE)
    table.abort(X, A)
    assert swept(table) == [FreeBytes(PLACE)]
    assert state(table, X) is None


def test_another_connection_can_not_seal_or_abort(table: ObjectTable) -> None:
    table.create(X, A, PLACE)
    table.seal(X, B)
    table.abort(X, B)
    assert state(table, X) is State.CREATED


def test_a_sweep_leaves_objects_that_were_mentioned_since_its_beginning_to_the_next() -> None:
    table = ObjectTable()
    table.connect(1)
    table.create(ObjectId(b"s" * 16), 1, Place(1, 0, 64))
    table.seal(ObjectId(b"s" * 16), 1)
    table.sweep()
    table.release(ObjectId(b"s" * 16), 1)
    table.suspects.begin()
    table.acquire(ObjectId(b"s" * 16), 1, None)
    table.release(ObjectId(b"s" * 16), 1)
    table.sweep()
    assert table.get(ObjectId(b"s" * 16)) is not None
    assert table.suspects
    table.suspects.begin()
    table.sweep()
    assert table.get(ObjectId(b"s" * 16)) is None
    assert not table.suspects
