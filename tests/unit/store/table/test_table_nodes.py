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
FAR_NODE, FARTHER_NODE = PeerId(b"F" * 16), PeerId(b"G" * 16)
FROM_FAR_NODE, FROM_FARTHER_NODE = -5, -6
SENT = PeerId(b"a" * 16) + b"00000001"
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
    table.connect(FROM_FAR_NODE, FAR_NODE)
    table.connect(FROM_FARTHER_NODE, FARTHER_NODE)
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
    table.arrive(X, TOKEN, A)
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
    table.arrive(X, TOKEN, A)
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
    table.arrive(X, TOKEN, A)
    table.sweep()
    assert table.take() == [Adopt(X, b"far", TOKEN), ReleaseAdopted(X)]
    assert state(table) is None


def sent(table: ObjectTable, *nodes: PeerId) -> None:
    """Make an object that only a message keeps, which leaves for these nodes."""
    table.create(X, A, PLACE)
    table.seal(X, A)
    table.transit(X, A, SENT, len(nodes))
    table.release(X, A)
    for node in nodes:
        table.transits.address(SENT, node, 1)


def is_kept(table: ObjectTable) -> bool:
    table.sweep()
    table.check_invariants()
    return state(table) is not None


def test_message_that_left_for_a_node_keeps_its_object_until_that_node_is_gone(table: ObjectTable):
    sent(table, FAR_NODE)
    table.node_gone(FARTHER_NODE)
    assert is_kept(table)
    table.node_gone(FAR_NODE)
    assert not is_kept(table)


def test_copies_for_other_nodes_stay_when_one_is_gone(table: ObjectTable):
    sent(table, FAR_NODE, FARTHER_NODE)
    table.node_gone(FAR_NODE)
    assert is_kept(table)
    table.acquire(X, FROM_FARTHER_NODE, SENT)
    table.release(X, FROM_FARTHER_NODE)
    assert not is_kept(table)


@pytest.mark.parametrize("is_addressed_late", [False, True])
def test_copy_that_has_arrived_at_a_node_does_not_end_again_with_that_node(table: ObjectTable, is_addressed_late: bool):
    sent(table, FARTHER_NODE, *[FAR_NODE][is_addressed_late:])
    if is_addressed_late:
        table.transit(X, A, SENT, 1)
    table.arrive(X, SENT, FROM_FAR_NODE)
    if is_addressed_late:
        table.transits.address(SENT, FAR_NODE, 1)
    table.node_gone(FAR_NODE)
    assert is_kept(table)
    table.arrive(X, SENT, FROM_FARTHER_NODE)
    assert not is_kept(table)


def test_copy_that_is_sent_again_elsewhere_outlives_the_first_node(table: ObjectTable):
    sent(table, FAR_NODE)
    table.transits.address(SENT, FAR_NODE, -1)
    table.transits.address(SENT, FARTHER_NODE, 1)
    table.node_gone(FAR_NODE)
    assert is_kept(table)


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
