"""What a node does when a worker, a driver or a connection ends, without processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actorrt import errors
from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import JobId, PeerAddress
from actorrt.node.daemon import core as core_module
from actorrt.node.placement.jobs import Worker
from actorrt.protocol.envelopes import NOTICE
from actorrt.protocol.hosts import StopHosted
from actorrt.protocol.leases import LeaseGranted, WantLeases
from actorrt.protocol.nodes import AttachDriver, AttachWorker, Goodbye, Preload
from actorrt.protocol.processes import ALL_BEGUN, AskStatistics, CallInHand, EndpointDown, JobEnded
from actorrt.reasons import KILLED, SHUTDOWN, ExitKind, ExitReason
from tests.unit.node.daemon.peers import CoreNode, Peer, until
from tests.unit.node.fakes import IDS, SETTING
from tests.unit.records import order_of

CRASH = ExitReason(ExitKind.CRASHED, "segmentation fault", signal=11)


@pytest.fixture
async def node() -> AsyncIterator[CoreNode]:
    node = CoreNode()
    await node.core.start()
    yield node
    node.core.registry.check_invariants()
    for worker in node.core.workers.all():  # what is left ends as it is told to
        node.core.worker_ended(worker, SHUTDOWN)
    await node.close()


async def hosted(node: CoreNode, job_id: JobId) -> tuple[ActorRecord, Worker, Peer]:
    """Start an actor in a process of its own; return its record, its worker and the worker's side."""
    order = order_of(None, job=job_id)
    order.options = order.options.replaced({"isolation": "process"})
    record = ActorRecord(IDS.actor(), order)
    spawning = asyncio.ensure_future(node.core.registry.spawn(record))
    known = len(node.factory.launched)
    await until(lambda: len(node.factory.launched) > known)
    worker = node.factory.launched[-1]
    peer = await node.peer(worker.peer_address)
    await peer.control.request(node.core.peer_address, AttachWorker(pid=1))
    await spawning
    return record, worker, peer


async def test_end_of_a_worker_is_told_to_all_others_once_and_its_actors_are_decided_on(node: CoreNode) -> None:
    driver, job_id = await node.driver()
    (record, lost, _), (_, _, other) = [await hosted(node, job_id) for _ in range(2)]
    lost.in_hand = [CallInHand(driver.peer_address.peer, 7)]
    node.core.worker_ended(lost, CRASH)
    node.core.worker_ended(lost, CRASH)
    news = EndpointDown(peer=lost.peer, reason=CRASH, in_hand=[CallInHand(driver.peer_address.peer, 7)])
    await until(lambda: driver.told(EndpointDown) and other.told(EndpointDown))
    assert (driver.told(EndpointDown), other.told(EndpointDown)) == ([news], [news])
    assert (lost.exit_reason, node.core.workers.find(lost.peer)) == (CRASH, None)
    assert node.core.registry.record(record.actor_id) is None  # nobody restarts it


async def test_request_to_a_worker_that_ends_fails_with_the_reason(node: CoreNode) -> None:
    _, job_id = await node.driver()
    _, worker, _ = await hosted(node, job_id)
    asked = node.core.control.request(worker.peer_address, AskStatistics())
    node.core.worker_ended(worker, CRASH)
    with pytest.raises(errors.ActorDiedError, match=r"its process ended: .*segmentation fault") as caught:
        await asked
    assert caught.value.reason == CRASH


@pytest.mark.parametrize(("reason", "is_leaving", "count"), [(CRASH, False, 1), (KILLED, False, 0), (CRASH, True, 0)])
async def test_only_an_end_that_nobody_expected_is_warned_of(
    node: CoreNode, caplog: pytest.LogCaptureFixture, reason: ExitReason, is_leaving: bool, count: int
) -> None:
    _, job_id = await node.driver()
    _, worker, _ = await hosted(node, job_id)
    worker.is_leaving = is_leaving
    node.core.worker_ended(worker, reason)
    told = [message for message in caplog.messages if message.startswith("the process of")]
    assert told == [f"the process of {worker.label} (pid {worker.pid}) ended: {reason}"] * count


async def test_worker_that_can_not_be_reached_is_killed_and_any_other_peer_is_only_logged(
    node: CoreNode, caplog: pytest.LogCaptureFixture
) -> None:
    driver, job_id = await node.driver()
    _, worker, _ = await hosted(node, job_id)
    node.core.peer_failed(driver.peer_address.peer, errors.PeerUnreachableError("no answer"))
    assert node.factory.killed == []
    node.core.peer_failed(worker.peer, errors.PeerUnreachableError("no answer"))
    assert node.factory.killed == [worker]
    assert f"the worker {worker.label} (pid {worker.pid}) can't be reached any more; it is ended" in caplog.messages


async def test_job_of_a_driver_that_is_gone_ends_and_the_driver_hears_so(
    node: CoreNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "LAST_NOTICE_S", 0.0)
    driver, job_id = await node.driver()
    _, worker, peer = await hosted(node, job_id)
    other, other_job = await node.driver()
    gone: list[PeerAddress] = []
    node.core.on_driver_gone = gone.append
    node.core.peer_gone(IDS.peer())  # nobody's
    node.core.peer_gone(driver.peer_address.peer)
    await until(lambda: driver.told(JobEnded))
    assert driver.told(JobEnded) == [JobEnded(why="its connection to the object store broke")]
    await until(lambda: other.told(EndpointDown))
    reason = ExitReason(ExitKind.SHUTDOWN, "the driver is gone")
    assert other.told(EndpointDown) == [EndpointDown(peer=driver.peer_address.peer, reason=reason, in_hand=[])]
    await until(lambda: peer.told(StopHosted))
    node.core.worker_ended(worker, SHUTDOWN)
    await until(lambda: node.core.jobs.find(job_id) is None)
    assert [job.job_id for job in node.core.jobs.all()] == [other_job]
    assert gone == [driver.peer_address]


async def test_workers_and_strangers_are_no_drivers_and_no_workers(node: CoreNode) -> None:
    driver, job_id = await node.driver()
    _, worker, peer = await hosted(node, job_id)
    attach = AttachDriver(job=IDS.job(), address=peer.peer_address.address, pid=1, setting=SETTING)
    with pytest.raises(errors.RuntimeStateError, match=f"{worker.label} is a worker of this node, and no driver"):
        await peer.control.request(node.core.peer_address, attach)
    with pytest.raises(errors.RuntimeStateError, match="ends when the node tells it to leave"):
        await peer.control.request(node.core.peer_address, Goodbye())
    with pytest.raises(errors.RuntimeStateError, match="is no worker of this node"):
        await driver.control.request(node.core.peer_address, AttachWorker(pid=1))


async def test_modules_are_preloaded_for_a_job_that_runs(node: CoreNode) -> None:
    driver, job_id = await node.driver()
    await driver.control.request(node.core.peer_address, Preload(modules=["json"], job=job_id, apart=False))
    assert node.factory.preloaded == [(["json"], node.core.jobs.job(job_id), False)]
    with pytest.raises(errors.ActorStartError, match="has ended: nothing can be started in it"):
        await driver.control.request(node.core.peer_address, Preload(modules=["json"], job=IDS.job(), apart=False))


async def test_envelope_that_is_not_for_a_node_is_dropped_with_a_warning(
    node: CoreNode, caplog: pytest.LogCaptureFixture
) -> None:
    sender = IDS.peer()
    node.core.received(sender, [NOTICE + 50, b"what"], [])
    assert [message for message in caplog.messages if "is not for a node" in message] == [
        f"an envelope of kind {NOTICE + 50} from {sender.hex()[:8]} is not for a node"
    ]
    assert node.core.landing(sender, [NOTICE + 50], 1) is None


async def test_shutdown_that_takes_too_long_ends_the_node_all_the_same(
    node: CoreNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(core_module, "CLOSE_TIMEOUT_S", 0.01)
    _, job_id = await node.driver()
    _, worker, _ = await hosted(node, job_id)
    await node.core.close()
    assert node.core.workers.all() == [worker]  # it did not end, and its factory is the next to end it
    assert "actors did not stop within 0.01 s; their processes are ended" in caplog.messages


async def test_defect_of_the_runtime_is_logged_and_reported_to_on_crash(
    node: CoreNode, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[BaseException] = []
    node.core.on_crash = told.append
    defect = RuntimeError("a defect")
    node.core.scope.fail(defect)
    assert told == [defect]
    assert any("the node failed and ends its work" in message for message in caplog.messages)


@pytest.mark.parametrize(("begun_count", "in_hand"), [(0, 5), (None, ALL_BEGUN)])
async def test_end_of_a_worker_for_tasks_tells_its_submitter_what_it_had_begun_and_all_where_that_is_unknown(
    node: CoreNode, begun_count: int | None, in_hand: int
) -> None:
    driver, _ = await node.driver()
    wanted = WantLeases(task_class=1, cpus=1, gpus=0, resources={}, memory_bytes=None, env_vars={}, count=1, depth=0)
    driver.control.notify(node.core.peer_address, wanted)
    await until(lambda: node.factory.launched)
    worker = node.factory.launched[0]
    peer = await node.peer(worker.peer_address)
    await peer.control.request(node.core.peer_address, AttachWorker(pid=1))
    await until(lambda: driver.told(LeaseGranted))
    worker.in_hand = [] if begun_count is None else [CallInHand(driver.peer_address.peer, 5)]
    worker.begun_count = begun_count
    node.core.worker_ended(worker, CRASH)
    await until(lambda: driver.told(EndpointDown))
    assert driver.told(EndpointDown)[0].in_hand == [CallInHand(driver.peer_address.peer, in_hand)]
