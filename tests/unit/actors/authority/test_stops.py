"""The orders to end actors: who gets them, and what becomes of those that have no incarnation."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.authority.stops import STEP_COUNT, Stops
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.manner import Manner
from actorrt.scopes import Scope
from tests.unit.records import crashed, order_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")


class Stage:
    """A registry's orders, and who gets them."""

    def __init__(self):
        self.records, self.children, self.log = {}, Children(), []
        self.supervised = set()  # children whose supervisor removes them itself
        self.scope = Scope("test", crashed)
        self.stops = Stops(self.records, {}, self.children, self, self, self.scope, self.gone)

    def stop(self, records, reason):
        self.log.append(("stop", list(records), reason))

    def kill(self, records):
        self.log.append(("kill", list(records)))

    def break_off(self, record):
        self.log.append(("break off", record))

    def withdrawn(self, record):
        return record in self.supervised

    def gone(self, record, reason):
        self.log.append(("gone", record, str(reason)))
        self.forget(record)

    def forget(self, record):
        self.records.pop(record.actor_id, None)
        self.children.remove(record)
        record.gone()

    def add(self, parent=None, *, is_running=True):
        record = ActorRecord(IDS.actor(), order_of(parent), None)
        self.records[record.actor_id] = record
        self.children.add(record)
        record.begin_start()
        if is_running:
            record.started(PLACE, 0.0)
        return record


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.scope.close()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_actors_are_ended_by_one_order_and_for_good(stage):
    running, starting = stage.add(), stage.add(is_running=False)
    stage.stops.begin([running, starting], "no more", kill=False)
    assert stage.log == [("stop", [running, starting], "no more")]
    assert (running.state, starting.is_to_end) == (RecordState.STOPPING, True)
    assert running.is_administrative
    assert starting.is_administrative


async def test_actor_that_is_stopping_is_not_ordered_again_but_may_be_killed(stage):
    record = stage.add()
    stage.stops.begin([record], "no more", kill=False)
    stage.stops.begin([record], "no more", kill=False)
    stage.stops.begin([record], "no more", kill=True)
    assert stage.log == [("stop", [record], "no more"), ("kill", [record])]


async def test_actor_without_an_incarnation_is_gone_at_once_unless_its_supervisor_removes_it(stage):
    alone, supervised = stage.add(), stage.add()
    for record in (alone, supervised):
        record.ended(None)
        record.waits_to_restart(9.0)
    stage.supervised.add(supervised)
    stage.stops.begin([alone, supervised], "no more", kill=False)
    assert stage.log == [("gone", alone, "shutdown: no more")]


async def test_stop_is_over_when_all_are_gone_and_skips_those_that_are(stage):
    record, gone = stage.add(), IDS.actor()
    stopping = stage.scope.start(stage.stops.stop([record.actor_id, gone], "no more"), "stop")
    await settled()
    assert not stopping.done()
    stage.forget(record)
    await stopping


async def test_many_are_ended_in_parts(stage):
    records = [stage.add() for _ in range(STEP_COUNT + 1)]
    stopping = stage.scope.start(stage.stops.stop_each(records, "no more"), "stop")
    await settled()
    assert [len(ordered) for _, ordered, _ in stage.log] == [STEP_COUNT, 1]
    for record in records:
        stage.forget(record)
    await stopping


async def test_children_are_stopped_through_their_parents(stage):
    parent = stage.add()
    child = stage.add(parent.actor_id)
    stopping = stage.scope.start(stage.stops.stop_all([parent, child], "its job ended"), "stop")
    await settled()
    assert stage.log == [("stop", [parent], "its job ended")]
    stage.forget(parent)
    await settled()
    assert not stopping.done()
    stage.forget(child)
    await stopping


async def test_end_of_a_parent_stops_its_children_last_first(stage):
    parent = stage.add()
    first, second = stage.add(parent.actor_id), stage.add(parent.actor_id)
    stage.stops.stop_children(parent.actor_id)
    await settled()
    assert stage.log == [("stop", [second, first], "its parent ended")]
    assert first.order.is_withdrawn


async def test_supervisors_order_ends_one_incarnation_in_its_manner(stage):
    record = stage.add()
    stage.stops.stop_child(record.actor_id, "a sibling failed", kill=False, manner=Manner.FOR_RESTART)
    stage.stops.stop_child(IDS.actor(), "nobody", kill=False)
    assert stage.log == [("stop", [record], "a sibling failed")]
    assert (record.manner, record.is_administrative) == (Manner.FOR_RESTART, False)


async def test_withdrawn_start_is_broken_off_and_what_runs_is_killed(stage):
    starting, running, unknown = stage.add(is_running=False), stage.add(), stage.add()
    stage.forget(unknown)
    for record in (starting, running, unknown):
        stage.stops.withdraw(record)
    assert stage.log == [("break off", starting), ("kill", [running])]
