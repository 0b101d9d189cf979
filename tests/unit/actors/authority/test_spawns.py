"""Requests to start actors: what each takes, and what is given back when it comes to nothing."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.spawns import SpawnRequests
from actorrt.completion import Completion
from actorrt.errors import ActorStartError, NameTakenError
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import HeldObject
from actorrt.scopes import Scope
from tests.unit.records import crashed, order_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")


class Stage:
    """Stands for the registry, its stops, its names and its hosting, and notes what they are asked."""

    def __init__(self):
        self.records, self.asked, self.children = {}, {}, Children()
        self.held = []
        self.taken, self.freed = [], []
        self.holder = None  # who has the name
        self.taking = None  # raised when a name is asked for
        self.at_once = True
        self.failing = ()  # which starts fail, counted from 0
        self.started_count = 0
        self.gate = Completion()  # of starts that wait
        self.ended_together = []
        self.scope = Scope("test", crashed)
        self.spawns = SpawnRequests(self, self.asked, self, self, self, self.children, self.scope)

    # Hosting

    def hold(self, object_ids, tokens):
        self.held += object_ids

    def release(self, object_ids):
        for object_id in object_ids:
            self.held.remove(object_id)

    # Names

    async def take(self, record):
        if self.taking is not None:
            raise self.taking
        self.taken.append(record)
        return None if self.holder is None else self.holder.card()

    def free(self, record):
        self.freed.append(record)

    # The registry

    def enter(self, record):
        self.records[record.actor_id] = record

    def record(self, actor_id):
        return self.records.get(actor_id)

    def start_at_once(self, record):
        if self.at_once:
            self._start(record)
        return self.at_once

    async def start(self, record):
        await self.gate
        self._start(record)

    def _start(self, record):
        record.begin_start()
        number, self.started_count = self.started_count, self.started_count + 1
        if number in self.failing:
            record.start_failed(ActorStartError(f"{number} failed"))
        else:
            record.started(PLACE, 0.0)

    # Stops

    async def ended(self, actor_id):
        self.records.pop(actor_id)

    async def stop_each(self, records, reason):
        self.ended_together.append((len(records), reason))

    def withdraw(self, record):
        record.withdraw()
        record.changed()

    def order(self, parent=None, **changes):
        return order_of(parent, **changes)


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.scope.close()


async def later(coroutine):
    task = asyncio.ensure_future(coroutine)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


def holding_order(parent):
    objects = [HeldObject(IDS.object(), b"token")]
    return order_of(parent, objects=objects)


async def test_request_holds_its_objects_and_is_its_parents_at_once(stage):
    parent = IDS.actor()
    record = ActorRecord(IDS.actor(), holding_order(parent))
    spawning = stage.spawns.spawn(record)
    assert (stage.held, stage.children.of(parent), stage.spawns.asked()) == (list(record.objects), [record], [record])
    assert (await spawning).actor == record.actor_id
    assert (stage.spawns.asked(), stage.records) == ([], {record.actor_id: record})


async def test_request_whose_name_is_taken_gives_everything_back(stage):
    parent = IDS.actor()
    record = ActorRecord(IDS.actor(), holding_order(parent))
    stage.taking = NameTakenError("taken")
    with pytest.raises(NameTakenError):
        await stage.spawns.spawn(record)
    assert (stage.held, stage.children.of(parent), stage.spawns.asked(), stage.freed) == ([], [], [], [record])
    assert stage.started_count == 0


async def test_request_that_gets_another_actor_starts_none(stage):
    stage.holder = ActorRecord(IDS.actor(), order_of(None))
    record = ActorRecord(IDS.actor(), holding_order(None))
    assert (await stage.spawns.spawn(record)).actor == stage.holder.actor_id
    assert (stage.held, stage.started_count) == ([], 0)


async def test_request_whose_parent_ended_meanwhile_fails(stage):
    record = ActorRecord(IDS.actor(), order_of(IDS.actor()))
    spawning = stage.spawns.spawn(record)
    record.parent_has_ended()
    with pytest.raises(ActorStartError, match="did not start: the actor that spawned it has ended"):
        await spawning
    assert stage.spawns.asked() == []


async def test_start_that_fails_is_told_when_nothing_is_left_of_the_actor(stage):
    stage.failing = (0,)
    record = ActorRecord(IDS.actor(), order_of(None))
    with pytest.raises(ActorStartError, match="0 failed"):
        await stage.spawns.spawn(record)
    assert stage.records == {}


async def test_start_that_waits_is_answered_when_the_actor_runs(stage):
    stage.at_once = False
    record = ActorRecord(IDS.actor(), order_of(None))
    spawning = await later(stage.spawns.spawn(record))
    assert not spawning.done()
    stage.gate.set_value(None)
    assert (await spawning).actor == record.actor_id


async def test_group_is_answered_with_the_place_of_each(stage):
    actor_ids = [IDS.actor() for _ in range(3)]
    places = await stage.spawns.spawn_many(order_of(None), actor_ids)
    assert [place.peer_address for place in places.places] == [PLACE]
    assert list(stage.records) == actor_ids
    assert stage.spawns._groups == {}


@pytest.mark.parametrize("at_once", [True, False])
async def test_group_of_which_one_fails_stops_the_others_and_says_which(stage, at_once):
    stage.at_once, stage.failing = at_once, (1,)
    stage.gate.set_value(None)
    with pytest.raises(ActorStartError) as raised:
        await stage.spawns.spawn_many(order_of(None), [IDS.actor() for _ in range(3)])
    assert str(raised.value) == "number 2 of 3 failed, so the others were stopped: 1 failed"
    begun = 2 if at_once else 3
    assert stage.ended_together == [(begun, "another of its group did not start")]


async def test_group_that_is_withdrawn_ends(stage):
    stage.at_once = False
    actor_ids = [IDS.actor() for _ in range(3)]
    spawning = await later(stage.spawns.spawn_many(order_of(None), actor_ids))
    stage.spawns.withdraw(actor_ids[0])
    with pytest.raises(ActorStartError, match="the actor that spawned it has ended"):
        await spawning
    assert stage.ended_together == [(3, "another of its group did not start")]
    stage.gate.set_value(None)


async def test_spawn_that_is_withdrawn_before_its_start_never_starts(stage):
    record = ActorRecord(IDS.actor(), order_of(None))
    spawning = stage.spawns.spawn(record)
    stage.spawns.withdraw(record.actor_id)
    with pytest.raises(ActorStartError):
        await spawning
    assert stage.started_count == 0


async def test_spawn_that_is_over_is_withdrawn_without_effect(stage):
    stage.spawns.withdraw(IDS.actor())
