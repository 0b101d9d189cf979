"""Placement of actors: light or in their own process, and the children that end with them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import actorrt as art
from tests.integration.cast import Counter, Echo, Parent
from tests.running import wait_until_none_runs


async def test_light_actors_share_processes_and_actors_with_reservations_have_their_own(node_runtime):
    light = await Counter.spawn_many(8)
    own = await Counter.options(cpus=0.5).spawn_many(2)
    light_pids, own_pids = {*await light.pid()}, {*await own.pid()}
    assert len(light_pids) <= 4
    assert len(own_pids) == 2
    assert not light_pids & own_pids
    assert os.getpid() not in light_pids | own_pids


@pytest.mark.parametrize("options", [{"cpus": 1}, {"isolation": "process"}, {"env_vars": {"COLOUR": "blue"}}])
async def test_own_process_ends_with_its_actor(node_runtime, options):
    counter = await Counter.options(**options).spawn()
    pid = await counter.pid()
    await counter.stop()
    wait_until_none_runs([pid], within_s=5)


async def test_env_vars_are_set_in_the_process_of_the_actor(node_runtime):
    class Reader(art.Actor):
        def read(self, name):
            return os.environ.get(name)

    reader = await Reader.options(env_vars={"COLOUR": "blue"}).spawn()
    other = await Reader.spawn()
    assert (await reader.read("COLOUR"), await other.read("COLOUR")) == ("blue", None)


async def test_child_of_an_actor_is_light_and_in_its_process(node_runtime):
    parent = await Parent.options(isolation="process").spawn()
    child = await parent.spawn_child()
    assert await child.pid() == await parent.pid()


async def test_child_with_a_reservation_gets_a_process_and_isolation_overrides_the_default(node_runtime):
    parent = await Parent.options(isolation="process").spawn()
    own = await parent.spawn_child(cpus=1)
    shared = await parent.spawn_child(isolation="shared")
    assert len({await parent.pid(), await own.pid(), await shared.pid()}) == 3


def test_shared_isolation_with_a_reservation_is_refused():
    with pytest.raises(ValueError, match="isolation='shared'"):
        Counter.options(isolation="shared", cpus=1)


async def test_actor_that_finds_no_cpu_free_waits_for_one_until_its_deadline(node_runtime):
    four = await Counter.options(cpus=1).spawn_many(4)
    with pytest.raises(art.ActorStartError, match=r"start_timeout_s=0.2: waits for 1 cpus: .* has 0 of 4 cpus free"):
        await Counter.options(cpus=1, start_timeout_s=0.2).spawn()
    waiting = asyncio.ensure_future(Counter.options(cpus=1, name="waiting").spawn())
    while not any(actor["waits_for"] for actor in (await node_runtime.status())["actors"]):
        await asyncio.sleep(0.01)
    cancelled = asyncio.ensure_future(Counter.options(cpus=1).spawn())
    await asyncio.wait([cancelled], timeout=0.1)
    cancelled.cancel()
    with pytest.raises(art.PlacementError, match="it reserves cpus=5, and the node has 4"):
        await Counter.options(cpus=5).spawn()
    await four[0].stop()
    assert await (await waiting).add() == 1
    assert len((await node_runtime.status())["actors"]) == 4


class Slow(art.Actor):
    """An actor of which one start takes for ever."""

    def __init__(self, slow_incarnation=1):
        self.slow_incarnation = slow_incarnation

    async def on_start(self):
        if self.context.incarnation == self.slow_incarnation:
            await asyncio.Event().wait()

    async def incarnation(self):
        return self.context.incarnation

    async def fail(self):
        raise ValueError("on purpose")


class Spawner(art.Actor):
    async def start(self, **options):
        await Slow.options(**options).spawn()


@pytest.mark.parametrize("options", [{}, {"cpus": 1}, {"isolation": "shared"}], ids=["light", "process", "shared"])
async def test_start_that_takes_too_long_is_broken_off_and_leaves_nothing(runtime, options):
    with pytest.raises(art.ActorStartError, match=r"did not start within start_timeout_s=1: .*its on_start has not"):
        await Slow.options(start_timeout_s=1, **options).spawn()
    spawner = await Spawner.spawn()
    with pytest.raises(art.ActorStartError, match=r"did not start within start_timeout_s=1: .*its on_start has not"):
        await spawner.start(start_timeout_s=1, **options)
    assert len((await runtime.status())["actors"]) == 1


async def test_start_that_took_too_long_is_tried_again_where_the_options_say_so(runtime):
    slow = await Slow.options(start_timeout_s=1, restart="permanent", crash_on=ValueError).spawn(2)
    with pytest.raises(art.ActorUnavailableError, match="on purpose"):
        await slow.fail()
    assert await slow.incarnation.options(retries=10)() == 3


@pytest.mark.parametrize("child_options", [{}, {"isolation": "process"}, {"name": "child"}])
async def test_child_ends_with_its_parent(runtime, child_options):
    parent = await Parent.spawn()
    child = await parent.spawn_child(**child_options)
    down = art.monitor(child)
    await parent.stop()
    assert (await down).reason.kind is art.ExitKind.SHUTDOWN
    assert not await child.is_alive()
    assert (await runtime.status())["actors"] == []


async def test_child_spawned_in_on_start_is_a_child(runtime):
    parent = await Parent.spawn(2)
    children = await parent.known_children()
    assert [await child.value() for child in children] == [0, 1]
    await parent.stop()
    assert [await child.is_alive() for child in children] == [False, False]


async def test_actor_spawned_in_a_constructor_is_a_child(runtime):
    class Early(art.Actor):
        def __init__(self):
            self.start = Counter.spawn(4)

        async def child(self):
            return await self.start

    early = await Early.spawn()
    child = await early.child()
    assert await child.value() == 4
    await early.stop()
    assert not await child.is_alive()


async def test_restart_of_a_parent_ends_its_children_and_the_next_incarnation_spawns_new_ones(runtime):
    parent = await Parent.options(restart="permanent").spawn(1)
    (old,) = await parent.known_children()
    with pytest.raises(art.ActorUnavailableError):
        await parent.fail()
    (new,) = await parent.known_children()
    assert new != old
    assert not await old.is_alive()
    assert await new.value() == 0


async def test_stop_of_an_actor_stops_its_children_and_grandchildren(runtime):
    class Noting(art.Actor):
        def __init__(self, recorder, label, below=0):
            self.recorder, self.label, self.below = recorder, label, below

        async def on_start(self):
            if self.below:
                await Noting.spawn(self.recorder, f"{self.label}.{self.below}", self.below - 1)

        async def on_stop(self, reason):
            await self.recorder.note(self.label)

    from tests.integration.cast import Recorder

    recorder = await Recorder.spawn()
    top = await Noting.spawn(recorder, "top", 2)
    await top.stop()
    assert sorted(await recorder.all()) == ["top", "top.2", "top.2.1"]


async def test_child_knows_its_parent(runtime):
    class Child(art.Actor):
        def parent(self):
            return self.context.parent

    class Owner(art.Actor):
        async def on_start(self):
            self.child = await Child.spawn()

        async def check(self):
            return await self.child.parent() == self.context.ref

    assert await (await Owner.spawn()).check()
    assert await (await Child.spawn()).parent() is None


async def test_processes_of_children_end_with_a_killed_parent(node_runtime):
    parent = await Parent.options(isolation="process").spawn(2, isolation="process")
    children = await parent.known_children()
    pids = [await child.pid() for child in children]
    os.kill(await parent.pid(), signal.SIGKILL)
    await art.monitor(parent)
    wait_until_none_runs(pids, within_s=5)
    assert [await child.is_alive() for child in children] == [False, False]


async def test_subprocess_of_an_actor_does_not_outlive_its_process(node_runtime):
    class Spawner(art.Actor):
        def start(self):
            import subprocess

            return subprocess.Popen(["sleep", "1000"]).pid

    spawner = await Spawner.options(isolation="process").spawn()
    pid = await spawner.start()
    await spawner.kill()
    wait_until_none_runs([pid], within_s=5)


async def test_worker_runs_in_the_working_directory_of_the_driver(node_runtime):
    class Where(art.Actor):
        def where(self):
            return os.getcwd()

    assert await (await Where.spawn()).where() == os.getcwd()


async def test_stop_of_an_actor_does_not_end_unrelated_actors(runtime):
    first, second = await Echo.spawn(), await Echo.spawn()
    await first.stop()
    assert await second.echo(1) == 1
