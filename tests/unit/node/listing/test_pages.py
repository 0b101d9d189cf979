"""Pages of what a node runs: each row once, whatever comes and goes between two pages."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, JobId, PeerAddress, PeerId
from actorrt.node.listing.pages import Page, RowNumbers, check_page, page_of
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from tests.unit.records import order_of

JOB = JobId(b"\x01" * 16)
ENDPOINT = PeerAddress(PeerId(b"\x02" * 16), "memory://x")


def record(number: int, **options: Any) -> ActorRecord:
    is_detached = options.get("detached", False)
    order = order_of(None, options=options, job=JOB, namespace="here", is_detached=is_detached)
    made = ActorRecord(ActorId(number.to_bytes(16, "big")), order)
    made.number = number
    return made


def worker(number: int) -> Worker:
    made = Worker(ENDPOINT, WorkerKind.SHARED, Job(JOB, ENDPOINT, {}), f"shared-{number}", {})
    made.number = number
    return made


def labels(page: Page) -> list[str]:
    return [*(row.label for row in page.workers), *(row.label for row in page.actors)]


def test_pages_hold_every_row_once_workers_first() -> None:
    workers, records = [worker(1), worker(2), worker(5)], [record(n, name=f"a{n}") for n in (3, 4, 9, 10)]
    pages = [page_of(workers, records, None, 2)]
    while pages[-1].next is not None:
        pages.append(page_of(workers, records, pages[-1].next, 2))
    assert [labels(page) for page in pages] == [["shared-1", "shared-2"], ["shared-5", "a3"], ["a4", "a9"], ["a10"]]


def test_last_page_that_is_full_says_that_nothing_follows() -> None:
    assert page_of([worker(1)], [record(1)], None, 2).next is None


def test_workers_and_actors_that_end_or_begin_between_two_pages_hide_and_repeat_no_row() -> None:
    records = [record(n, name=f"a{n}") for n in range(1, 7)]
    first = page_of([], records, None, 3)
    after = page_of([], [*records[3:5], record(7, name="a7")], first.next, 3)  # the first three ended, and a6
    assert (labels(first), labels(after)) == (["a1", "a2", "a3"], ["a4", "a5", "a7"])


def test_numbers_follow_the_order_of_coming_whenever_they_are_given() -> None:
    numbers, records = RowNumbers(), [record(0, name=f"a{n}") for n in range(3)]
    assert [each.number for each in numbers.numbered(records)] == [1, 2, 3]
    later = [records[1], record(0, name="b"), record(0, name="c")]
    assert [each.number for each in numbers.numbered(later)] == [2, 4, 5]


def test_page_of_nothing_is_empty() -> None:
    assert page_of([], [], None, 1) == Page([], [], None)


def test_row_of_an_actor_has_its_job_and_its_reservations() -> None:
    (row,) = page_of([], [record(1, cpus=0.5, resources={"slots": 2}, detached=True)], None, 1).actors
    assert (row.job, row.namespace, row.is_detached) == ("01010101", "here", True)
    assert row.reserved == {"cpus": 0.5, "slots": 2}


@pytest.mark.parametrize("after", ["x", 3, [1], [1, "2"], (1, 2, 3)])
def test_cursor_that_no_page_gave_is_refused(after: Any) -> None:
    with pytest.raises(TypeError, match="give the 'next' of the page before"):
        check_page(after, 1)


@pytest.mark.parametrize(
    ("count", "error"), [(0, ValueError), (10_001, ValueError), ("7", TypeError), (True, TypeError)]
)
def test_count_out_of_range_is_refused(count: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"count={count!r}: give"):
        check_page(None, count)


def test_reservations_that_come_and_go_leave_nothing() -> None:
    resources = Resources(1000, 0, may_exceed=False)
    kept = record(0, cpus=0.3)
    resources.reserve(kept.actor_id, "kept", kept.options)
    for number in range(1, 1001):
        each = record(number, cpus=0.1)
        resources.reserve(each.actor_id, "each", each.options)
    assert resources.reserved("cpus") == 100.3
    for number in range(1, 1001):
        resources.release(record(number).actor_id)
    assert resources.reserved("cpus") == 0.3
