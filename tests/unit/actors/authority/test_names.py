"""Names of actors: who has each, who waits for one, and what a taken name means for a spawn."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.names import Names
from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import NameNotFoundError, NameTakenError
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.reasons import SHUTDOWN
from tests.unit.records import order_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")


class Timers:
    """A scope whose timers are run by hand."""

    def __init__(self, clock):
        self.clock = clock
        self.due = []

    def after(self, delay_s, callback):
        entry = (delay_s, callback)
        self.due.append(entry)
        return lambda: self.due.remove(entry) if entry in self.due else None

    def run(self):
        due, self.due = self.due, []
        for delay_s, callback in due:
            self.clock.advance(delay_s)
            callback()


class Stage:
    def __init__(self):
        self.clock = ManualClock()
        self.timers = Timers(self.clock)
        self.replaced = []
        self.names = Names(self.clock, self.timers, self.replaced.append)

    def record(self, **options):
        return ActorRecord(IDS.actor(), order_of(None, options={"name": "learner", **options}))

    async def holder(self):
        holder = self.record()
        assert await self.names.take(holder) is None
        return holder

    async def running(self):
        holder = await self.holder()
        holder.begin_start()
        holder.started(PLACE, 0.0)
        return holder


@pytest.fixture
def stage():
    return Stage()


async def later(awaitable):
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def test_actor_without_a_name_takes_none(stage):
    assert await stage.names.take(stage.record(name=None)) is None
    stage.names.check_invariants([])


async def test_running_holder_is_found(stage):
    holder = await stage.running()
    assert await stage.names.find("default", "learner", 0.0) is holder
    with pytest.raises(NameNotFoundError, match="no actor is named 'learner' in namespace 'other'"):
        await stage.names.find("other", "learner", 0.0)


async def test_holder_that_still_starts_is_not_found_yet(stage):
    await stage.holder()
    with pytest.raises(NameNotFoundError) as raised:
        await stage.names.find("default", "learner", 0.0)
    text = "the actor named 'learner' in namespace 'default' is still being started: give lookup a timeout_s"
    assert str(raised.value) == text


async def test_wait_for_a_name_ends_when_its_holder_runs(stage):
    finding = await later(stage.names.find("default", "learner", 5.0))
    holder = await later(stage.running())
    assert await finding is await holder
    assert (stage.timers.due, stage.names._waiters) == ([], {})


async def test_wait_for_a_name_ends_with_its_time(stage):
    finding = await later(stage.names.find("default", "learner", 5.0))
    stage.timers.run()
    with pytest.raises(NameNotFoundError, match="no actor is named 'learner'"):
        await finding
    assert stage.names._waiters == {}


async def test_taken_name_fails_the_spawn(stage):
    holder = await stage.running()
    with pytest.raises(NameTakenError) as raised:
        await stage.names.take(stage.record())
    taken = f"the name 'learner' is taken by a live {holder.label}"
    assert str(raised.value) == f"{taken}; stop it first, or spawn with if_exists='get' or 'replace'"


async def test_taken_name_gives_the_holder_to_a_spawn_that_would_have_it(stage):
    holder = await stage.running()
    assert await stage.names.take(stage.record(if_exists="get")) == holder.card()


async def test_holder_of_another_class_is_not_given(stage):
    await stage.running()
    other = ActorRecord(
        IDS.actor(), order_of(None, options={"name": "learner", "if_exists": "get"}, class_name="Other")
    )
    with pytest.raises(NameTakenError, match="is taken by a live actor of class Child, not Other"):
        await stage.names.take(other)


async def test_holder_that_is_to_be_replaced_is_ended_once_and_waited_for(stage):
    holder = await stage.running()
    taking = await later(stage.names.take(stage.record(if_exists="replace")))
    assert (stage.replaced, taking.done()) == ([holder], False)
    holder.end_for_good()
    holder.begin_last_end(SHUTDOWN)
    stage.names.free(holder)
    holder.gone()
    assert await taking is None
    assert stage.replaced == [holder]


async def test_wait_for_a_name_ends_when_the_spawn_is_withdrawn(stage):
    holder = await stage.running()
    holder.begin_last_end(SHUTDOWN)
    record = stage.record()
    taking = await later(stage.names.take(record))
    record.withdraw()
    record.changed()
    assert await taking is None
    assert list(stage.names._holders.values()) == [holder]


async def test_only_the_holder_frees_its_name(stage):
    holder = await stage.running()
    stage.names.free(stage.record())
    stage.names.check_invariants([holder])
    stage.names.free(holder)
    assert stage.names._holders == {}
