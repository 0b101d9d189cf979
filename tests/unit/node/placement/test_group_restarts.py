"""The node's orders for several children of a supervisor at once, without workers to carry them out."""

from __future__ import annotations

import asyncio

from actorrt import errors
from actorrt.actors.authority.record import RecordState
from actorrt.actors.authority.registry import Registry
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.node.placement.group_restarts import GroupRestarts
from actorrt.protocol.hosts import ChildrenRestarted
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import RestartChildren, StopChildren
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from tests.unit.records import crashed, record_of

IDS = IdSource()
PLACE = PeerAddress(IDS.peer(), "memory://worker")
CRASH = ExitReason(ExitKind.CRASHED)


class Hosting:
    """Starts whatever it is asked to start, at once."""

    def __init__(self):
        self.stopped = []

    def cancel_queued_start(self, record):
        raise AssertionError("GroupRestarts cancels queued starts")

    def hold(self, object_ids, tokens):
        pass

    def start_at_once(self, record):
        return PLACE if record.incarnation == 1 else None

    async def start(self, record):
        return PLACE

    def stop(self, records, reason):
        self.stopped += [record.actor_id for record in records if not self.cancel_queued_start(record)]


class Control:
    """Hands orders to whoever handles them, and keeps what is told."""

    def __init__(self):
        self.handlers = {}
        self.told = []

    def handle(self, handler):
        self.handlers[handler.request] = handler.handle

    def notify(self, to, notice):
        self.told.append(notice)


async def test_child_that_is_to_stop_before_its_restart_has_begun_is_stopped():
    """A supervisor that restarts one child and gives up over another orders both in one breath."""
    scope, hosting, control = Scope("test", crashed), Hosting(), Control()
    registry = Registry(hosting, control, ManualClock(), lambda: 0.5, scope)
    GroupRestarts(registry, hosting, control, PeerAddress(IDS.peer(), "memory://node"), lambda _: PLACE.address)
    supervisor = record_of(None)
    await registry.spawn(supervisor)
    child = record_of(supervisor.actor_id)
    await registry.spawn(child)
    registry.exited(child.actor_id, 1, CRASH)

    asked = RestartChildren(supervisor=supervisor.actor_id, actors=[child.actor_id])
    restarting = control.handlers[RestartChildren](PLACE.peer, asked)
    registry.stops.stop_child(child.actor_id, "its supervisor gives up", kill=False)
    async with asyncio.timeout(5):
        await restarting

    told = control.told[-1]
    assert (type(told), [*told.started], told.failed.child) == (ChildrenRestarted, [], child.actor_id)
    assert "was stopped before it started" in str(told.failed.error)
    assert (child.peer_address, child.is_start_under_way, hosting.stopped) == (None, False, [])
    await scope.close()


async def test_children_whose_starts_end_with_one_process_have_one_cause_which_is_that_process():
    scope, hosting, control = Scope("test", crashed), Hosting(), Control()
    registry = Registry(hosting, control, ManualClock(), lambda: 0.5, scope)
    GroupRestarts(registry, hosting, control, PeerAddress(IDS.peer(), "memory://node"), lambda _: PLACE.address)
    supervisor = record_of(None)
    await registry.spawn(supervisor)
    children = [record_of(supervisor.actor_id), record_of(supervisor.actor_id)]
    for child in children:
        await registry.spawn(child)
        registry.exited(child.actor_id, 1, CRASH)

    async def end_with_the_process(record):
        record.starts_at(PLACE)
        raise errors.ActorStartError("its process ended", reason=CRASH)

    hosting.start = end_with_the_process
    for child in children:
        asked = RestartChildren(supervisor=supervisor.actor_id, actors=[child.actor_id])
        await control.handlers[RestartChildren](PLACE.peer, asked)
    assert [told.failed.cause for told in control.told[-2:]] == [PLACE.peer, PLACE.peer]


async def test_stop_that_comes_with_the_restart_behind_it_is_of_the_incarnation_that_has_ended():
    """Children that crash as their supervisor orders them to stop: their next incarnations are not to be stopped."""
    scope, hosting, control = Scope("test", crashed), Hosting(), Control()
    registry = Registry(hosting, control, ManualClock(), lambda: 0.5, scope)
    GroupRestarts(registry, hosting, control, PeerAddress(IDS.peer(), "memory://node"), lambda _: PLACE.address)
    supervisor = record_of(None)
    await registry.spawn(supervisor)
    children = [record_of(supervisor.actor_id) for _ in range(2)]
    actors = [child.actor_id for child in children]
    for child in children:
        await registry.spawn(child)
        registry.exited(child.actor_id, 1, CRASH)

    stop = StopChildren(actors=actors[::-1], reason="stopped", manner=Manner.FOR_RESTART)
    stopping = control.handlers[StopChildren](PLACE.peer, stop)
    restart = RestartChildren(supervisor=supervisor.actor_id, actors=actors)
    restarting = control.handlers[RestartChildren](PLACE.peer, restart)
    async with asyncio.timeout(5):
        await stopping
        await restarting

    assert hosting.stopped == []
    assert [(child.state, child.incarnation) for child in children] == [(RecordState.RUNNING, 2)] * 2
    await scope.close()
