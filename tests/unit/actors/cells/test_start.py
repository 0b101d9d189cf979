"""The start and the stop of one incarnation: constructor, state, hooks, and what breaks them off."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.cells.start import ActorStart
from actorrt.actors.cells.stop import run_on_stop
from actorrt.actors.refs import current
from actorrt.errors import ActorStartError
from actorrt.reasons import SHUTDOWN, ExitKind


class Told:
    made = ()

    def __init__(self, name="told"):
        type(self).made = (*self.made, name)
        self.name, self.restored = name, None
        self.seen = current.message.get().method

    async def on_start(self):
        self.started = self.context

    def restore(self, state):
        if state == "bad":
            raise ValueError("not that one")
        self.restored = state

    def snapshot(self):
        return "state"


class Slow(Told):
    async def on_start(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


def states(stage, *values):
    async def restored(object_id):
        return values[object_id]

    stage.snapshots.restored = restored


async def test_instance_has_its_context_before_its_constructor_runs_and_on_start_follows(stage):
    cell = stage.cell(Told)
    instance = await ActorStart(cell).run(("a",), {}, [])
    assert (instance.name, instance.seen) == ("a", "!start")
    assert instance.started is instance.context is cell.context


async def test_state_is_that_of_the_newest_snapshot_that_can_be_restored(stage):
    states(stage, "bad", "good", "older")
    instance = await ActorStart(stage.cell(Told)).run((), {}, [0, 1, 2])
    assert instance.restored == "good"


async def test_start_fails_when_no_snapshot_can_be_restored(stage):
    states(stage, "bad", "bad")
    with pytest.raises(ActorStartError) as raised:
        await ActorStart(stage.cell(Told)).run((), {}, [0, 1])
    assert str(raised.value) == "actor did not start: none of its 2 snapshots can be restored"


async def test_start_that_is_broken_off_before_it_runs_makes_no_instance(stage):
    Told.made = ()
    start = ActorStart(stage.cell(Told))
    start.break_off(ActorStartError("no longer wanted"))
    with pytest.raises(ActorStartError, match="no longer wanted"):
        await start.run((), {}, [])
    assert Told.made == ()


async def test_start_that_is_broken_off_where_it_waits_fails_though_the_hook_takes_no_notice(stage):
    start = ActorStart(stage.cell(Slow))
    running = stage.scope.start(started(start), "start")
    await stage.settled()
    start.break_off(ActorStartError("no longer wanted"))
    assert await running == "no longer wanted"


class Stubborn(Told):
    async def on_start(self):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass


async def test_hook_that_waits_on_although_it_is_cancelled_is_closed_in_the_end(stage):
    start = ActorStart(stage.cell(Stubborn))
    running = stage.scope.start(started(start), "start")
    await stage.settled()
    start.break_off(ActorStartError("no longer wanted"))
    await stage.settled()
    assert not running.done()
    start.break_off(ActorStartError("killed"), 0.0)
    async with asyncio.timeout(5):
        assert await running == "killed"


class StubbornRestore(Told):
    async def restore(self, state):
        await Stubborn.on_start(self)


async def test_restore_that_waits_on_although_it_is_cancelled_is_closed_and_no_other_snapshot_is_tried(stage, caplog):
    Told.made = StubbornRestore.made = ()
    states(stage, "newest", "older")
    start = ActorStart(stage.cell(StubbornRestore))
    running = stage.scope.start(started(start, [0, 1]), "start")
    await stage.settled()
    start.break_off(ActorStartError("no longer wanted"))
    await stage.settled()
    assert not running.done()
    start.break_off(ActorStartError("killed"), 0.0)
    async with asyncio.timeout(5):
        assert await running == "killed"
    assert (len(StubbornRestore.made), caplog.messages) == (1, [])


class SlowRestore(Told):
    has_started = False

    async def restore(self, state):
        await Slow.on_start(self)

    def on_start(self):
        type(self).has_started = True


async def test_start_that_is_broken_off_in_restore_fails_before_on_start_though_restore_takes_no_notice(stage):
    states(stage, "newest")
    start = ActorStart(stage.cell(SlowRestore))
    running = stage.scope.start(started(start, [0]), "start")
    await stage.settled()
    start.break_off(ActorStartError("no longer wanted"))
    assert await running == "no longer wanted"
    assert not SlowRestore.has_started


@pytest.mark.parametrize("hook", ["restore", "on_start"])
async def test_hook_that_waits_on_although_it_is_closed_is_named(stage, caplog, hook):
    released = []

    async def waits_on(self, *state):
        while not released:
            try:
                await asyncio.Event().wait()
            except (asyncio.CancelledError, GeneratorExit):
                pass

    states(stage, "newest")
    start = ActorStart(stage.cell(type("Deaf", (Told,), {hook: waits_on})))
    running = stage.scope.start(started(start, [0]), "start")
    await stage.settled()
    start.break_off(ActorStartError("killed"), 0.0)
    await stage.settled()
    released.append(True)
    running.cancel()
    async with asyncio.timeout(5):
        assert await running == "killed"
    assert caplog.messages == [f"actor.{hook} waits on, although it is closed: coroutine ignored GeneratorExit"]


async def started(start, snapshots=()):
    try:
        await start.run((), {}, snapshots)
    except ActorStartError as error:
        return str(error)
    return None


async def test_start_at_once_that_its_own_constructor_breaks_off_fails(stage):
    cell = stage.cell(Told)
    start = ActorStart(cell)

    class Suicidal(Told):
        def __init__(self):
            start.break_off(ActorStartError("by itself"))

    cell.blueprint.cls = Suicidal
    with pytest.raises(ActorStartError, match="by itself"):
        start.at_once((), {})


def stopping(stage, hook, **options):
    """Return a cell that is finishing, and its instance with that `on_stop`."""
    cell = stage.running(Told, **options)
    cell.snapshots = SimpleNamespace(taken=[], take=None, saved=None)
    cell.snapshots.take = cell.snapshots.taken.append

    async def saved():
        cell.snapshots.taken.append("saved")

    cell.snapshots.saved = saved
    cell.state = CellState.FINISHING
    return cell, SimpleNamespace(on_stop=hook)


async def test_incarnation_that_may_return_takes_a_last_snapshot_after_on_stop(stage):
    cell, instance = stopping(stage, lambda reason: None)
    assert await run_on_stop(cell, instance, SHUTDOWN, may_return=True) == SHUTDOWN
    assert cell.snapshots.taken == [instance, "saved"]


async def test_incarnation_that_ends_for_good_takes_no_snapshot(stage):
    cell, instance = stopping(stage, lambda reason: None)
    assert await run_on_stop(cell, instance, SHUTDOWN, may_return=False) == SHUTDOWN
    assert cell.snapshots.taken == []


async def test_on_stop_that_raises_is_why_the_actor_ended(stage):
    def hook(reason):
        raise ValueError("could not save")

    cell, instance = stopping(stage, hook)
    reason = await run_on_stop(cell, instance, SHUTDOWN, may_return=True)
    assert (reason.kind, reason.detail, cell.snapshots.taken) == (ExitKind.ERROR, "ValueError: could not save", [])
