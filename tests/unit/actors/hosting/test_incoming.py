"""What other endpoints send to the actors of this one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actorrt.actors.hosting.incoming import EARLY_CANCELS_COUNT, Incoming
from actorrt.actors.hosting.population import Population
from actorrt.ids import IdSource, short
from actorrt.machine.clock import ManualClock
from actorrt.protocol.envelopes import ASK, TELL

IDS = IdSource()
PEER = IDS.peer()


class Caller:
    def __init__(self, peer):
        self.peer = peer
        self.said = []

    def not_here(self, call_id, actor_id):
        self.said.append(("not here", call_id, actor_id))

    def cut_off(self):
        self.said.append("cut off")


class Cell:
    def __init__(self):
        self.actor_id, self.label = IDS.actor(), "actor"
        self.got = []
        self.mailbox = None
        self.execution = self
        self.withdrawn = True

    def deliver(self, message):
        self.got.append((message.method, message.body, message.deadline, message.caller))

    def turned_away(self, message):
        self.got.append(("turned away", message.method))

    def resettled(self, caller, settlement):
        self.got.append(("resettled", caller.peer, settlement))

    def withdraw(self, caller, call_id, is_late):
        self.got.append(("withdraw", call_id, is_late))
        return self.withdrawn

    def withdraw_all(self, caller):
        self.got.append(("withdraw all", caller.peer))


class Stage:
    def __init__(self):
        self.log = []
        self.population = Population(ManualClock())
        self.clock = ManualClock(100.0)
        self.incoming = Incoming(self.population, self, self, self.clock, Caller, "the endpoint itself", "streams")
        self.cell = Cell()
        self.population.add(self.cell.actor_id, self.cell)

    def drain_begins(self):
        self.log.append("drain begins")

    def refuse(self, message, error):
        self.log.append((message.method, type(error).__name__, error.executed))

    def stray_tell(self, actor, method, body, buffers):
        self.log.append(("stray", actor, method))

    def ask(self, call_id=1, actor_id=None, kind=ASK, left=None):
        envelope = [kind, call_id, actor_id or self.cell.actor_id, "step", [1], left, None]
        self.incoming.received(PEER, envelope, ())


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.population.close()


def test_call_is_delivered_with_its_deadline_by_this_clock(stage):
    stage.ask(left=2.5)
    caller = stage.incoming.caller(PEER)
    assert (stage.cell.got, stage.log) == ([("step", [1], 102.5, caller)], ["drain begins"])


def test_calls_of_one_endpoint_have_one_caller(stage):
    stage.ask()
    stage.ask(2)
    (_, _, deadline, first), (*_, second) = stage.cell.got
    assert (deadline, first is second, first.peer) == (None, True, PEER)


def test_caller_hears_that_an_actor_is_not_here_and_a_tell_is_a_dead_letter_besides(stage):
    nobody = IDS.actor()
    stage.ask(7, nobody)
    stage.ask(0, nobody, kind=TELL)
    stage.incoming.resettled(PEER, nobody, 3)
    said = [("not here", 7, nobody), ("not here", 0, nobody), ("not here", 0, nobody)]
    assert (stage.incoming.caller(PEER).said, stage.log) == (said, [("stray", short(nobody), "step")])


def test_settlement_reaches_the_cell(stage):
    stage.incoming.resettled(PEER, stage.cell.actor_id, 3)
    assert stage.cell.got == [("resettled", PEER, 3)]


def test_cancel_withdraws_the_call(stage):
    stage.ask(7)
    stage.incoming.cancelled(PEER, stage.cell.actor_id, 7, True)
    assert (stage.cell.got[1:], stage.incoming.early_cancels_count) == ([("withdraw", 7, True)], 0)


@pytest.mark.parametrize(("is_late", "error"), [(False, "CallCancelledError"), (True, "CallTimeoutError")])
def test_cancel_that_overtakes_its_call_is_remembered_until_the_call_comes(stage, is_late, error):
    stage.incoming.cancelled(PEER, stage.cell.actor_id, 7, is_late)
    assert stage.incoming.early_cancels_count == 1
    stage.ask(7)
    assert (stage.cell.got, stage.log) == ([("turned away", "step")], ["drain begins", ("step", error, "no")])
    assert stage.incoming.early_cancels_count == 0


def test_early_cancels_are_bounded(stage):
    for call_id in range(EARLY_CANCELS_COUNT + 1):
        stage.incoming.cancelled(PEER, stage.cell.actor_id, call_id, False)
    assert stage.incoming.early_cancels_count == EARLY_CANCELS_COUNT
    stage.ask(0)
    assert stage.cell.got[-1][0] == "step"


def test_calls_of_a_process_that_is_gone_are_withdrawn_from_cells_with_a_mailbox(stage):
    other = Cell()
    stage.population.add(other.actor_id, other)
    stage.population.allocated(stage.cell)
    stage.ask()
    stage.incoming.caller_lost(PEER)
    stage.incoming.caller_lost(PEER)
    assert (stage.cell.got[1:], other.got, stage.incoming.caller(PEER)) == ([("withdraw all", PEER)], [], None)


def test_caller_that_is_cut_off_is_told_so_and_stays(stage):
    stage.incoming.caller_cut_off(PEER)  # it has never called
    stage.ask()
    stage.incoming.caller_cut_off(PEER)
    assert stage.incoming.caller(PEER).said == ["cut off"]


def test_withdrawal_from_a_cell_that_has_nothing_finds_nothing(stage):
    stage.cell.execution = None
    assert stage.incoming.withdraw(SimpleNamespace(), stage.cell.actor_id, 1, False) is False
    assert stage.incoming.withdraw(SimpleNamespace(), IDS.actor(), 1, False) is False
