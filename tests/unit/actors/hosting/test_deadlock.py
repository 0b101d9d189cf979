"""Call cycles: how waits are followed, and which call ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actorrt.actors.hosting import deadlock
from actorrt.actors.hosting.deadlock import LOOK_EVERY_S, Deadlocks, Probes
from actorrt.completion import Completion
from actorrt.errors import PeerUnreachableError
from actorrt.ids import IdSource, PeerAddress
from actorrt.machine.clock import ManualClock
from actorrt.protocol.authorities import Sighting
from actorrt.protocol.processes import FindCycle, WaitCycle
from actorrt.scopes import Scope
from tests.unit.records import crashed

IDS = IdSource()
HERE, THERE = IDS.peer(), PeerAddress(IDS.peer(), "memory://there")


class Timers(Scope):
    """A scope whose timers are run by hand."""

    def __init__(self):
        super().__init__("test", crashed)
        self.due = []

    def after(self, delay_s, callback):
        self.due.append((delay_s, callback))

    def run(self):
        due, self.due = self.due, []
        for _, callback in due:
            callback()


class Cell:
    """An actor with what it has in hand, and what waits behind that."""

    def __init__(self, name):
        self.actor_id, self.label = IDS.actor(), name
        self.mailbox = []
        self.execution = self
        self.running = []
        self.is_full = True
        self.left_by = []

    def queued(self, caller, call_id):
        return next((m for m in self.mailbox if m.call_id == call_id and m.caller is caller), None)

    def take_back(self, message):
        self.mailbox.remove(message)
        return True

    def left(self, caller, message):
        self.left_by.append(message.call_id)


class Message:
    def __init__(self, caller, call_id, method, *replies):
        self.caller, self.call_id, self.method = caller, call_id, method
        self.began_at, self.replies = 0.0, replies


class Stage:
    def __init__(self, monkeypatch):
        monkeypatch.setattr(deadlock, "waited_for", lambda message: iter(message.replies))
        self.cells = {}
        self.me, self.clock, self.timers = object(), ManualClock(), Timers()
        self.callers = {HERE: self.me, THERE.peer: object()}
        self.seen = {}
        self.asked, self.answer = [], Completion()
        self.refused = []
        self.probes = Probes(HERE, THERE, self.cells.get, self.callers.get, self.seen.get, {}, self)
        self.deadlocks = Deadlocks(self.probes, self, self.clock, self.timers)

    def handle(self, handler):
        """Requests of others are not what these tests are about."""

    def request(self, to, request):
        self.asked.append((to, request))
        return self.answer

    def refuse(self, message, error):
        self.refused.append((message.call_id, str(error)))

    def cell(self, name):
        cell = Cell(name)
        self.cells[cell.actor_id] = cell
        return cell

    def reply(self, cell, call_id, peer=HERE):
        return SimpleNamespace(ref=SimpleNamespace(_actor_id=cell.actor_id), call_id=call_id, peer=peer)


@pytest.fixture
async def stage(monkeypatch):
    stage = Stage(monkeypatch)
    yield stage
    await stage.timers.close()


def cycle(stage):
    """Return two actors, each of which waits for a call that is queued at the other's, and the queued calls."""
    a, b = stage.cell("a"), stage.cell("b")
    a.running = [Message(stage.me, 1, "first", stage.reply(b, 2))]
    b.running = [Message(stage.me, 2, "second", stage.reply(a, 3))]
    a.mailbox = [Message(stage.me, 3, "third")]
    return a, b


async def test_call_that_waits_for_itself_is_found_with_its_way_round(stage):
    a, _ = cycle(stage)
    found = await stage.probes.behind(a, a.actor_id, {a.actor_id})
    assert found == WaitCycle(peer=HERE, call=3, path=["a.first()", "b.second()", "a.third()"])


async def test_chain_that_may_still_end_is_no_cycle(stage):
    a, b = cycle(stage)
    b.running = [Message(stage.me, 2, "second")]  # it waits for no call
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None


async def test_actor_that_could_take_another_message_closes_no_cycle(stage):
    a, _ = cycle(stage)
    a.is_full = False
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None


async def test_all_that_is_in_hand_has_to_come_round(stage):
    a, _ = cycle(stage)
    a.running = [Message(stage.me, 9, "other"), *a.running]
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None


async def test_cycle_elsewhere_that_does_not_come_round_ends_the_search(stage):
    a, b, c = stage.cell("a"), stage.cell("b"), stage.cell("c")
    a.running = [Message(stage.me, 1, "first", stage.reply(b, 2))]
    b.running = [Message(stage.me, 8, "holds", stage.reply(c, 5))]
    b.mailbox = [Message(stage.me, 2, "second"), Message(stage.me, 6, "sixth")]
    c.running = [Message(stage.me, 5, "fifth", stage.reply(b, 6))]
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None


async def test_call_to_another_endpoint_is_followed_there(stage):
    a, far = stage.cell("a"), Cell("far")
    a.running = [Message(stage.me, 1, "first", stage.reply(far, 2, THERE.peer))]
    stage.seen[far.actor_id] = Sighting(THERE, 1)
    stage.answer.set_value(WaitCycle(peer=THERE.peer, call=3, path=["far.second()", "a.third()"]))
    found = await stage.probes.behind(a, a.actor_id, {a.actor_id})
    assert found.path == ["a.first()", "far.second()", "a.third()"]
    asked = FindCycle(actor=far.actor_id, call=2, start=a.actor_id, seen=[a.actor_id])
    assert stage.asked == [(THERE, asked)]


async def test_endpoint_that_is_gone_answers_nothing(stage):
    a, far = stage.cell("a"), Cell("far")
    a.running = [Message(stage.me, 1, "first", stage.reply(far, 2, THERE.peer))]
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None  # its actor is being sought
    stage.seen[far.actor_id] = Sighting(THERE, 1)
    stage.answer.set_error(PeerUnreachableError("gone"))
    assert await stage.probes.behind(a, a.actor_id, {a.actor_id}) is None


async def look(stage, times):
    for _ in range(times):
        stage.clock.advance(LOOK_EVERY_S)
        stage.timers.run()
        await settled()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_queued_call_of_a_crowded_actor_that_waits_for_itself_ends(stage):
    a, _ = cycle(stage)
    stage.deadlocks.suspect(a)
    stage.deadlocks.suspect(a)
    await look(stage, 1)
    ((call_id, text),) = stage.refused
    assert (call_id, a.mailbox, a.left_by) == (3, [], [3])
    assert text == (
        "a.third() would wait for itself: a.first() -> b.second() -> a.third(); let one of them not wait for the next, "
        "or give a a larger max_concurrency"
    )


async def test_actor_is_looked_at_until_it_is_not_crowded_any_more(stage):
    a = stage.cell("a")
    a.mailbox = [Message(stage.me, 3, "third")]
    a.running = [Message(stage.me, 1, "first")]
    stage.deadlocks.suspect(a)
    await look(stage, 3)
    assert [delay_s for delay_s, _ in stage.timers.due] == [LOOK_EVERY_S]
    a.mailbox.clear()
    await look(stage, 1)
    assert (stage.timers.due, stage.refused) == ([], [])


async def test_message_that_is_in_hand_for_a_short_while_is_not_suspected(stage):
    a, _ = cycle(stage)
    stage.deadlocks.suspect(a)
    stage.clock.advance(LOOK_EVERY_S)
    a.running[0].began_at = stage.clock.now()
    stage.timers.run()
    await settled()
    assert stage.refused == []
