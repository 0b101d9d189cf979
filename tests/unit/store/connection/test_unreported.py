"""Objects that the store does not know yet."""

from __future__ import annotations

import pytest

from actorrt.config import MIB
from actorrt.ids import ObjectId
from actorrt.store.connection.unreported import MAX_UNREPORTED_COUNT, UnreportedObjects
from actorrt.store.memory.pool import Place
from actorrt.store.wire.protocol import HELD, SEALED

X, Y, Z = (ObjectId(letter * 16) for letter in (b"x", b"y", b"z"))


@pytest.fixture
def unreported() -> UnreportedObjects:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 1024))
    return unreported


def test_memory_of_objects_dropped_at_the_end_is_reused_at_once(unreported: UnreportedObjects) -> None:
    for object_id in (X, Y, Z):
        unreported.create(object_id, 64, "")
        unreported.seal(object_id)
    unreported.release(Y)
    unreported.release(Z)
    assert unreported.create(Z, 64, "") == Place(1, 64, 64)


def test_a_view_keeps_its_object_after_the_ref_is_dropped(unreported: UnreportedObjects) -> None:
    unreported.create(X, 64, "")
    unreported.seal(X)
    assert unreported.pin(X) == Place(1, 0, 64)
    unreported.release(X)
    assert unreported.report() == (64, [[X, 0, 64, SEALED, 1, ""]])


def test_the_report_leaves_out_aborted_objects(unreported: UnreportedObjects) -> None:
    for object_id in (X, Y, Z):
        unreported.create(object_id, 60, "a.py:1")
    unreported.seal(X)
    unreported.abort(Y)
    assert unreported.report() == (192, [[X, 0, 60, HELD | SEALED, 0, "a.py:1"], [Z, 128, 60, HELD, 0, "a.py:1"]])
    assert unreported.report() is None
    assert not unreported.seal(Z)


def test_an_object_beyond_the_bound_of_unreported_objects_is_refused() -> None:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 64 * (MAX_UNREPORTED_COUNT + 1)))
    for number in range(MAX_UNREPORTED_COUNT):
        assert unreported.create(ObjectId(number.to_bytes(16, "little")), 1, "") is not None
    assert unreported.create(X, 1, "") is None
    unreported.report()
    assert unreported.create(X, 1, "") is not None


def test_a_large_object_reuses_the_memory_of_the_large_object_that_was_dropped_last() -> None:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 64 * MIB))
    offsets = [unreported.add(object_id, MIB) for object_id in (X, Y, Z)]
    assert offsets == [0, MIB, 2 * MIB]
    unreported.release(X)
    unreported.release(Y)
    assert unreported.add(Y, MIB - 64) == MIB
    assert unreported.add(X, MIB) == 0
    unreported.release(X)
    assert unreported.add(X, 3 * MIB) == 3 * MIB, "what went is too short"
    assert unreported.add(ObjectId(b"w" * 16), 100_000) == 6 * MIB, "nor is much wasted on what is shorter by far"


def test_only_old_objects_are_reported_on_request() -> None:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 64 * MIB))
    unreported.add(X, MIB)
    unreported.add(Y, MIB)
    assert unreported.report(only_old=True) is None
    unreported.release(Y)
    unreported.add(Y, MIB)
    assert unreported.report(only_old=True) == (MIB, [[X, 0, MIB, SEALED | HELD, 0, ""]])
    assert list(unreported.objects) == [Y]
    assert unreported.report(only_old=True) == (2 * MIB, [[Y, MIB, MIB, SEALED | HELD, 0, ""]])
    assert unreported.report(only_old=True) is None
