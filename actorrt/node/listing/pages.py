"""Lists a node's workers, and the actors that its registry knows, a page at a time.

Rows are in the order in which workers and actors began, and get their numbers when a page is made. A cursor has the
numbers of the last rows of a page. So a worker or actor that begins or ends between two pages neither hides nor repeats
another row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, NodeAddress, NodeId, short
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.resources import amounts_of
from actorrt.node.processes.process_stat import resident_bytes, stat_of
from actorrt.protocol.nodes import ActorStatus, Cursor, WorkerStatus

MAX_PAGE_COUNT: Final = 10_000
"""The largest page. The transport's limit for a list is three times as many."""


class Numbered(Protocol):
    """A worker or actor. Its number is higher than the numbers of older ones, and 0 until it is listed."""

    number: int


N = TypeVar("N", bound=Numbered)


class RowNumbers:
    """Gives numbers to workers or actors, in the order in which they began."""

    def __init__(self) -> None:
        self._last = 0

    def numbered(self, items: Collection[N]) -> Collection[N]:
        """Return the items, all numbered. Items without a number are the newest ones, and in order."""
        for item in items:
            if not item.number:
                self._last += 1
                item.number = self._last
        return items


def check_page(after: Any, count: Any) -> None:
    """Refuse a cursor that comes from no page, and a count that is out of range.

    Raises:
        TypeError, ValueError: the cursor or the count is wrong.
    """
    if (
        after is not None
        and not (
            isinstance(after, list | tuple)
            and len(after) in (2, 3)  # the third is the node, in a cluster
            and all(isinstance(number, int) for number in after[:2])
            and all(isinstance(node, str) for node in after[2:])
        )
    ):
        raise TypeError(f"after={after!r}: give the 'next' of the page before, or None for the first page")
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count={count!r}: give a whole number of rows")
    if not 1 <= count <= MAX_PAGE_COUNT:
        raise ValueError(
            f"count={count}: give 1 to {MAX_PAGE_COUNT} rows a page; after=page['next'] gives the next one"
        )


class Page(NamedTuple):
    """A part of a listing; `next` is the cursor of the following page, or None on the last page."""

    workers: list[WorkerStatus]
    actors: list[ActorStatus]
    next: Cursor | None


def page_of(
    workers: Iterable[Worker],
    records: Iterable[ActorRecord],
    after: Sequence[int] | None,
    count: int,
    lent: Callable[[Worker], str | None] = lambda _: None,
    waits_for: Callable[[ActorId], str] = lambda _: "",
) -> Page:
    """Return a page of at most `count` rows; workers come first.

    Args:
        workers, records: all of them, in the order of their numbers.
        after: the cursor of the page before; None for the first page.
        count: the number of rows.
        lent: returns what a worker for tasks does; see `WorkerStatus`.
        waits_for: returns what an actor waits for; see `ActorStatus`.
    """
    worker_number, actor_number = after or (0, 0)
    shown = _following(workers, worker_number, count)
    actors = _following(records, actor_number, count - len(shown))
    is_full = len(shown) + len(actors) == count
    last = Cursor(shown[-1].number if shown else worker_number, actors[-1].number if actors else actor_number)
    following = last if is_full and _is_more(workers, records, last) else None
    return Page(
        [_worker_row(worker, lent(worker)) for worker in shown],
        [_actor_row(record, waits_for(record.actor_id)) for record in actors],
        following,
    )


def _following(items: Iterable[N], number: int, count: int) -> list[N]:
    return list(islice((item for item in items if item.number > number), count))


def _is_more(workers: Iterable[Worker], records: Iterable[ActorRecord], last: Cursor) -> bool:
    return bool(_following(workers, last.worker, 1) or _following(records, last.actor, 1))


def _worker_row(worker: Worker, lent: str | None) -> WorkerStatus:
    stat = None if worker.pid is None else stat_of(worker.pid)
    return WorkerStatus(
        label=worker.label,
        kind=worker.kind.value,
        lent=lent,
        job=short(worker.job.job_id),
        pid=worker.pid,
        actors=len(worker.actors),
        is_guest=worker.owner is not None,
        memory_bytes=None if worker.pid is None else resident_bytes(worker.pid),
        cpu_s=None if stat is None else stat.cpu_s,
        peer=worker.peer,
        address=worker.peer_address.address,
    )


def _actor_row(record: ActorRecord, waits_for: str) -> ActorStatus:
    return ActorStatus(
        actor=short(record.actor_id),
        label=record.label,
        job=short(record.job),
        namespace=record.order.namespace,
        is_detached=record.order.is_detached,
        state=str(record.state),
        waits_for=waits_for,
        incarnation=record.incarnation,
        worker=None if record.place is None else record.place.label,
        pid=None if record.place is None else record.place.pid,
        node=_node_of(record),
        reserved=amounts_of(record.options),
        last_exit=None if record.last_reason is None else str(record.last_reason),
    )


def _node_of(record: ActorRecord) -> NodeId | None:
    """Return the node where an actor runs; None if that is this one, or none."""
    place = record.place
    host = place.host if isinstance(place, Worker) else None
    return None if host is None else NodeAddress.parse(host.address).node
