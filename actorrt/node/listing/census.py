"""Takes the census of a node: all actors, from the node's registry and from its processes, for `actorrt tree`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.authority.registry import Registry
from actorrt.actors.endpoint.census import Listing
from actorrt.actors.wire.control import Answer, Control
from actorrt.ids import ActorId, JobId, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.processes.process_stat import resident_bytes
from actorrt.protocol.nodes import ActorTree, JobRow
from actorrt.protocol.processes import ProcessCensus, TakeCensus
from actorrt.protocol.verb import Request
from actorrt.scopes import parts_of

A = TypeVar("A")

ANSWER_WITHIN_S: Final = 0.1
"""How long the census waits for an endpoint. Facts that only that endpoint knows are missing without its answer."""
MAX_SIBLINGS_COUNT: Final = 1_000
ROWS_COUNT: Final = 10_000
NOWHERE: Final = b""
_STEP_COUNT: Final = 10_000


async def take_census(
    registry: Registry,
    workers: Sequence[Worker],
    jobs: Iterable[Job],
    control: Control,
    siblings_count: int,
    lent: Callable[[Worker], str | None],
) -> ActorTree:
    """Return the jobs and the actors of the node; siblings in the order in which they were spawned.

    Args:
        registry, workers, jobs, control: the tables and the control of the node.
        siblings_count: the number of children of one parent that are listed, at most `MAX_SIBLINGS_COUNT`.
        lent: returns what a worker for tasks does; see `WorkerStatus`.

    Raises:
        ValueError: `siblings_count` is out of range.
    """
    if not 1 <= siblings_count <= MAX_SIBLINGS_COUNT:
        raise ValueError(f"{siblings_count} children of one parent: give 1 to {MAX_SIBLINGS_COUNT}")
    live_jobs = [job for job in jobs if not job.is_left_behind]
    hosts = (worker for worker in workers if worker.kind is not WorkerKind.TASKS)  # the others have no actors
    ready = [worker for worker in hosts if worker.ready.done() and worker.is_usable]
    endpoints = [*(worker.peer_address for worker in ready), *(job.driver for job in live_jobs if job.home is None)]
    asked = await ask_each(control, endpoints, TakeCensus(siblings_count=siblings_count))
    answers = {peer: answer.value() for peer, answer in asked.items() if answer.done() and answer.error() is None}
    listing = await _listed(registry, siblings_count)
    at_work: dict[JobId, Counter[str]] = {job.job_id: Counter() for job in live_jobs}
    for worker in workers:
        state = lent(worker)
        if state is not None and worker.job.job_id in at_work:
            at_work[worker.job.job_id][state] += 1
    far = {w.peer: NodeAddress.parse(w.host.address).node for w in workers if w.host is not None}
    return _put_together(live_jobs, listing, answers, at_work, far)


async def _listed(registry: Registry, siblings_count: int) -> Listing:
    """List the actors that the node's registry knows: those at the top of each job, and all below them."""
    tops: dict[JobId, list[ActorRecord]] = {}
    async for part in parts_of(registry.records(), _STEP_COUNT):
        for record in part:
            if record.parent is None:
                tops.setdefault(record.job, []).append(record)
    listing = Listing(registry.children.in_order, siblings_count, ROWS_COUNT)
    for job, top in tops.items():
        listing.take(job, [record for record in top if record.state is not RecordState.GONE])
    for parent, children in registry.children.families():
        if registry.record(parent) is None:  # a light actor, which only its process knows
            listing.take(parent, children)
    return listing


def _put_together(
    jobs: list[Job],
    listing: Listing,
    answers: dict[PeerId, ProcessCensus],
    at_work: dict[JobId, Counter[str]],
    far: dict[PeerId, NodeId],
) -> ActorTree:
    rows = listing.rows
    live = {job.job_id for job in jobs}
    known: set[bytes] = {row.actor for row in rows}
    left_out: dict[bytes, int] = {}
    for above, count in listing.left_out.items():
        place = above if above in known or above in live else NOWHERE
        left_out[place] = left_out.get(place, 0) + count
    queued: dict[ActorId, int] = {}
    child_ids: dict[ActorId, str] = {}
    for answer in answers.values():
        queued |= answer.queued
        child_ids |= answer.child_ids
        for row in answer.actors:
            if row.parent in known and len(rows) < ROWS_COUNT:  # otherwise the row is left out with its parent
                known.add(row.actor)
                rows.append(row)
        left_out |= {parent: count for parent, count in answer.left_out.items() if parent in known}
    own = [
        row for row in rows if row.is_own and row.home not in far
    ]  # the process ids of other nodes mean nothing here
    used_bytes = {row.actor: resident_bytes(row.pid) for row in own if row.pid}
    return ActorTree(
        jobs=[
            JobRow(job=job.job_id, driver=job.driver.address, task_workers=dict(at_work[job.job_id]), tasks={})
            for job in jobs
        ],
        actors=rows,
        left_out=left_out,
        queued={row.actor: queued.get(row.actor, 0) for row in rows if row.home in answers},
        child_ids={row.actor: child_ids[row.actor] for row in rows if row.actor in child_ids},
        memory_bytes={actor: count for actor, count in used_bytes.items() if count is not None},
        nodes=far,
    )


async def ask_each(control: Control, endpoints: Iterable[PeerAddress], request: Request[A]) -> dict[PeerId, Answer[A]]:
    """Send one request to all endpoints; return their answers when all have arrived, or after `ANSWER_WITHIN_S`."""
    asked = {to.peer: control.request(to, request) for to in endpoints}
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            for answer in asked.values():
                await _ended(answer)
    except TimeoutError:
        pass  # an endpoint that has not answered yet is busy
    return asked


async def _ended(answer: Answer[Any]) -> None:
    ended = asyncio.Event()
    answer.add_callback(lambda _: ended.set())
    await ended.wait()
