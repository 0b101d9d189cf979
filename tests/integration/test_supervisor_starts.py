"""Supervisors whose children can't be started: callers get the error, and no stop waits for an unstarted child."""

from __future__ import annotations

import asyncio
import threading

import pytest

import actorrt as art
from tests.integration.cast import Counter, Gate
from tests.running import wait_for_answer

LOCK = threading.Lock()


class Holder(art.Actor):
    """Holds any value."""

    def __init__(self, value=None):
        self.value = value


class Stuck(art.Actor):
    """An actor whose start waits for a gate."""

    def __init__(self, gate):
        self.gate = gate

    async def on_start(self):
        await self.gate.wait()


class Team(art.Supervisor):
    pass


class Wrong(art.Supervisor):
    """A supervisor with a valid child and the child that a function returns."""

    def __init__(self, make):
        self.make = make

    def children(self):
        yield art.Child(Holder, id="well")
        yield self.make()


def locked():
    return art.Child(Holder, threading.Lock(), id="wrong")


def without_hooks():
    return art.Child(Holder, id="wrong", snapshot_every=1)


def raising():
    raise ZeroDivisionError("no such child")


WRONG = [
    (locked, r"wrong.*can't be pickled|cannot pickle"),
    (without_hooks, "snapshot_every"),
    (lambda: art.Child(Counter, 1, 2), r"Counter\(.*too many positional arguments"),
    (raising, "ZeroDivisionError: no such child"),
    (lambda: Holder, r"Wrong: <class .*Holder'> is no Child; give art.Child\(Holder, ...\)"),
    (lambda: 7, r"Wrong: 7 is no Child; give art.Child\(ActorClass, ...\)"),
    (lambda: art.Child(Holder, id="well"), "child id 'well' is taken"),
]


async def labels(runtime):
    return sorted(actor["label"].partition("-")[0] for actor in (await runtime.status())["actors"])


@pytest.mark.parametrize(("make", "says"), WRONG)
async def test_spawn_of_a_supervisor_whose_second_child_cannot_be_started_fails_and_leaves_nothing(runtime, make, says):
    async with asyncio.timeout(20):
        with pytest.raises(art.ActorStartError, match=says):
            await Wrong.spawn(make)
        assert await labels(runtime) == []


async def test_invalid_children_fail_the_spawn_with_an_error_that_shows_the_right_form(runtime):
    class Forgetful(art.Supervisor):
        def children(self):
            art.Child(Holder)

    with pytest.raises(art.ActorStartError, match=r"Forgetful: children\(\) returns None; yield an art.Child"):
        await Forgetful.spawn()


async def test_start_child_that_raises_before_the_start_is_an_error_and_the_supervisor_still_works(runtime):
    team = await Team.spawn()
    async with asyncio.timeout(20):
        with pytest.raises(ValueError, match="snapshot_every"):
            await team.start_child(art.Child(Holder, id="wrong", snapshot_every=1))
        assert await team.children_info() == []
        child = await team.start_child(art.Child(Holder, id="wrong"))
        await team.stop()
        assert not await child.is_alive()


async def test_start_child_of_a_class_is_a_type_error_that_names_the_right_argument(runtime):
    team = await Team.spawn()
    with pytest.raises(TypeError, match=r"Holder'> is no Child; give art.Child\(Holder, ...\)"):
        await team.start_child(Holder)


async def stuck_start(team):
    """Add a child whose start does not end; return the call and the gate of that start when it has begun."""
    gate = await Gate.options(max_concurrency=9).spawn()
    adding = team.start_child(art.Child(Stuck, gate, id="stuck"))
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    return adding, gate


async def test_stop_of_a_supervisor_aborts_the_start_of_an_added_child(runtime):
    team = await Team.spawn()
    adding, _ = await stuck_start(team)
    async with asyncio.timeout(20):
        await team.stop()
        with pytest.raises(art.ActorStartError):
            await adding
    assert await labels(runtime) == ["Gate"]


async def test_cancelled_start_child_aborts_the_start_and_adds_nothing(runtime):
    team = await Team.spawn()
    adding, gate = await stuck_start(team)
    adding.cancel()
    await wait_for_answer(team.children_info, lambda infos: not infos, "the child is forgotten")
    await wait_for_answer(gate.counts, lambda counts: counts[1] > 0, "its start is cancelled")
    async with asyncio.timeout(20):
        await (await team.start_child(art.Child(Holder, id="stuck"))).is_alive()


async def test_supervisor_whose_on_start_does_not_call_super_refuses_children_and_can_be_stopped(runtime):
    class Own(art.Supervisor):
        async def on_start(self):
            self.is_up = True

    own = await Own.spawn()
    with pytest.raises(art.RuntimeStateError, match=r"Own has no children: its on_start\(\) has to await super\(\)"):
        await own.start_child(art.Child(Holder))
    async with asyncio.timeout(20):
        await own.stop()


async def test_child_stopped_in_the_step_that_adds_it_does_not_start_and_the_supervisor_stops(runtime):
    class Hasty(Team):
        async def add_and_stop(self, child):
            adding, stopping = (asyncio.ensure_future(c) for c in (self.start_child(child), self.stop_child(child.id)))
            await stopping
            with pytest.raises(art.ActorStartError, match="was stopped before it started"):
                await adding
            return await self.children_info()

    hasty = await Hasty.spawn()
    assert await hasty.add_and_stop(art.Child(Holder, id="holder")) == []
    await hasty.stop()
    assert (await runtime.status())["actors"] == []


async def test_stop_of_a_supervisor_does_not_stop_an_existing_actor_that_it_took_as_a_child(runtime):
    class Borrower(art.Supervisor):
        def children(self):
            yield art.Child(Counter, name="one", if_exists="get")

    counter = await Counter.options(name="one").spawn()
    borrower = await Borrower.spawn()
    assert await borrower.child("Counter") == counter
    await borrower.stop()
    assert await counter.add() == 1


async def test_start_that_ignores_its_cancellation_ends_after_shutdown_s(runtime):
    class Stubborn(art.Actor):
        async def on_start(self):
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass

    class Parent(art.Actor):
        async def start(self):
            await Stubborn.options(shutdown_s=0.1).spawn()

    team, parent = await Team.spawn(), await Parent.options(shutdown_s=0.1).spawn()
    child = art.Child(Stubborn, shutdown_s=0.1)
    for starting in (team.start_child.options(timeout_s=0.2)(child), parent.start.options(timeout_s=0.2)()):
        with pytest.raises(art.CallTimeoutError):
            await starting
    for ref in (team, parent):
        await ref.stop()
    assert (await runtime.status())["actors"] == []
