"""The object table with objects of other nodes: adopted, held there and released."""

from __future__ import annotations

import pytest

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import Adopt, FreeBytes, ObjectFailed, ObjectReady, ReleaseAdopted, TransitArrived
from actorrt.store.table.objects import State
from actorrt.store.table.table import ObjectTable

A, B, EVENTS = 1, 2, 10
FAR, FARTHER = PeerId(b"f" * 16), PeerId(b"g" * 16)
X = ObjectId(b"x" * 16)
TOKEN, OTHER_TOKEN = FAR + b"00000001", FARTHER + b"00000001"
PLACE = Place(1, 0, 100)


@pytest.fixture
def table() -> ObjectTable:
    table = ObjectTable()
    table.connect(A, PeerId(b"a" * 16))
    table.connect(B, PeerId(b"b" * 16))
    table.connect(EVENTS)
    table.introduce(FAR, b"far")
    table.introduce(FARTHER, b"farther")
    return table


def state(table: ObjectTable) -> State | None:
    entry = table.get(X)
    return None if entry is None else entry.state


def adopted(table: ObjectTable) -> None:
    table.acquire(X, A, TOKEN)
    assert table.take() == [Adopt(X, b"far", TOKEN)]
    assert state(table) is State.REMOTE


def test_an_object_of_another_node_is_adopted_once_and_released_with_its_last_hold(table: ObjectTable):
    adopted(table)
    table.acquire(X, B, OTHER_TOKEN)
    table.arrive(X, TOKEN)
    assert table.take() == [TransitArrived(X, b"farther", OTHER_TOKEN), TransitArrived(X, b"far", TOKEN)]
    table.release(X, A)
    table.sweep()
    assert table.take() == []
    table.release(X, B)
    table.sweep()
    assert table.take() == [ReleaseAdopted(X)]
    assert state(table) is None


def test_an_object_that_was_made_here_is_not_adopted_when_its_ref_returns(table: ObjectTable):
    table.create(X, A, PLACE)
    table.seal(X, A)
    table.acquire(X, B, TOKEN)
    assert table.take() == [TransitArrived(X, b"far", TOKEN)]
    table.release(X, A)
    table.release(X, B)
    table.sweep()
    assert table.take() == [FreeBytes(PLACE)]


def test_an_object_promised_here_and_made_on_another_node_outlives_the_connection_that_promised_it(table: ObjectTable):
    table.declare(X, A)
    table.acquire(X, B, None)
    table.subscribe(X, EVENTS)
    table.arrive(X, TOKEN)
    assert table.take() == [Adopt(X, b"far", TOKEN)]
    table.disconnect(A, 0.0)
    assert state(table) is State.REMOTE
    table.create(X, B, PLACE)
    table.seal(X, B)
    assert table.take() == [ObjectReady(EVENTS, X)]


def test_an_object_that_is_expected_from_a_sender_here_may_be_on_another_node(table: ObjectTable):
    table.acquire(X, B, PeerId(b"a" * 16) + b"00000001")
    assert state(table) is State.EXPECTED
    table.acquire(X, A, TOKEN)
    assert table.take() == [Adopt(X, b"far", TOKEN)]


def test_an_arrival_at_a_deleted_object_is_reported_and_leaves_nothing(table: ObjectTable):
    table.arrive(X, TOKEN)
    table.sweep()
    assert table.take() == [Adopt(X, b"far", TOKEN), ReleaseAdopted(X)]
    assert state(table) is None


def test_a_remote_object_is_lost_with_its_node(table: ObjectTable):
    adopted(table)
    table.subscribe(X, EVENTS)
    table.set_origin(X, b"origin")
    table.set_origin(X, None)
    (failed,) = table.take()
    assert isinstance(failed, ObjectFailed)
    assert isinstance(failed.error, ObjectLostError)
    assert "its node is gone" in str(failed.error)
    table.release(X, A)
    table.sweep()
    assert table.take() == []


def test_a_copy_outlives_its_origin_and_is_not_evicted_then(table: ObjectTable):
    adopted(table)
    table.create(X, B, PLACE)
    table.seal(X, B)
    table.set_origin(X, None)
    assert state(table) is State.SEALED
    assert table.idle.evict_copies(100) == []
    table.release(X, A)
    table.release(X, B)
    table.sweep()
    assert table.take() == [FreeBytes(PLACE)]
