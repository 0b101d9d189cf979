"""A node's workers, from before their processes exist to after their ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt.errors import ActorStartError
from actorrt.ids import PeerAddress
from actorrt.node.placement import workers as workers_module
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.workers import Workers
from actorrt.protocol.processes import Leave
from actorrt.reasons import SHUTDOWN
from actorrt.scopes import Scope
from tests.unit.node.fakes import IDS, SETTING, FakeControl, FakeFactory
from tests.unit.records import crashed

JOB = Job(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), SETTING)


@pytest.fixture
async def scope() -> AsyncIterator[Scope]:
    scope = Scope("test", crashed)
    yield scope
    await scope.close()


@pytest.fixture
async def factory() -> FakeFactory:
    return FakeFactory()


@pytest.fixture
async def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
async def workers(factory: FakeFactory, control: FakeControl, scope: Scope) -> Workers:
    return Workers(factory, control, scope, IDS)  # type: ignore[arg-type]


async def launched(workers: Workers, label: str = "shared-1") -> Worker:
    worker = workers.launch(WorkerKind.SHARED, JOB, label, {"A": "b"})
    while worker.pid is None:
        await asyncio.sleep(0)
    return worker


async def test_worker_is_known_from_its_launch_to_its_end(workers: Workers, factory: FakeFactory) -> None:
    worker = await launched(workers)
    assert (worker.label, worker.kind, worker.job, worker.env_vars) == ("shared-1", WorkerKind.SHARED, JOB, {"A": "b"})
    assert (workers.all(), factory.launched, workers.find(worker.peer)) == ([worker], [worker], worker)
    assert [workers.remove(worker), workers.remove(worker)] == [True, False]
    assert (workers.all(), workers.find(worker.peer)) == ([], None)


@pytest.mark.parametrize("error", [OSError(24, "no descriptors"), KeyError("x"), ActorStartError("no process")])
async def test_failed_launch_ends_the_worker_and_fails_the_starts_that_wait_for_it(
    workers: Workers, factory: FakeFactory, error: Exception
) -> None:
    async def fail(_: Worker) -> None:
        raise error

    factory.on_launch = fail
    worker = workers.launch(WorkerKind.OWN, JOB, "own", {})
    with pytest.raises(ActorStartError, match="no process") as caught:
        await worker.ready
    assert (caught.value is error) == isinstance(error, ActorStartError)
    assert (workers.all(), worker.is_usable, worker.is_up) == ([], False, False)


async def test_wait_for_the_ends_of_workers_lasts_until_the_last_has_ended(workers: Workers) -> None:
    first, second, other = [await launched(workers, label) for label in ("a", "b", "c")]
    waiting = asyncio.ensure_future(workers.ended([first, second]))
    for worker in (other, first):
        workers.remove(worker)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
    workers.remove(second)
    await waiting
    await workers.ended([])


async def test_dismissed_worker_leaves_by_itself_or_is_killed(
    workers: Workers, factory: FakeFactory, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "LEAVE_GRACE_S", 0.01)
    leaves, stays = [await launched(workers, label) for label in ("leaves", "stays")]
    for worker in (leaves, stays):
        worker.ready.set_value(None)
        workers.dismiss(worker)
    assert control.told == [(leaves.peer_address, Leave()), (stays.peer_address, Leave())]
    assert (leaves.is_leaving, stays.is_leaving, factory.killed) == (True, True, [])
    leaves.ended(SHUTDOWN)
    async with asyncio.timeout(5):
        while not factory.killed:
            await asyncio.sleep(0.001)
    assert factory.killed == [stays]
    workers.dismiss(leaves)  # it has ended: nobody is told anything
    assert len(control.told) == 2


async def test_worker_that_is_not_ready_is_dismissed_by_its_kill(
    workers: Workers, factory: FakeFactory, control: FakeControl
) -> None:
    worker = await launched(workers)
    workers.dismiss(worker)
    assert (factory.killed, control.told, worker.is_leaving) == ([worker], [], True)


async def test_end_expects_the_end_and_kill_does_not(workers: Workers, factory: FakeFactory) -> None:
    ended, killed = [await launched(workers, label) for label in ("ended", "killed")]
    workers.end(ended)
    workers.kill(killed)
    assert factory.killed == [ended, killed]
    assert (ended.is_leaving, killed.is_leaving) == (True, False)
