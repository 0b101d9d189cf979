"""A node whose workers get no process: whoever waits hears so, nothing is left, and no shutdown waits for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock, MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.core import NodeCore
from actorrt.node.placement.resources import Resources
from actorrt.protocol.nodes import AttachDriver, JobSetting
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from tests.unit.records import order_of

IDS = IdSource()
SURROUNDINGS = replace(Surroundings.of_process(), clock=ManualClock())
SETTING = JobSetting(namespace="default", sys_path=[], cwd="/", env_vars={}, log_level=30)


class Factory:
    """Launches that raise what the test says, when it says so."""

    def __init__(self):
        self.error = OSError(24, "no descriptors")
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.launched = []
        self.killed = []

    def new_peer_address(self, ids):
        return PeerAddress(ids.peer(), "memory://worker")

    def preload(self, modules, job, *, apart=False):
        raise AssertionError("nothing is preloaded here")

    async def launch(self, worker):
        self.launched.append(worker)
        await self.may_go_on.wait()
        raise self.error

    def kill(self, worker):
        self.killed.append(worker)


class Keeper:
    def hold(self, object_ids, tokens):
        assert not object_ids

    def release(self, object_ids):
        assert not object_ids

    def check_invariants(self) -> None:
        """There is nothing to contradict."""


@pytest.fixture
async def factory():
    return Factory()


@pytest.fixture
async def core(factory):
    transport = MemoryTransport(MemoryNetwork(), IDS.peer(), "memory://node", clock=MonotonicClock())
    core = NodeCore(
        transport,
        factory,
        Resources(2, 0, may_exceed=False),
        SURROUNDINGS,
        Keeper(),
    )
    await core.start()
    yield core
    core.registry.check_invariants()
    assert core.registry.records() == []
    assert core.resources.reserved("cpus") == 0
    async with asyncio.timeout(5):
        await core.close()


def order(core, **options):
    """Return the order of an actor in a job of its own."""
    order = order_of(None)
    order.options = order.options.replaced(options)
    core.attach_driver(IDS.peer(), AttachDriver(job=order.job, address="memory://driver", pid=1, setting=SETTING))
    return order


PLACES = [{"cpus": 1, "name": "one"}, {"name": "one"}]


@pytest.mark.parametrize("options", PLACES, ids=["process", "shared"])
@pytest.mark.parametrize(
    "error", [OSError(24, "no descriptors"), RuntimeError("can't start new thread"), KeyError("env"), MemoryError()]
)
async def test_launch_that_raises_anything_is_a_failed_start_that_leaves_nothing(core, factory, options, error):
    factory.error = error
    asked = order(core, **options)
    for _ in range(2):  # the second finds the name free, and asks for another worker
        with pytest.raises(ActorStartError, match=f"did not start|got no process: {type(error).__name__}"):
            await core.registry.spawn(ActorRecord(IDS.actor(), asked))
        core.registry.check_invariants()
    assert len(factory.launched) == 2
    assert core.workers.all() == []


async def test_all_starts_on_a_shared_worker_fail_when_it_gets_no_process(core, factory):
    factory.may_go_on.clear()
    asked = order(core)
    spawns = [asyncio.ensure_future(core.registry.spawn(ActorRecord(IDS.actor(), asked))) for _ in range(4)]
    while len(core.registry.records()) < 4:
        await asyncio.sleep(0)
    factory.may_go_on.set()
    outcomes = await asyncio.gather(*spawns, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ActorStartError] * 4
    assert all("no descriptors" in str(outcome) for outcome in outcomes)
    assert len(factory.launched) == 2  # one for each CPU


async def test_job_that_ends_does_not_wait_for_a_worker_that_gets_no_process(core, factory):
    factory.may_go_on.clear()
    asked = order(core, cpus=1)
    spawning = asyncio.ensure_future(core.registry.spawn(ActorRecord(IDS.actor(), asked)))
    while not factory.launched:
        await asyncio.sleep(0)
    ending = asyncio.ensure_future(core.end_job(asked.job))
    for _ in range(10):
        await asyncio.sleep(0)
    factory.may_go_on.set()
    async with asyncio.timeout(5):
        await ending
    with pytest.raises(ActorStartError):
        await spawning


async def test_withdrawn_spawn_ends_while_its_process_is_still_being_made(core, factory):
    factory.may_go_on.clear()
    record = ActorRecord(IDS.actor(), order(core, cpus=1, name="one"))
    spawning = asyncio.ensure_future(core.registry.spawn(record))
    while not factory.launched:
        await asyncio.sleep(0)
    core.registry.withdraw_spawn(record.actor_id)
    with pytest.raises(ActorStartError, match="was stopped before it started"):
        await spawning
    assert core.registry.records() == []
    assert factory.launched[0].is_leaving  # so that it is killed when it is there
    factory.may_go_on.set()


async def test_group_of_which_no_worker_gets_a_process_ends_with_one_error(core):
    with pytest.raises(ActorStartError, match=r"number 1 of 3 failed, so the others were stopped: .*no descriptors"):
        await core.registry.spawn_many(order(core, cpus=0.1), [IDS.actor() for _ in range(3)])
