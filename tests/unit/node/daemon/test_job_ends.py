"""How jobs end, with a registry that stops actors when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, PeerAddress
from actorrt.node.daemon import job_ends
from actorrt.node.daemon.job_ends import JobEnds
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.workers import Workers
from actorrt.reasons import SHUTDOWN
from actorrt.scopes import Scope
from tests.unit.node.daemon.peers import until
from tests.unit.node.fakes import IDS, SETTING, FakeControl, FakeFactory
from tests.unit.records import crashed, order_of


class Registry:
    """Actors that stop when the test lets them."""

    def __init__(self) -> None:
        self.stops = self
        self.left: list[ActorRecord] = []
        self.stopped: list[tuple[list[ActorRecord], str]] = []
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.one_ended = asyncio.Event()

    def records(self) -> list[ActorRecord]:
        return self.left

    async def stop_all(self, records: list[ActorRecord], reason: str) -> None:
        self.stopped.append((records, reason))
        await self.may_stop.wait()
        for record in records:
            self.end(record)

    def end(self, record: ActorRecord) -> None:
        self.left.remove(record)
        record.place.actors.pop(record.actor_id)
        self.one_ended.set()

    async def ended(self, actor_id: ActorId) -> None:
        while any(record.actor_id == actor_id for record in self.left):
            self.one_ended.clear()
            await self.one_ended.wait()


class Node:
    """Jobs with workers and actors, to be ended."""

    def __init__(self) -> None:
        self.scope = Scope("test", crashed)
        self.factory = FakeFactory()
        self.jobs = JobTable()
        self.registry = Registry()
        self.workers = Workers(self.factory, FakeControl(), self.scope, IDS)  # type: ignore[arg-type]
        self.ends = JobEnds(self.jobs, self.workers, self.registry, self.scope, lambda _: None)  # type: ignore[arg-type]
        self.factory.kill = self.end_worker  # type: ignore[method-assign]

    def end_worker(self, worker: Worker) -> None:
        self.factory.killed.append(worker)
        self.workers.remove(worker)
        worker.ended(SHUTDOWN)
        for record in [record for record in self.registry.left if record.place is worker]:
            self.registry.end(record)

    async def begin(self) -> Job:
        return self.jobs.begin(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), SETTING)

    async def actor(self, job: Job, *, is_detached: bool = False) -> ActorRecord:
        worker = self.workers.launch(WorkerKind.SHARED, job, "shared", {})
        await until(lambda: self.workers.find(worker.peer))
        record = ActorRecord(IDS.actor(), order_of(None, job=job.job_id, is_detached=is_detached))
        record.place = worker
        worker.actors[record.actor_id] = None
        self.registry.left.append(record)
        return record


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.scope.close()


async def test_job_ends_with_its_actors_and_then_its_workers_and_no_other_job_does(node: Node) -> None:
    job, other = await node.begin(), await node.begin()
    actor, neighbour = await node.actor(job), await node.actor(other)
    await node.ends.end(job.job_id)
    assert node.registry.stopped == [([actor], "its job ended")]
    assert (node.factory.killed, node.workers.all()) == ([actor.place], [neighbour.place])
    assert (node.jobs.all(), job.has_ended, other.has_ended) == ([other], True, False)
    await node.ends.end(job.job_id)  # it is known no more
    assert len(node.registry.stopped) == 1


async def test_detached_actors_keep_their_job_and_worker_until_the_last_ends(node: Node) -> None:
    job = await node.begin()
    actor, detached = await node.actor(job), await node.actor(job, is_detached=True)
    await node.ends.end(job.job_id)
    assert node.registry.stopped == [([actor], "its job ended")]
    assert (job.is_left_behind, node.jobs.all(), node.workers.all()) == (True, [job], [detached.place])
    await node.ends.end(job.job_id)  # once more: nothing else waits for the detached one
    assert node.jobs.all() == [job]
    node.registry.end(detached)
    await until(lambda: not node.jobs.all())
    assert node.workers.all() == []


async def test_end_of_the_node_ends_detached_actors_too(node: Node) -> None:
    job = await node.begin()
    detached = await node.actor(job, is_detached=True)
    await node.ends.end(job.job_id, with_detached=True)
    assert node.registry.stopped == [([detached], "its job ended")]
    assert (node.jobs.all(), node.workers.all()) == ([], [])


async def test_actors_of_a_driver_that_is_gone_are_ended_with_their_workers_when_they_take_too_long(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_ends, "ORPHANS_STOP_S", 0.01)
    node.registry.may_stop.clear()
    job, other = await node.begin(), await node.begin()
    stuck, detached, neighbour = await node.actor(job), await node.actor(job, is_detached=True), await node.actor(other)

    async def release() -> None:
        await until(lambda: node.factory.killed)
        node.registry.may_stop.set()

    releasing = asyncio.ensure_future(release())
    await node.ends.end_orphaned(job)
    await releasing
    assert node.factory.killed == [stuck.place]
    assert node.workers.all() == [detached.place, neighbour.place]
    assert (job.is_left_behind, node.jobs.all()) == (True, [job, other])
