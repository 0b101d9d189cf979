"""Launches without enough descriptors, processes, memory or disk end in a typed error and leave nothing.

Each system call of a launch fails once, in the daemon, in its zygote and in the worker: the first one, then the second,
and so on, until a launch makes no more calls of the kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal

import numpy as np
import pytest

import actorrt as art
from actorrt.protocol.authorities import CheckInvariants
from tests.fault.scarcity.sitecustomize import CALLS, ROLES, SLOT, TABLE_BYTES, offset_of
from tests.running import Node, children_of, state_of, wait_until

LARGE_BYTES = 300_000
HUGE_BYTES = 8 << 20
MOST = {"daemon": 20, "zygote": 20, "worker": 2}
"""The largest number of calls of a kind that are tried; a worker dies in the same way after each."""
USUAL = {"daemon": {"pipe": 2, "pidfd_open": 1}, "zygote": {"fork": 2}, "worker": {"ftruncate": 1}}
"""Some of the calls that a launch surely makes; their absence would mean that nothing was tried."""


class Sized(art.Actor):
    def __init__(self, body):
        self.body = body

    def size(self):
        return len(self.body)


class Table:
    """Chooses the call of the node that fails."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(TABLE_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), TABLE_BYTES)

    def arm(self, role, call, number):
        SLOT.pack_into(self._map, offset_of(role, call), number, 0)

    def disarm(self, role, call):
        """Let no further call fail; return whether one has failed."""
        _, failed_count = SLOT.unpack_from(self._map, offset_of(role, call))
        self.arm(role, call, 0)
        return failed_count > 0

    def close(self):
        self._map.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    table = Table(tmp_path_factory.mktemp("scarcity") / "table")
    yield table
    table.close()


@contextlib.contextmanager
def node_of(path):
    """A node whose calls fail as the table in the file at `path` says."""
    with pytest.MonkeyPatch.context() as patch:
        folder = os.path.join(os.path.dirname(__file__), "scarcity")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")])))
        patch.setenv("ACTORRT_TEST_SCARCITY", str(path))
        node = Node("--cpus=2", "--store-bytes=67108864")
    yield node
    assert node.end() == 0


@pytest.fixture(scope="module")
def scarce_node(table):
    """A node that many tests share."""
    with node_of(table.path) as node:
        yield node


@pytest.fixture
def fresh_scarce_node(table):
    """A node whose store has made no memory yet."""
    with node_of(table.path) as node:
        yield node


async def launch():
    """Start and use an actor with its own process and an argument in the store."""
    actor = await Sized.options(name="scarce", cpus=1).spawn(bytes(LARGE_BYTES))
    try:
        return await actor.size()
    finally:
        await actor.stop()


async def check_nothing_is_left(runtime):
    async with asyncio.timeout(20):
        while (status := await runtime.status())["actors"] or status["reserved_cpus"]:
            await asyncio.sleep(0.005)
    await runtime.endpoint.control.request(runtime.endpoint.node, CheckInvariants())


async def launch_with_each_failing(runtime, table, role, call):
    """Let the first call fail, then the second, until a launch makes no more of them; return how many have failed."""
    made_count = 0
    while made_count < MOST[role] and await has_failed(table, role, call, made_count + 1):
        made_count += 1
        await check_nothing_is_left(runtime)
        assert await launch() == LARGE_BYTES
    return made_count


async def has_failed(table, role, call, number):
    """Let a call fail during a launch, which may then fail; return whether the launch made that many calls."""
    table.arm(role, call, number)
    with contextlib.suppress(art.ActorStartError, art.ActorDiedError, art.ObjectStoreFullError):
        await launch()
    return table.disarm(role, call)


@pytest.mark.parametrize("role", ROLES)
async def test_launch_with_one_failing_call_ends_in_a_typed_error_and_leaves_nothing(scarce_node, table, role):
    async with art.Runtime(address=scarce_node.url) as runtime:
        await launch()  # the work of only the first launch is done
        made = {}
        for call in CALLS:
            async with asyncio.timeout(60):
                made[call] = await launch_with_each_failing(runtime, table, role, call)
    assert scarce_node.process.poll() is None
    assert USUAL[role].items() <= {call: count for call, count in made.items() if count}.items()


async def test_shared_worker_that_gets_no_process_fails_its_waiting_spawns_and_the_next_spawn_starts_another(
    scarce_node, table
):
    class Light(art.Actor):
        def live(self):
            return "alive"

    async with art.Runtime(address=scarce_node.url) as runtime:
        table.arm("daemon", "pipe", 1)
        spawns = [Light.spawn() for _ in range(2)]
        outcomes = await art.gather(*spawns, return_exceptions=True)
        assert table.disarm("daemon", "pipe")
        assert sum(isinstance(outcome, art.ActorStartError) for outcome in outcomes) == 1
        assert await (await Light.spawn()).live() == "alive"
        await runtime.endpoint.control.request(runtime.endpoint.node, CheckInvariants())


@pytest.mark.parametrize("call", ["memfd_create", "posix_fallocate"])
async def test_node_whose_store_gets_no_memory_still_works(fresh_scarce_node, table, call):
    table.arm("daemon", call, 1)  # before a driver connects, for which the store makes memory ahead of need
    async with art.Runtime(address=fresh_scarce_node.url) as runtime:
        refs = []
        with contextlib.suppress(art.ObjectStoreFullError):
            while len(refs) < 7:  # seven do not fit into the memory that the store already has
                refs.append(await art.put_async(np.ones(HUGE_BYTES, np.uint8)))
        assert table.disarm("daemon", call)
        assert await (await Sized.options(cpus=1).spawn(b"1234")).size() == 4
        await runtime.endpoint.control.request(runtime.endpoint.node, CheckInvariants())


async def test_daemon_without_descriptors_reports_the_death_of_a_worker(scarce_node, table):
    for call in ("open", "listdir", "pidfd_open"):
        async with art.Runtime(address=scarce_node.url) as runtime:
            actor = await Sized.options(cpus=1).spawn(b"")
            pid = next(row["pid"] for row in (await runtime.status())["actors"])
            down = art.monitor(actor)
            table.arm("daemon", call, 1)
            os.kill(pid, signal.SIGKILL)
            assert (await down).reason.signal == signal.SIGKILL
            table.disarm("daemon", call)
            await check_nothing_is_left(runtime)
    wait_until(lambda: all(state_of(pid) != "Z" for pid in children_of(scarce_node.pid)), "every child is reaped")
