"""What is listed of the actors of one registry, and what is left out and counted."""

from __future__ import annotations

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.endpoint.census import Listing
from actorrt.ids import ActorId, JobId
from tests.unit.records import order_of

JOB = JobId(b"job")


def record(name: str, parent: str | None = None) -> ActorRecord:
    order = order_of(None if parent is None else ActorId(parent.encode()), options={"name": name}, job=JOB)
    return ActorRecord(ActorId(name.encode()), order)


def listed(records: list[ActorRecord], siblings_count: int, rows_count: int) -> tuple[list[str], dict[bytes, int]]:
    children = Children()
    for each in records:
        children.add(each)
    listing = Listing(children.in_order, siblings_count, rows_count)
    listing.take(JOB, [each for each in records if each.parent is None])
    return [row.label for row in listing.rows], listing.left_out


def test_parents_come_before_their_children_and_siblings_in_order() -> None:
    labels, left_out = listed([record("a"), record("b"), record("a1", "a"), record("a2", "a"), record("b1", "b")], 9, 9)
    assert (labels, left_out) == (["a", "b", "b1", "a1", "a2"], {})


def test_children_beyond_the_bound_are_left_out_with_all_that_is_below_them_and_counted() -> None:
    records = [record("a"), record("b"), record("c"), record("c1", "c"), *(record(f"a{n}", "a") for n in range(5))]
    assert listed(records, 2, 100) == (["a", "b", "a0", "a1"], {JOB: 1, b"a": 3})


def test_rows_beyond_the_bound_are_left_out_and_counted() -> None:
    assert listed([record("a"), record("b"), record("b1", "b"), record("b2", "b")], 9, 3) == (
        ["a", "b", "b1"],
        {b"b": 1},
    )


def test_chain_may_be_as_long_as_there_are_rows() -> None:
    chain = [record("0"), *(record(str(number), str(number - 1)) for number in range(1, 3000))]
    assert listed(chain, 1, 3000) == ([str(number) for number in range(3000)], {})
