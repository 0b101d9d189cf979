"""State over restarts: when snapshots are taken, and the state that the next incarnation gets."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

import actorrt as art


class Weights(art.Actor):
    """Adds to an array, which must be writable after a restart, too."""

    def __init__(self, size=4):
        self.array = np.zeros(size)
        self.origin = "new"
        self.seen_at_start = None

    async def on_start(self):
        self.seen_at_start = float(self.array[0])

    def add(self, by=1.0):
        self.array += by
        return float(self.array[0])

    async def add_async(self, by=1.0):
        return self.add(by)

    def look(self):
        return float(self.array[0]), self.origin, self.seen_at_start, self.context.incarnation

    def snapshot(self):
        return {"array": self.array}

    def restore(self, state):
        self.array = state["array"]
        self.origin = "restored"

    def exit(self):
        raise SystemExit("on purpose")

    def finish(self):
        self.context.stop()

    def pid(self):
        return os.getpid()


class Unrestorable(Weights):
    """Refuses every state whose array has reached 3."""

    def restore(self, state):
        if state["array"][0] >= 3:
            raise ValueError("too much")
        super().restore(state)


class Unsnapshotable(Weights):
    def snapshot(self):
        raise ValueError("not now")


async def fails(weights):
    with pytest.raises(art.ActorUnavailableError):
        await weights.exit()


PLACES = [{}, {"isolation": "process"}]


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
@pytest.mark.parametrize("method", ["add", "add_async"])
async def test_next_incarnation_has_the_state_of_the_last_snapshot_and_can_write_to_it(runtime, options, method):
    weights = await Weights.options(restart="permanent", snapshot_every=2, **options).spawn()
    for _ in range(5):
        await getattr(weights, method)()
    await fails(weights)
    assert await weights.look() == (4.0, "restored", 4.0, 2)
    assert await weights.add() == 5.0


async def test_no_message_is_lost_with_snapshot_every_1(runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=1).spawn()
    for _ in range(3):
        await weights.add()
    await fails(weights)
    assert (await weights.look())[0] == 3.0


async def test_light_child_keeps_its_state_over_a_restart(runtime):
    class Parent(art.Actor):
        async def on_start(self):
            self.child = await Weights.options(restart="permanent", snapshot_every=1).spawn()

        async def ref(self):
            return self.child

    weights = await (await Parent.spawn()).ref()
    await weights.add()
    await fails(weights)
    assert (await weights.look())[:2] == (1.0, "restored")


async def test_snapshot_outlives_the_process_that_took_it(node_runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=1, isolation="process").spawn(200_000)
    await weights.add()
    pid = await weights.pid()
    os.kill(pid, signal.SIGKILL)
    assert (await weights.look.options(retries=3)())[:2] == (1.0, "restored")
    assert await weights.pid() != pid
    assert await weights.add() == 2.0


async def test_snapshot_every_with_a_float_takes_a_snapshot_after_those_seconds(runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=0.05).spawn()
    await weights.add()
    while not art.store_stats()["objects_count"]:
        await asyncio.sleep(0)
    await fails(weights)
    assert (await weights.look())[:2] == (1.0, "restored")


async def test_snapshot_is_taken_on_a_stop_that_is_followed_by_a_restart(runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=1000).spawn()
    await weights.add()
    down = art.monitor(weights, restarts=True)
    await weights.finish()
    await down
    assert (await weights.look())[:2] == (1.0, "restored")


async def test_without_a_snapshot_the_next_incarnation_starts_from_the_constructor(runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=1000).spawn()
    await weights.add()
    await fails(weights)
    assert await weights.look() == (0.0, "new", 0.0, 2)


async def test_refused_snapshot_falls_back_to_the_previous_snapshot(runtime):
    weights = await Unrestorable.options(restart="permanent", snapshot_every=1).spawn()
    for _ in range(3):
        await weights.add()
    await fails(weights)
    assert (await weights.look())[:2] == (2.0, "restored")


async def test_start_fails_when_no_snapshot_can_be_restored(runtime):
    backoff = art.Backoff(first_s=0.01, max_s=0.01)
    weights = await Unrestorable.options(restart="permanent", snapshot_every=1, max_restarts=2, backoff=backoff).spawn()
    down = art.monitor(weights)
    for _ in range(5):
        await weights.add()
    await weights.exit.tell()
    reason = (await down).reason
    assert reason.kind is art.ExitKind.INTENSITY
    assert "none of its 2 snapshots can be restored" in reason.detail


async def test_snapshot_that_raises_leaves_the_actor_alive(runtime):
    weights = await Unsnapshotable.options(snapshot_every=1).spawn()
    assert [await weights.add() for _ in range(3)] == [1.0, 2.0, 3.0]


async def test_snapshots_are_deleted_with_their_actor(runtime):
    weights = await Weights.options(restart="permanent", snapshot_every=1).spawn(200_000)
    for _ in range(4):
        await weights.add()
    while art.store_stats()["objects_count"] > 2:
        await weights.look()
    await weights.stop()
    while art.store_stats()["objects_count"]:
        await asyncio.sleep(0)


@pytest.mark.parametrize("missing", ["snapshot", "restore"])
async def test_snapshot_every_without_the_hooks_is_refused_at_the_spawn(runtime, missing):
    cls = type("Bare", (art.Actor,), {name: lambda self: None for name in {"snapshot", "restore"} - {missing}})
    with pytest.raises(ValueError, match=rf"Bare, which has no {missing}\(\)"):
        cls.options(snapshot_every=1).spawn()


async def test_snapshot_that_is_a_coroutine_is_refused_at_the_spawn(runtime):
    class Slow(Weights):
        async def snapshot(self):
            return 1

    with pytest.raises(ValueError, match=r"Slow.snapshot\(\) must be a plain method"):
        Slow.options(snapshot_every=1).spawn()


def test_placement_option_is_refused_until_it_is_supported():
    with pytest.raises(ValueError, match="placement='there'"):
        Weights.options(placement="there")
