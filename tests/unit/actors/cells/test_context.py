"""What an actor knows of itself: its timers, and what it asks of its runtime."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.cells.context import TIMERS_COUNT
from actorrt.errors import MailboxFullError
from actorrt.reasons import ExitKind, ExitReason


class Clockwork:
    def __init__(self):
        self.noted = []

    def tick(self, what="tick"):
        self.noted.append(what)

    async def hold(self):
        await asyncio.Event().wait()


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


async def test_timer_tells_once_and_is_gone_then(stage):
    cell = stage.running(Clockwork)
    cell.context.after(0.001, "tick", "once")
    assert len(cell.context.timers) == 1
    await until(lambda: cell.instance.noted)
    assert (cell.instance.noted, cell.context.timers) == (["once"], set())


async def test_timer_takes_a_method_of_its_own_actor(stage):
    cell = stage.running(Clockwork)
    cell.context.after(0.001, cell.instance.tick)
    await until(lambda: cell.instance.noted)
    assert cell.instance.noted == ["tick"]


async def test_timer_that_repeats_goes_on_until_it_is_cancelled(stage):
    cell = stage.running(Clockwork)
    timer = cell.context.every(0.001, "tick")
    await until(lambda: len(cell.instance.noted) == 3)
    timer.cancel()
    timer.cancel()
    assert (cell.context.timers, timer._handle) == (set(), None)


async def test_tick_that_finds_the_one_before_waiting_is_skipped_and_counted(stage):
    cell = stage.running(Clockwork)
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.context.every(0.0001, "tick")
    await until(lambda: cell.context.skipped_ticks_count >= 2)
    assert len(cell.mailbox) == 1


async def test_timers_end_with_the_incarnation(stage):
    cell = stage.running(Clockwork)
    timer = cell.context.after(60.0, "tick")
    cell.context.trap_exits = True
    cell.fail(ExitReason(ExitKind.ERROR, "boom"))
    assert (cell.context.timers, timer._handle, cell.context.trap_exits) == (set(), None, False)


async def test_timer_that_could_never_tell_is_refused_at_once(stage):
    context = stage.running(Clockwork).context
    with pytest.raises(ValueError, match="seconds=0: a timer needs a positive number of seconds"):
        context.after(0, "tick")
    with pytest.raises(AttributeError, match="Clockwork has no public method 'tock'"):
        context.after(1, "tock")
    with pytest.raises(TypeError, match="too many positional arguments"):
        context.after(1, "tick", 1, 2)
    with pytest.raises(TypeError, match=r"a timer calls a method of its own actor: give its name, as 'tick'"):
        context.after(1, print)
    assert context.timers == set()


async def test_too_many_timers_are_refused(stage):
    context = stage.running(Clockwork).context
    context._timers = {object() for _ in range(TIMERS_COUNT)}
    with pytest.raises(MailboxFullError) as raised:
        context.after(1, "tick")
    assert str(raised.value) == "actor has 10000 timers that have not come due: cancel those it no longer needs"
    context._timers = None


async def test_context_tells_who_the_actor_is(stage):
    context = stage.running(Clockwork).context
    assert (context.name, context.incarnation, context.parent, context.deadline) == ("actor", 1, None, None)
    assert (context.ref, context.sibling("left")) == (("ref to", "actor"), ("sibling", "left"))


async def test_only_refs_can_be_watched(stage):
    context = stage.running(Clockwork).context
    for watch in (context.monitor, context.link, context.unlink):
        with pytest.raises(TypeError, match=watch.__name__):
            watch("no ref")
    assert stage.watched == []


async def test_actor_that_stops_itself_ends_normally(stage):
    cell = stage.running(Clockwork)
    cell.context.stop()
    await stage.settled()
    assert stage.noted.events == [("exited", 1, "normal", False)]
