"""Objects that the store has not been told of."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.config import MIB
from actorrt.ids import ObjectId
from actorrt.store.client.user_line import user_line
from actorrt.store.connection.unreported import MAX_UNREPORTED_COUNT, UnreportedObjects
from actorrt.store.memory.lending import Lending
from actorrt.store.memory.pool import Growth, Place, Pool
from actorrt.store.wire.protocol import HELD, MAX_MESSAGE_BYTES, SEALED, Op, pack

X, Y, Z = (ObjectId(letter * 16) for letter in (b"x", b"y", b"z"))


@pytest.fixture
def unreported() -> UnreportedObjects:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 1024))
    return unreported


def test_what_is_dropped_at_the_end_is_used_again_at_once(unreported: UnreportedObjects) -> None:
    for object_id in (X, Y, Z):
        unreported.create(object_id, 64, "")
        unreported.seal(object_id)
    unreported.release(Y)
    unreported.release(Z)
    assert unreported.create(Z, 64, "") == Place(1, 64, 64)


def test_a_view_keeps_what_its_ref_has_left(unreported: UnreportedObjects) -> None:
    unreported.create(X, 64, "")
    unreported.seal(X)
    assert unreported.pin(X) == Place(1, 0, 64)
    unreported.release(X)
    assert unreported.report() == (64, [[X, 0, 64, SEALED, 1, ""]])


def test_the_report_names_gaps_by_leaving_them_out(unreported: UnreportedObjects) -> None:
    for object_id in (X, Y, Z):
        unreported.create(object_id, 60, "a.py:1")
    unreported.seal(X)
    unreported.abort(Y)
    assert unreported.report() == (192, [[X, 0, 60, HELD | SEALED, 0, "a.py:1"], [Z, 128, 60, HELD, 0, "a.py:1"]])
    assert unreported.report() is None
    assert not unreported.seal(Z)


def test_the_store_is_told_before_there_are_too_many() -> None:
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 64 * (MAX_UNREPORTED_COUNT + 1)))
    for number in range(MAX_UNREPORTED_COUNT):
        assert unreported.create(ObjectId(number.to_bytes(16, "little")), 1, "") is not None
    assert unreported.create(X, 1, "") is None
    unreported.report()
    assert unreported.create(X, 1, "") is not None


@pytest.mark.parametrize(
    ("end", "ranges"),
    [(64, [(32, 10)]), (64, [(0, 100)]), (128, [(64, 10), (0, 10)]), (1 << 30, [(0, 10)]), (10, []), (64, [(0, 0)])],
    ids=str,
)
def test_ranges_that_are_not_on_loan_are_refused(end: int, ranges: list[tuple[int, int]]) -> None:
    pool = Pool(64 * MIB)
    lending = Lending(pool)
    growth = lending.lend(1, 100)
    assert isinstance(growth, Growth)
    pool.begin(growth, None)
    pool.finish(growth.segment_id, is_made=True)
    assert isinstance(lending.lend(1, 100), Place)
    used_bytes = pool.used_bytes
    with pytest.raises(ValueError, match="not within the loan"):
        lending.settle(1, end, ranges)
    assert pool.used_bytes == used_bytes


def test_lines_of_any_alphabet_fit_into_the_message_that_tells_of_as_many_objects_as_may_wait() -> None:
    namespace: dict[str, Any] = {}
    exec(
        compile("def where(user_line):\n    return user_line()\n", "/\N{GRINNING FACE}" * 200 + ".py", "exec"),
        namespace,
    )
    line = namespace["where"](user_line)
    assert line.endswith("\N{GRINNING FACE}.py:2")
    unreported = UnreportedObjects()
    unreported.borrow(Place(1, 0, 1 << 30))
    for number in range(MAX_UNREPORTED_COUNT):
        assert unreported.create(ObjectId(number.to_bytes(16, "little")), 1 << 20, line) is not None
    report = unreported.report()
    assert report is not None
    assert len(pack((Op.REPORT, 0, *report))) <= MAX_MESSAGE_BYTES


def test_a_large_object_is_made_in_the_place_of_the_one_that_went_last() -> None:
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


def test_only_what_has_lived_for_a_while_is_told_of() -> None:
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
