"""The shell of leases: notices in and out, workers that start, fail and end, and ends of submitters and jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt.actors.cells.crash_notes import Notes
from actorrt.actors.policy.options import ActorOptions
from actorrt.errors import ActorStartError, PlacementError, RuntimeStateError
from actorrt.ids import PeerAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.node.leases import leases as leases_module
from actorrt.node.leases import pools
from actorrt.node.leases.leases import Leases
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers
from actorrt.protocol.leases import (
    EndWorker,
    LeaseGranted,
    LeasesRefused,
    RecallLease,
    ReturnLease,
    TaskBlocked,
    WantLeases,
    WornOut,
)
from actorrt.protocol.processes import CallInHand, Leave
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from tests.unit.node.daemon.peers import until
from tests.unit.node.fakes import IDS, SETTING, FakeControl, FakeFactory
from tests.unit.records import crashed

DRIVER = PeerAddress(IDS.peer(), "memory://driver")
DIED = ExitReason(ExitKind.CRASHED, "it died")


def want(count: int, **needs: Any) -> WantLeases:
    needs = {"cpus": 1, "gpus": 0, "resources": {}, "memory_bytes": None, "env_vars": {}, **needs}
    return WantLeases(task_class=1, count=count, depth=0, **needs)


class Node:
    """A node with one job, without processes."""

    def __init__(self) -> None:
        self.scope = Scope("test", crashed)
        self.control, self.factory, self.jobs = FakeControl(), FakeFactory(), JobTable()
        self.workers = Workers(self.factory, self.control, self.scope, IDS)  # type: ignore[arg-type]
        self.resources = Resources(2, 0, may_exceed=True)
        self.leases = Leases(
            self.jobs,
            self.workers,
            self.resources,
            self.control,  # type: ignore[arg-type]
            self.scope,
            MonotonicClock(),
        )
        self.leases.serve()
        self.job: Job = self.jobs.begin(IDS.job(), DRIVER, SETTING)

    def tell(self, notice: Any, peer: PeerId = DRIVER.peer) -> None:
        self.control.serve(peer, notice)
        self.leases.check_invariants()

    def told(self, kind: type) -> list[Any]:
        return [notice for _, notice in self.control.told if isinstance(notice, kind)]

    async def launched(self, count: int) -> list[Worker]:
        await until(lambda: len(self.factory.launched) >= count)
        return list(self.factory.launched)

    async def granted(self, count: int) -> list[LeaseGranted]:
        """Have all workers start until so many leases were granted."""

        def is_so() -> bool:
            for worker in self.factory.launched:
                worker.ready.set_value(None)
            return len(self.told(LeaseGranted)) >= count

        await until(is_so)
        return self.told(LeaseGranted)

    def end(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.ended(DIED)
        self.leases.process_ended(worker.peer, str(DIED))
        self.leases.check_invariants()


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    yield node
    await node.scope.close()


async def test_lease_is_granted_when_its_worker_is_ready_and_not_before(node: Node) -> None:
    node.tell(want(1, env_vars={"A": "b"}))
    (worker,) = await node.launched(1)
    assert (worker.kind, worker.label, worker.env_vars) == (WorkerKind.TASKS, "tasks-1", {"A": "b"})
    assert node.told(LeaseGranted) == []
    (granted,) = await node.granted(1)
    assert (granted.task_class, granted.worker) == (1, worker.peer_address)
    assert (node.leases.state_of(worker), node.leases.leased("cpus")) == ("leased", 1)
    node.tell(want(0, env_vars={"A": "b"}))
    node.tell(ReturnLease(lease=granted.lease))
    assert (node.leases.state_of(worker), node.leases.leased("cpus")) == ("free", 0)


async def test_worker_gets_leases_for_the_tasks_that_it_submits(node: Node) -> None:
    node.tell(want(1))
    (first,) = await node.granted(1)
    node.tell(TaskBlocked(lease=first.lease), first.worker.peer)
    node.tell(want(1), first.worker.peer)
    _, second = await node.granted(2)
    assert node.control.told[-1][0] == first.worker
    assert second.worker != first.worker


async def test_worker_is_killed_for_its_submitter_when_it_has_begun_the_attempt_and_lent_to_nobody_else(
    node: Node,
) -> None:
    node.tell(want(1, cpus=2))
    (first,) = await node.granted(1)
    (worker,) = node.factory.launched
    node.factory.noted[worker] = Notes([CallInHand(DRIVER.peer, 6)], 0)
    node.tell(EndWorker(lease=first.lease, sequence=7))
    node.tell(EndWorker(lease=first.lease + 1, sequence=6))
    node.tell(EndWorker(lease=first.lease, sequence=6), worker.peer)
    assert node.factory.killed == []
    node.tell(EndWorker(lease=first.lease, sequence=6))
    assert node.factory.killed == [worker]
    assert "force" in worker.kill_reason
    node.tell(ReturnLease(lease=first.lease))
    await node.launched(2)
    assert [granted.lease for granted in node.told(LeaseGranted)] == [first.lease]


async def test_stranger_gets_no_leases_and_one_that_is_gone_may_withdraw_what_it_wanted(node: Node) -> None:
    with pytest.raises(RuntimeStateError, match="neither a driver nor a worker"):
        node.tell(want(1), IDS.peer())
    gone = IDS.peer()
    node.tell(want(0), gone)
    node.tell(ReturnLease(lease=7), gone)
    node.tell(WornOut(), gone)
    assert (node.control.told, node.factory.launched) == ([], [])


async def test_what_can_never_be_had_is_refused_and_a_job_that_has_ended_gets_nothing(node: Node) -> None:
    node.tell(want(1, cpus=3))
    node.job.has_ended = True
    node.tell(want(1))
    never, ended = node.told(LeasesRefused)
    assert isinstance(never.error, PlacementError)
    assert "has ended" in str(ended.error)
    assert node.factory.launched == []


@pytest.mark.parametrize("is_late", [False, True])
async def test_launches_that_raise_are_tried_again_and_then_refused(
    node: Node, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    monkeypatch.setattr(pools, "RETRY_S", 0.001)

    async def fail(worker: Worker) -> None:
        raise OSError(24, "no descriptors")

    def fail_at_once(ids: Any) -> PeerAddress:
        raise OSError(24, "no descriptors")

    if is_late:
        node.factory.on_launch = fail
    else:
        node.factory.new_peer_address = fail_at_once  # type: ignore[method-assign]
    node.tell(want(1))
    await until(lambda: node.told(LeasesRefused))
    (refused,) = node.told(LeasesRefused)
    assert type(refused.error) is ActorStartError
    assert "no descriptors" in str(refused.error)
    assert node.workers.all() == []


async def test_lease_of_a_worker_that_dies_is_replaced_and_its_submitters_are_known_until_then(node: Node) -> None:
    node.tell(want(1))
    (granted,) = await node.granted(1)
    (worker, *_) = node.factory.launched
    assert node.leases.submitters_of(worker.peer) == [DRIVER.peer]
    node.end(worker)
    assert node.leases.submitters_of(worker.peer) == []
    _, second = await node.granted(2)
    assert second.worker != granted.worker


async def test_driver_that_ends_leaves_workers_that_get_time_for_the_task_in_hand(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "TASK_GRACE_S", 0.01)
    node.tell(want(1))
    (granted,) = await node.granted(1)
    node.leases.process_ended(DRIVER.peer, "the driver is gone")
    assert [to for to, notice in node.control.told if isinstance(notice, Leave)] == [granted.worker]
    async with asyncio.timeout(5):
        while not node.factory.killed:
            await asyncio.sleep(0.001)
    assert [worker.peer_address for worker in node.factory.killed] == [granted.worker]


async def test_job_that_ends_dismisses_its_workers_but_for_those_of_processes_with_actors(node: Node) -> None:
    host = node.workers.launch(WorkerKind.OWN, node.job, "host", {})
    await until(lambda: node.workers.find(host.peer))
    host.actors[IDS.actor()] = None
    node.tell(want(1))
    node.tell(want(1), host.peer)
    granted = await node.granted(2)
    serves = next(told.worker for to, told in node.control.told if to.peer == host.peer)
    node.leases.job_ended(node.job)
    staying = [w for w in node.workers.all() if not w.is_leaving and node.leases.state_of(w) != "launching"]
    assert {worker.peer for worker in staying} == {host.peer, serves.peer}
    host.actors.clear()
    node.end(host)
    node.leases.job_ended(node.job)
    assert all(worker.is_leaving for worker in node.workers.all())
    assert len(granted) == 2


async def test_actors_that_reserve_cpus_have_leases_recalled_and_those_that_end_give_them_back(node: Node) -> None:
    node.tell(want(2))
    await node.granted(2)
    actor = IDS.actor()
    node.resources.reserve(actor, "sim", ActorOptions(cpus=1))
    async with asyncio.timeout(5):
        while not node.told(RecallLease):
            await asyncio.sleep(0.001)
    (recalled,) = node.told(RecallLease)
    node.tell(ReturnLease(lease=recalled.lease))
    assert len(node.told(LeaseGranted)) == 2
    node.resources.release(actor)
    await until(lambda: len(node.told(LeaseGranted)) == 3)


async def test_idle_workers_are_dismissed_by_a_timer(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actorrt.node.leases.decision.IDLE_S", 0.01)
    node.tell(want(2))
    granted = await node.granted(2)
    node.tell(want(0))
    for told in granted:
        node.tell(ReturnLease(lease=told.lease))
    async with asyncio.timeout(5):
        while sum(not worker.is_leaving for worker in node.workers.all()) > 1:
            await node.granted(2)  # the spare worker starts, too
            await asyncio.sleep(0.001)
    assert len(node.told(Leave)) >= 1


async def test_warning_is_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        node.leases._carry_out([leases_module.Warn("so many workers")])
    assert "so many workers" in caplog.text
