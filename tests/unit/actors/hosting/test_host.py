"""Starts, stops and ends of hosted actors, and what their authorities and callers are told."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.hosting.batches import Batches, PlannedStarts
from actorrt.actors.hosting.host import Host
from actorrt.actors.hosting.population import Population
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.hosts import HostInTurn, NextIncarnation, StopInTurn
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import Hosted, HostedActor
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason
from tests.unit.actors.cells.stage import Stage

IDS = IdSource()
NODE = PeerAddress(IDS.peer(), "memory://node")
FAILED = ExitReason(ExitKind.ERROR, "boom", "Traceback")


class Plain:
    def __init__(self, fails=False):
        if fails:
            raise ValueError("no such world")

    async def on_start(self):
        pass

    def note(self):
        return "noted"

    async def hold(self):
        await asyncio.Event().wait()


class Told:
    """Stands for the authorities, the registry of light children and the routes."""

    def __init__(self):
        self.log = []
        self.parents = set()  # actors with children here
        self.unknown = set()  # actors with children on the node that their authority does not know
        self.stops = self
        self.exits = {}

    def stop_children(self, actor_id):
        self.log.append(("stop children", actor_id))

    def has_children(self, actor_id):
        return actor_id in self.parents

    async def children_gone(self, actor_id):
        self.log.append(("children gone", actor_id))

    def has_unknown_children(self, cell):
        return cell.actor_id in self.unknown

    async def unknown_children_gone(self, cell):
        if cell.actor_id in self.unknown:
            self.log.append(("unknown children gone", cell.actor_id))

    def happened(self, cell):
        self.log.append(("happened", cell.actor_id))
        if cell.actor_id in self.exits:
            self.exits.pop(cell.actor_id).set_value(None)

    def exited(self, cell, incarnation, reason, *, is_administrative, is_buried):
        self.log.append(("exited", incarnation, str(reason), is_administrative, is_buried))

    def handled_first(self, cell):
        self.log.append(("handled first", cell.incarnation))

    def next_exit_of(self, actor_id):
        return self.exits.setdefault(actor_id, Completion())

    def tells_waiting_from(self, cell):
        return []

    def forget(self, actor_id):
        self.log.append(("forget", actor_id))

    def handle(self, handler):
        """Called by what serves requests, as a control."""

    def notify(self, to, notice):
        self.log.append(notice)


class Hosting(Stage):
    """A host over fakes of everything around it."""

    def __init__(self):
        super().__init__()
        self.told = Told()
        self.population = Population(self.clock)
        self.planned = PlannedStarts()
        told = self.told
        self.hosting = Host(self.host, self.population, told, told, self.noted, self.planned, told)
        self.batches = Batches(self.hosting, self.planned, told, told, told, self.scope)

    def blueprint(self, *args, starts_at_once=True, **options):
        cell = self.cell(Plain, *args, **options)
        cell.blueprint.starts_at_once = starts_at_once
        return cell.blueprint

    def started(self, *args, **options):
        actor_id = IDS.actor()
        self.hosting.start_at_once(actor_id, self.blueprint(*args, **options))
        return self.population.cell(actor_id)

    async def close(self):
        self.population.close()
        await super().close()


@pytest.fixture
async def stage():
    stage = Hosting()
    yield stage
    await stage.close()


async def test_start_makes_a_cell_and_waits_for_children_of_an_earlier_incarnation(stage):
    actor_id = IDS.actor()
    starting = stage.hosting.start(actor_id, "actor", 3, stage.blueprint, [])
    assert stage.population.cell(actor_id).incarnation == 3  # an order to end the actor finds it from now on
    await starting
    assert stage.told.log == [("children gone", actor_id)]
    assert isinstance(stage.population.cell(actor_id).instance, Plain)


async def test_start_that_raises_is_a_start_error_with_the_traceback_and_ends_what_was_spawned(stage):
    actor_id = IDS.actor()
    with pytest.raises(ActorStartError) as raised:
        await stage.hosting.start(actor_id, "actor", 1, lambda: stage.blueprint(True), [])
    assert str(raised.value) == "actor did not start: ValueError: no such world"
    assert "Remote traceback of the start of actor:" in raised.value.__notes__[0]
    assert ("stop children", actor_id) in stage.told.log


async def test_blueprint_that_can_not_be_made_is_a_start_error_and_leaves_no_cell(stage):
    def blueprint():
        raise ImportError("no module")

    with pytest.raises(ActorStartError, match="actor did not start: ImportError: no module"):
        stage.hosting.start(IDS.actor(), "actor", 1, blueprint, [])
    assert stage.population.cells() == []


async def test_restart_takes_the_old_cell_and_tells_those_who_were_in_hand(stage):
    cell = stage.started()
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.fail(FAILED)
    await stage.hosting.start(cell.actor_id, "actor", 2, pytest.fail, [])
    assert (cell.incarnation, stage.noted.outcomes) == (2, [("hold", "ActorUnavailableError", "maybe")])


async def test_actor_that_waits_to_be_started_again_tells_those_who_were_in_hand_when(stage):
    cell, errors = stage.started(), []
    stage.noted.refuse = lambda message, error: errors.append((str(error), error.__notes__))
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.fail(FAILED)
    stage.hosting.restarts_later(cell.actor_id, 0.5)
    stage.hosting.restarts_later(cell.actor_id, 0.5)
    assert errors == [("actor failed during hold() and is started again in 0.5 s: boom", ["Traceback"])]


async def test_actor_that_ends_for_good_and_leaves_nothing_is_forgotten_at_once(stage):
    cell = stage.started()
    cell.deliver(stage.message("hold"))
    cell.deliver(stage.message("note", call_id=2))
    await stage.settled()
    stage.hosting.kill(cell.actor_id)
    assert stage.population.cells() == []
    assert stage.noted.outcomes == [("hold", "ActorDiedError", "maybe"), ("note", "ActorDiedError", "no")]
    assert stage.told.log == [
        *(("happened", cell.actor_id), ("forget", cell.actor_id), ("exited", 1, "killed", True, True)),
    ]


@pytest.mark.parametrize("are_known", [True, False])
async def test_actor_whose_children_still_end_is_kept_until_it_is_buried(stage, are_known):
    cell = stage.started()
    (stage.told.parents if are_known else stage.told.unknown).add(cell.actor_id)
    stage.hosting.kill(cell.actor_id)
    assert stage.told.log[-1] == ("exited", 1, "killed", True, False)
    assert stage.population.cells() == [cell]
    stage.hosting.bury(cell.actor_id, lambda: ActorDiedError("gone"))
    assert (stage.population.cells(), stage.told.log[-1]) == ([], ("forget", cell.actor_id))


async def test_actor_that_failed_is_kept_with_its_mailbox_until_it_is_buried(stage):
    cell = stage.started()
    cell.deliver(stage.tell("hold"))
    cell.deliver(stage.message("note"))
    await stage.settled()
    cell.fail(FAILED)
    assert (stage.population.cells(), stage.noted.outcomes) == ([cell], [])
    stage.hosting.bury(cell.actor_id, lambda: ActorDiedError("gone"))
    assert (stage.population.cells(), stage.noted.outcomes) == ([], [("note", "ActorDiedError", "no")])


async def test_orders_about_an_actor_that_is_not_here_have_no_effect(stage):
    nobody = IDS.actor()
    stage.hosting.kill(nobody)
    stage.hosting.stop(nobody, SHUTDOWN, is_administrative=True)
    stage.hosting.restarts_later(nobody, 1.0)
    stage.hosting.bury(nobody, pytest.fail)
    assert stage.told.log == []


# In turn


def failed(stage, count, **options):
    cells = [stage.started(**options) for _ in range(count)]
    for cell in cells:
        cell.fail(FAILED)
    stage.told.log.clear()
    return cells


def in_turn(stage, cells):
    actors = [NextIncarnation(cell.actor_id, 2, []) for cell in cells]
    return stage.batches._start(NODE.peer, HostInTurn(authority=NODE, actors=actors))


def hosted(*cells, has_started=True):
    return Hosted(actors=[HostedActor(cell.actor_id, 2, has_started) for cell in cells])


async def test_incarnations_start_in_turn_and_their_authority_hears_of_all_at_once(stage):
    cells = failed(stage, 3)
    await in_turn(stage, cells)
    assert [cell.incarnation for cell in cells] == [2, 2, 2]
    assert stage.told.log == [hosted(*cells)]


async def test_start_that_fails_leaves_those_behind_it_and_those_before_are_told(stage):
    first, second, third = failed(stage, 3)
    second.blueprint.arguments = lambda: ((True,), {})
    with pytest.raises(ActorStartError, match="actor did not start: ValueError: no such world"):
        await in_turn(stage, [first, second, third])
    assert (first.incarnation, third.incarnation) == (2, 1)
    assert stage.told.log == [("stop children", second.actor_id), hosted(first)]
    assert stage.planned.pass_over(third.actor_id) is False  # nothing is planned any more


async def test_order_to_end_an_actor_whose_turn_has_not_come_takes_it_out_of_the_line(stage):
    first, second = failed(stage, 2)
    starting = in_turn(stage, [first, second])
    stage.hosting.stop(second.actor_id, SHUTDOWN, is_administrative=True)
    await starting
    assert (first.incarnation, second.incarnation) == (2, 1)
    assert stage.told.log == [hosted(second, has_started=False), hosted(first)]


async def test_start_that_may_wait_is_waited_for_in_its_turn(stage):
    waiting, other = failed(stage, 2)
    waiting.blueprint.starts_at_once = False
    await in_turn(stage, [waiting, other])
    assert (waiting.incarnation, other.incarnation) == (2, 2)
    assert stage.told.log == [("children gone", waiting.actor_id), hosted(waiting, other)]


async def test_actor_whose_cell_is_gone_can_not_start_in_turn(stage):
    (cell,) = failed(stage, 1)
    stage.population.remove(cell)
    with pytest.raises(ActorStartError, match="an actor can't be started again: its cell is gone"):
        await in_turn(stage, [cell])


async def test_callers_of_what_starts_in_turn_hear_so_before_the_turn(stage):
    cell = stage.started()
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.fail(FAILED)
    starting = in_turn(stage, [cell])
    assert stage.noted.outcomes == [("hold", "ActorUnavailableError", "maybe")]
    await starting


async def test_actors_stop_in_turn_each_when_the_one_before_has_ended(stage):
    busy, idle = stage.started(), stage.started()
    busy.deliver(stage.message("hold"))
    await stage.settled()
    order = StopInTurn(actors=[busy.actor_id, idle.actor_id], reason="a sibling failed", manner=Manner.ORDERLY)
    stopping = stage.scope.start(stage.batches._stop(NODE.peer, order), "stop")
    await stage.settled()
    assert (busy.instance is None, idle.instance is None) == (False, False)
    busy.execution.withdraw(stage.me, 1, is_late=False)
    await stopping
    assert [entry for entry in stage.told.log if entry[0] == "exited"] == [
        *[("exited", 1, "shutdown: a sibling failed", False, False)] * 2,
    ]
