"""Objects whose bytes are lost: their keepers make them again, for processes that wait."""

from __future__ import annotations

import pytest

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import (
    AskKeeper,
    FreeBytes,
    ObjectFailed,
    ObjectReady,
    ReleaseAdopted,
    TableInstruction,
)
from actorrt.store.table.objects import Presence, State
from actorrt.store.table.table import ObjectTable
from actorrt.store.values.errors import encode

A, B, C, EVENTS = 1, 2, 3, 10
X = ObjectId(b"x" * 16)
PLACE, ON_DISK, AGAIN = Place(1, 0, 100), Place(9, 64, 100), Place(1, 128, 100)
LOSS = ObjectLostError("object is lost: its spill file is torn")
FAR = PeerId(b"f" * 16)
GIVEN_UP = encode(ObjectLostError("it can't be made again"))


@pytest.fixture
def table() -> ObjectTable:
    table = ObjectTable()
    for connection in (A, B, C):
        table.connect(connection, PeerId(bytes([connection]) * 16))
    table.connect(EVENTS)
    table.introduce(FAR, b"far")
    return table


def state(table: ObjectTable) -> State | None:
    table.check_invariants()
    entry = table.get(X)
    return None if entry is None else entry.state


def took(table: ObjectTable) -> list[TableInstruction]:
    table.check_invariants()
    return table.take()


def made(table: ObjectTable, *keepers: int, holder: int = B) -> None:
    """Seal X by C, which drops it; `holder` has a ref, and the keepers can make it again."""
    table.create(X, C, PLACE)
    table.seal(X, C)
    table.acquire(X, holder, None)
    table.release(X, C)
    for keeper in keepers:
        table.keep(X, keeper)


def torn(table: ObjectTable) -> None:
    assert table.move(X, PLACE, ON_DISK)
    table.take()
    table.lose(X, LOSS)


def test_a_lost_object_without_a_keeper_has_failed(table: ObjectTable) -> None:
    made(table)
    torn(table)
    assert state(table) is State.FAILED


def test_the_keeper_of_a_lost_object_is_asked_once_and_only_when_a_process_waits(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    assert state(table) is State.LOST
    assert took(table) == [FreeBytes(ON_DISK)]
    table.subscribe(X, EVENTS)
    table.subscribe(X, EVENTS)
    assert took(table) == [AskKeeper(A, X, LOSS)]
    assert state(table) is State.PENDING
    assert table.may_create(X)
    table.create(X, C, AGAIN)
    table.seal(X, C)
    assert took(table) == [ObjectReady(EVENTS, X)]
    assert state(table) is State.SEALED


def test_what_was_made_again_can_be_lost_again(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.subscribe(X, EVENTS)
    table.create(X, C, PLACE)
    table.seal(X, C)
    table.release(X, C)
    torn(table)
    table.take()
    table.subscribe(X, EVENTS)
    assert took(table) == [AskKeeper(A, X, LOSS)]


def test_an_object_fails_with_its_last_keeper_whether_or_not_it_was_asked(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.disconnect(A, 0.0)
    assert state(table) is State.FAILED
    assert "the process that submitted its task" in str(table.get(X).error)


def test_a_keeper_that_ends_while_it_makes_the_object_fails_it(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.subscribe(X, EVENTS)
    table.take()
    table.disconnect(A, 0.0)
    (failed,) = took(table)
    assert isinstance(failed, ObjectFailed)
    assert "its spill file is torn" in str(failed.error)


def test_the_next_keeper_is_asked_when_the_first_one_ends_or_gives_up(table: ObjectTable) -> None:
    made(table, A, B, C)
    torn(table)
    table.subscribe(X, EVENTS)
    table.take()
    table.disconnect(A, 0.0)
    assert took(table) == [AskKeeper(B, X, LOSS)]
    table.fail(X, GIVEN_UP, B)
    assert took(table) == [AskKeeper(C, X, LOSS)]
    table.fail(X, GIVEN_UP, C)
    assert took(table) == [ObjectFailed(EVENTS, X, GIVEN_UP)]


def test_the_outcome_of_the_first_promise_is_final_whoever_can_make_it_again(table: ObjectTable) -> None:
    table.declare(X, A)
    table.keep(X, A)
    table.keep(X, B)
    table.fail(X, GIVEN_UP, A)
    assert state(table) is State.FAILED


def test_a_promise_whose_process_has_ended_is_kept_by_a_keeper(table: ObjectTable) -> None:
    table.declare(X, C)
    table.acquire(X, A, None)
    table.keep(X, A)
    table.subscribe(X, EVENTS)
    table.disconnect(C, 0.0)
    (asked,) = took(table)
    assert isinstance(asked, AskKeeper)
    assert (asked.connection, state(table)) == (A, State.PENDING)


def test_an_object_whose_node_is_gone_is_made_again_and_is_this_nodes_own_then(table: ObjectTable) -> None:
    table.acquire(X, A, FAR + b"00000001")
    table.keep(X, A)
    table.take()
    table.set_origin(X, None)
    assert state(table) is State.LOST
    table.subscribe(X, EVENTS)
    table.create(X, C, PLACE)
    table.seal(X, C)
    entry = table.get(X)
    assert (entry.state, entry.origin) == (State.SEALED, None)


def test_an_object_that_its_node_has_lost_is_released_there_and_made_again(table: ObjectTable) -> None:
    table.acquire(X, A, FAR + b"00000001")
    table.keep(X, A)
    table.subscribe(X, EVENTS)
    table.take()
    table.fetch_failed(X, encode(LOSS))
    released, asked = took(table)
    assert released == ReleaseAdopted(X)
    assert isinstance(asked, AskKeeper)


def test_an_error_that_was_put_in_the_place_of_another_nodes_object_is_no_loss(table: ObjectTable) -> None:
    table.acquire(X, A, FAR + b"00000001")
    table.keep(X, A)
    table.fetch_failed(X, encode(ValueError("its task failed")))
    assert state(table) is State.FAILED


def test_a_ref_of_a_lost_object_that_returns_from_another_node_does_not_make_it_remote(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.subscribe(X, EVENTS)
    table.acquire(X, B, FAR + b"00000001")
    assert state(table) is State.PENDING
    assert table.get(X).origin is None


def test_a_lost_object_that_nobody_refers_to_is_deleted(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.release(X, B)
    table.sweep()
    assert state(table) is None


def test_a_freed_object_is_not_made_again(table: ObjectTable) -> None:
    made(table, A)
    table.free(X)
    assert state(table) is State.FREED
    assert table.find(X, A) is Presence.HERE
    assert not table.claim(X, A)


def test_a_claim_holds_and_tells_what_is_to_be_made(table: ObjectTable) -> None:
    assert table.find(X, A) is Presence.UNKNOWN
    assert table.claim(X, A), "nobody refers to it, so it is made again"
    assert table.find(X, A) is Presence.LOST
    assert table.find(X, B) is Presence.HERE
    assert not table.claim(X, B), "another process makes it"
    table.create(X, C, PLACE)
    table.seal(X, C)
    assert table.find(X, A) is Presence.HERE
    for connection in (A, B, C):
        table.release(X, connection)
    table.sweep()
    assert state(table) is None


def test_a_claim_of_a_lost_object_asks_nobody(table: ObjectTable) -> None:
    made(table, A)
    torn(table)
    table.take()
    assert table.claim(X, A)
    table.subscribe(X, EVENTS)
    assert took(table) == []
