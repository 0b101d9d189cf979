"""What an authority tells of its actors, at once or when it is decided."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.names import Names
from actorrt.actors.authority.questions import Questions
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.tombstones import Tombstones
from actorrt.errors import ActorDiedError, RuntimeStateError
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.protocol.authorities import Sighting
from actorrt.reasons import KILLED, SHUTDOWN
from tests.unit.records import order_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")


class Stage:
    def __init__(self):
        self.records, self.children, self.tombstones = {}, Children(), Tombstones()
        self.clock = ManualClock(100.0)
        names = Names(self.clock, None, None)
        self.questions = Questions(self.records, self.children, names, self.tombstones, self.clock)

    def add(self, parent=None, **changes):
        record = ActorRecord(IDS.actor(), order_of(parent, **changes))
        self.records[record.actor_id] = record
        self.children.add(record)
        record.begin_start()
        return record

    def running(self, *args, **changes):
        record = self.add(*args, **changes)
        record.started(PLACE, 0.0)
        return record

    def bury(self, record, reason=KILLED):
        record.begin_last_end(reason)
        del self.records[record.actor_id]
        self.tombstones.add(record.actor_id, record.tombstone())
        record.gone()


@pytest.fixture
def stage():
    return Stage()


async def later(awaitable):
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def restart(record):
    record.ended(KILLED)
    record.waits_to_restart(None)
    record.begin_restart()
    record.started(PLACE, 1.0)


async def test_place_of_a_running_actor_is_told_at_once_and_a_newer_one_when_there_is_one(stage):
    record = stage.running()
    assert await stage.questions.resolve(record.actor_id, 0) == Sighting(PLACE, 1)
    newer = await later(stage.questions.resolve(record.actor_id, 1))
    assert not newer.done()
    restart(record)
    assert await newer == Sighting(PLACE, 2)


async def test_those_who_wait_for_the_place_of_an_actor_hear_that_it_is_gone(stage):
    record = stage.add()
    waiting = await later(stage.questions.resolve(record.actor_id, 0))
    stage.bury(record)
    with pytest.raises(ActorDiedError, match=f"{record.label} is gone: killed"):
        await waiting


async def test_fate_is_told_when_it_is_decided(stage):
    record = stage.running()
    fate = await later(stage.questions.fate(record.actor_id, 1))
    record.ended(KILLED)
    await asyncio.sleep(0)
    assert not fate.done()
    record.waits_to_restart(102.5)
    assert await fate == 2.5
    stage.clock.advance(10.0)
    assert await stage.questions.fate(record.actor_id, 1) == 0.0


async def test_actor_that_is_to_end_is_not_alive(stage):
    record = stage.running()
    assert stage.questions.is_alive(record.actor_id) is True
    record.end_for_good()
    assert stage.questions.is_alive(record.actor_id) is False
    assert stage.questions.is_alive(IDS.actor()) is False


async def test_end_of_an_incarnation_is_told_to_those_who_ask_for_it_only(stage):
    record = stage.running()
    any_end = await later(stage.questions.down(record.actor_id, 0))
    last_end = await later(stage.questions.down(record.actor_id, None))
    restart(record)
    told = await any_end
    assert (told.incarnation, told.is_final, last_end.done()) == (1, False, False)
    stage.bury(record, SHUTDOWN)
    told = await last_end
    assert (told.incarnation, told.is_final, told.reason) == (2, True, SHUTDOWN)


async def test_end_that_was_before_the_question_is_told(stage):
    record = stage.running()
    restart(record)
    assert (await stage.questions.down(record.actor_id, 1)).incarnation == 1
    stage.bury(record)
    assert (await stage.questions.down(record.actor_id, None)).is_final is True


def test_sibling_is_another_child_of_the_same_supervisor(stage):
    supervisor = IDS.actor()
    left, right = [stage.running(supervisor, child_id=id) for id in ("left", "right")]
    assert stage.questions.sibling(left.actor_id, "right").actor == right.actor_id
    with pytest.raises(ValueError, match="has no sibling 'middle'; those that have been started: left, right"):
        stage.questions.sibling(left.actor_id, "middle")
    right.begin_last_end(SHUTDOWN)
    with pytest.raises(ValueError, match="has no sibling 'right'"):
        stage.questions.sibling(left.actor_id, "right")


def test_actor_alone_has_no_siblings(stage):
    with pytest.raises(RuntimeStateError, match="is no child of a supervisor, so it has no siblings"):
        stage.questions.sibling(stage.running().actor_id, "left")
