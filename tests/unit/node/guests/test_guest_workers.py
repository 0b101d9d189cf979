"""Workers that a node makes for actors of other nodes: how they are refused, killed, and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt.errors import ActorStartError, PlacementError
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.node.guests.guest_workers import GuestWorkers
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.workers import (
    EndGuestJob,
    GuestJob,
    GuestJobBegun,
    KillWorker,
    MakeWorker,
    WorkerEnded,
    WorkerMade,
)
from actorrt.reasons import KILLED
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, SETTING, FakeControl, FakeFactory
from tests.unit.records import crashed

HOME = PeerAddress(IDS.peer(), "node://home")
JOB = IDS.job()


class NoChildren:
    """A registry without actors."""

    def has_children(self, parent: object) -> bool:
        return False


class Host:
    """A node of two CPUs."""

    def __init__(self) -> None:
        self.scope = Scope("test", crashed)
        self.control, self.factory, self.jobs = FakeControl(), FakeFactory(), JobTable()
        self.resources = Resources(2, 0, may_exceed=False)
        self.workers = Workers(self.factory, self.control, self.scope, IDS)  # type: ignore[arg-type]
        self.ended: list[JobId] = []
        self.made: list[asyncio.Future[WorkerMade]] = []
        self.guests = GuestWorkers(
            self.jobs,
            self.workers,
            self.resources,
            NoChildren(),  # type: ignore[arg-type]
            self.control,  # type: ignore[arg-type]
            self.scope,
            lambda _: HOME.address,
            self.end_job,
        )

    async def end_job(self, job: JobId) -> None:
        self.ended.append(job)

    def make(self, home: PeerAddress = HOME, **reserved: float) -> tuple[PeerId, asyncio.Future[WorkerMade]]:
        worker = PeerAddress(IDS.peer(), "node://worker")
        asked = MakeWorker(
            worker=worker,
            kind="own",
            label="own",
            env_vars={},
            preload=[],
            hang_timeout_s=None,
            job=GuestJob(job=JOB, driver=HOME, home=home, setting=SETTING),
            reserved=reserved,
        )
        self.made.append(asyncio.ensure_future(self.control.serve(HOME.peer, asked)))
        return worker.peer, self.made[-1]

    def told(self, kind: type) -> list[Any]:
        return [notice for to, notice in self.control.told if isinstance(notice, kind) and to == HOME]


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    yield host
    for worker in host.workers.all():
        worker.ended(KILLED)
    await asyncio.gather(*host.made, return_exceptions=True)
    await host.scope.close()


async def test_worker_is_answered_when_it_listens_and_its_end_gives_back_what_it_reserved(host: Host) -> None:
    peer, made = host.make(cpus=1.5)
    worker = host.workers.find(peer)
    assert worker is not None
    await asyncio.sleep(0)
    worker.ready.set_value(None)
    assert await made == WorkerMade(pid=1, lacks="", free={"cpus": 0.5, "gpus": 0.0})
    worker.ended(KILLED)
    host.guests.worker_ended(worker, KILLED)
    (told,) = host.told(WorkerEnded)
    assert (told.worker, told.reason, told.free) == (peer, KILLED, {"cpus": 2.0, "gpus": 0.0})


async def test_node_without_room_refuses_and_one_without_the_resource_says_never(host: Host) -> None:
    host.make(cpus=1.5)
    _, refused = host.make(cpus=1)
    assert await refused == WorkerMade(pid=None, lacks="0.5 of 2 cpus free", free={"cpus": 0.5, "gpus": 0.0})
    with pytest.raises(PlacementError, match="it reserves gpus, and the node has none"):
        host.make(gpus=1)
    host.guests.is_closing = True
    _, refused = host.make()
    assert await refused == WorkerMade(pid=None, lacks="the node is being stopped", free={})
    assert len(host.workers.all()) == 1


async def test_kill_that_follows_at_once_finds_the_worker_and_only_its_home_can_kill(host: Host) -> None:
    peer, _ = host.make()
    worker = host.workers.find(peer)
    assert worker is not None
    order = KillWorker(worker=peer, is_expected=False, why="it hangs")
    host.control.serve(IDS.peer(), order)
    assert host.factory.killed == []
    host.control.serve(HOME.peer, order)
    assert (host.factory.killed, worker.is_leaving, worker.hang) == ([worker], True, "it hangs")


async def test_process_that_ends_while_it_starts_fails_the_request_and_gives_back_what_it_reserved(host: Host) -> None:
    peer, made = host.make(cpus=2)
    worker = host.workers.find(peer)
    assert worker is not None
    worker.ended(KILLED)
    with pytest.raises(ActorStartError, match="ended while it started") as caught:
        await made
    assert (caught.value.reason, host.resources.reserved("cpus")) == (KILLED, 0.0)


async def test_end_of_the_home_ends_its_workers_and_the_jobs_of_its_drivers(host: Host) -> None:
    peer, _ = host.make()
    host.guests.node_ended(IDS.peer())
    assert host.factory.killed == []
    host.guests.node_ended(HOME.peer)
    await asyncio.sleep(0)
    assert ([worker.peer for worker in host.factory.killed], host.ended) == ([peer], [JOB])


async def test_job_of_a_third_node_is_ended_here_if_that_node_has_ended_it(host: Host) -> None:
    third = PeerAddress(IDS.peer(), "node://third")
    host.make(third)
    await asyncio.sleep(0)
    (asked,) = host.control.asked
    assert (asked.to, asked.request) == (third, GuestJobBegun(job=JOB))
    asked.set_error(ActorStartError("the job has ended"))
    await asyncio.sleep(0.001)
    assert host.ended == [JOB]
    await host.control.serve(third.peer, EndGuestJob(job=JOB))
    assert host.ended == [JOB, JOB]
