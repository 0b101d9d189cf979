"""The authority over actors, without anything that hosts them."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.authority.registry import Registry
from actorrt.actors.authority.stops import STEP_COUNT
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, IdSource, PeerAddress, short
from actorrt.machine.clock import ManualClock
from actorrt.protocol.hosts import ChildExited, ChildStarted
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason
from actorrt.scopes import Scope
from tests.unit.records import crashed, order_of, record_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")


class NoHosting:
    """Starts nothing, and says whether it was asked to."""

    def __init__(self) -> None:
        self.held_count = 0
        self.started: list[ActorId] = []

    def hold(self, object_ids, tokens):
        self.held_count += 1

    def release(self, object_ids):
        self.held_count -= 1

    def start_at_once(self, record):
        self.started.append(record.actor_id)


class Told:
    """Keeps the notices that supervisors would get."""

    def __init__(self):
        self.notices = []

    def notify(self, to, notice):
        self.notices.append((type(notice), notice.child))


class AtOnce(NoHosting):
    """Runs everything, at once."""

    def start_at_once(self, record):
        super().start_at_once(record)
        return PLACE


class Obedient(AtOnce):
    """Runs everything, and keeps what it is told to end."""

    def __init__(self):
        super().__init__()
        self.orders = []
        self.buried = []

    def stop(self, records, reason):
        self.orders.append(("stop", [record.actor_id for record in records], reason))

    def kill(self, records):
        self.orders.append(("kill", [record.actor_id for record in records]))

    def bury(self, record, tombstone, *, is_buried):
        self.buried.append((record.actor_id, is_buried))


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
async def test_many_are_ended_by_few_orders_which_are_over_when_the_last_is_gone(kill):
    scope, hosting = Scope("test", crashed), Obedient()
    registry = Registry(hosting, Told(), ManualClock(), lambda: 0.5, scope)
    ids = [IDS.actor() for _ in range(STEP_COUNT + 2)]
    await registry.spawn_many(order_of(None), ids)
    registry.exited(ids[0], 1, SHUTDOWN, is_administrative=True)  # gone before the order

    stopping = scope.start(registry.stops.stop(ids, "no more", kill=kill), "stop")
    while len(hosting.orders) < 2:
        await asyncio.sleep(0)
    what = ["kill"] if kill else ["stop"]
    reason = [] if kill else ["no more"]
    assert hosting.orders == [(*what, ids[1 : STEP_COUNT + 1], *reason), (*what, ids[STEP_COUNT + 1 :], *reason)]
    for actor_id in ids[:1:-1]:
        registry.exited(actor_id, 1, SHUTDOWN, is_administrative=True, is_buried=True)
    await asyncio.sleep(0)
    assert ([record.actor_id for record in registry.records()], stopping.done()) == ([ids[1]], False)
    registry.exited(ids[1], 1, SHUTDOWN, is_administrative=True)
    async with asyncio.timeout(5):
        await stopping
    buried_there = dict.fromkeys(ids[:1:-1], True)
    assert dict(hosting.buried) == {ids[0]: False, ids[1]: False, **buried_there}
    await scope.close()


async def test_actor_that_is_told_twice_to_stop_is_asked_once_and_both_orders_end_with_it():
    scope, hosting = Scope("test", crashed), Obedient()
    registry = Registry(hosting, Told(), ManualClock(), lambda: 0.5, scope)
    record = record_of(None)
    await registry.spawn(record)
    orders = [scope.start(registry.stops.stop([record.actor_id] * 2, reason), reason) for reason in ("one", "two")]
    while record.state is RecordState.RUNNING:
        await asyncio.sleep(0)
    registry.exited(record.actor_id, 1, SHUTDOWN, is_administrative=True)
    async with asyncio.timeout(5):
        await asyncio.gather(*orders)
    assert hosting.orders == [("stop", [record.actor_id], "one")]
    await scope.close()


async def test_supervisor_is_told_of_a_childs_start_before_its_exit_though_the_exit_is_heard_of_first():
    scope, control = Scope("test", crashed), Told()
    hosting = AtOnce()
    registry = Registry(hosting, control, ManualClock(), lambda: 0.5, scope)
    top = record_of(None)
    await registry.spawn(top)
    child = ActorRecord(IDS.actor(), order_of(top.actor_id), top.actor_id)

    def start_at_once(record):  # its worker's report of the end is read before we know that it runs
        registry.exited(record.actor_id, 1, ExitReason(ExitKind.CRASHED))
        return PLACE

    hosting.start_at_once = start_at_once
    await registry.spawn(child)
    await asyncio.sleep(0)
    assert control.notices == [(ChildStarted, child.actor_id), (ChildExited, child.actor_id)]
    await scope.close()


@pytest.mark.parametrize("is_group", [False, True], ids=["alone", "group"])
async def test_spawn_that_is_overtaken_by_the_end_of_its_parent_starts_nothing_and_holds_up_nobody(is_group):
    scope = Scope("test", crashed)
    hosting = NoHosting()
    registry = Registry(hosting, None, ManualClock(), lambda: 0.5, scope)
    parent, child = IDS.actor(), IDS.actor()
    if is_group:
        spawning = registry.spawn_many(order_of(parent), [child, IDS.actor()])
    else:
        spawning = registry.spawn(ActorRecord(child, order_of(parent)))
    registry.stops.stop_children(parent)  # before the task that spawns has begun
    with pytest.raises(ActorStartError, match="did not start: the actor that spawned it has ended"):
        await spawning
    async with asyncio.timeout(5):
        await registry.children_gone(parent)
    assert (registry.records(), hosting.started, hosting.held_count) == ([], [], 0)
    await scope.close()


@pytest.mark.parametrize(
    "named",
    [{}, {"name": "only", "if_exists": "replace"}],
    ids=["before its task has begun", "while it waits for its name"],
)
async def test_child_that_its_supervisor_stops_before_the_start_has_begun_does_not_start(named):
    scope, hosting = Scope("test", crashed), Obedient()
    registry = Registry(hosting, Told(), ManualClock(), lambda: 0.5, scope)
    holder, top, child = (
        ActorRecord(IDS.actor(), order_of(parent, options=options), parent)
        for parent, options in ((None, named), (None, {}), (IDS.actor(), named))
    )
    for record in (holder, top):
        await registry.spawn(record)
    spawning = scope.start(registry.spawn(child), "spawn")
    while named and not holder.is_administrative:  # until then the spawn has not asked for the name
        await asyncio.sleep(0)
    registry.stops.stop_child(child.actor_id, "stopped by its supervisor", kill=False)
    with pytest.raises(ActorStartError, match="was stopped before it started"):
        async with asyncio.timeout(5):
            await spawning
    assert registry.records() == [holder, top]
    assert (hosting.started, hosting.held_count) == ([holder.actor_id, top.actor_id], 2)
    assert not registry.has_children(child.parent)
    await scope.close()


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda registry, record: registry._names.free(record), "it does not have its name"),
        (lambda registry, record: registry._children.remove(record), "its parent does not know it"),
        (lambda registry, record: setattr(record, "peer_address", None), "its place and state differ"),
        (lambda registry, record: registry._records.clear(), "the name 'one' belongs to an actor that is gone|is gone"),
    ],
    ids=["name", "children", "place", "record"],
)
async def test_tables_that_disagree_are_told_with_the_story_of_the_actor(break_it, words):
    scope = Scope("test", crashed)
    hosting = AtOnce()
    hosting.kept_actors = list
    registry = Registry(hosting, Told(), ManualClock(), lambda: 0.5, scope)
    order = order_of(IDS.actor())
    order.options = order.options.replaced({"name": "one"})
    record = ActorRecord(IDS.actor(), order)
    await registry.spawn(record)
    registry.check_invariants()
    break_it(registry, record)
    with pytest.raises(AssertionError, match=f"({words}): one, running, incarnation 1 at "):
        registry.check_invariants()
    await scope.close()


async def test_what_is_kept_for_an_actor_that_is_gone_is_told():
    scope = Scope("test", crashed)
    hosting, gone = AtOnce(), IDS.actor()
    hosting.kept_actors = lambda: [gone]
    registry = Registry(hosting, Told(), ManualClock(), lambda: 0.5, scope)
    with pytest.raises(AssertionError, match=f"kept for actors that are gone: {short(gone)}"):
        registry.check_invariants()
    await scope.close()
