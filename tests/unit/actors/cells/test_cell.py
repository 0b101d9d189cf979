"""The life of a hosted actor: how incarnations begin and end, and what becomes of its messages then."""

from __future__ import annotations

import asyncio

import pytest

from actorrt import reasons
from actorrt.actors.cells.cell import Cell
from actorrt.actors.cells.cell_state import CellState
from actorrt.errors import ActorStartError
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.cells.stage import Caller

FAILED = ExitReason(ExitKind.ERROR, "boom")


class Plain:
    def __init__(self, start=0):
        self.value = start

    async def on_start(self):
        pass

    def add(self, by):
        self.value += by
        return self.value

    def boom(self):
        raise ValueError("no")

    async def hold(self):
        await asyncio.Event().wait()


class Careful(Plain):
    stopped = ()

    async def on_stop(self, reason):
        await asyncio.sleep(0)
        type(self).stopped = (*self.stopped, str(reason))


class Broken:
    def __init__(self):
        raise ValueError("no such world")


async def test_cell_has_no_mailbox_until_a_message_comes(stage):
    cell = stage.running(Plain)
    assert (cell.mailbox, cell.execution, stage.noted.events) == (None, None, [])
    cell.deliver(stage.message("add", 2))
    assert [event[0] for event in stage.noted.events] == ["allocated"]
    await stage.settled()
    assert (stage.noted.outcomes, cell.handled_count) == ([("add", 2)], 1)


async def test_first_message_of_each_incarnation_is_told_and_no_other(stage):
    cell = stage.running(Plain)
    for _ in range(3):
        cell.deliver(stage.message("add", 1))
    await stage.settled()
    cell.fail(FAILED)
    cell.start_at_once(2)
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    told = [event for event in stage.noted.events if event[0] == "handled first"]
    assert told == [("handled first", 1), ("handled first", 2)]
    assert stage.noted.outcomes == [("add", 1), ("add", 2), ("add", 3), ("add", 1)]
    assert cell.handled_count == 1


async def test_messages_wait_for_the_start_and_are_handled_after_it(stage):
    cell = stage.cell(Plain, 10)
    cell.begin(1)
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    assert stage.noted.outcomes == []
    await cell.start()
    await stage.settled()
    assert (cell.state, stage.noted.outcomes) == (CellState.RUNNING, [("add", 11)])


async def test_start_that_raises_leaves_a_failed_cell_without_an_instance(stage):
    cell = stage.cell(Broken)
    with pytest.raises(ValueError, match="no such world"):
        cell.start_at_once(1)
    assert (cell.state, cell.instance, stage.noted.events) == (CellState.FAILED, None, [])


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda cell: cell.kill(), "actor was killed while it started"),
        (
            lambda cell: cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=True),
            "actor was stopped while it started: shutdown",
        ),
        (lambda cell: cell.fail(FAILED), "actor failed while it started: error: boom"),
    ],
)
async def test_end_that_comes_before_the_start_breaks_the_start_off(stage, end, text):
    cell = stage.cell(Plain)
    cell.begin(1)
    end(cell)
    with pytest.raises(ActorStartError) as raised:
        await cell.start()
    assert (str(raised.value), cell.state) == (text, CellState.FAILED)


async def test_failure_ends_the_incarnation_and_keeps_what_waits_for_the_next(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.tell("boom"))
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    assert (cell.state, cell.instance, stage.noted.outcomes) == (CellState.FAILED, None, [])
    assert [event[:2] for event in stage.noted.events if event[0] == "exited"] == [("exited", 1)]
    cell.start_at_once(2)
    await stage.settled()
    assert (cell.incarnation, stage.noted.outcomes) == (2, [("add", 1)])


async def test_failure_is_reported_once(stage):
    cell = stage.running(Plain)
    cell.fail(FAILED)
    cell.fail(FAILED)
    assert stage.noted.events == [("exited", 1, "error: boom", False)]


async def test_orderly_stop_drains_and_then_runs_on_stop(stage):
    Careful.stopped = ()
    cell = stage.running(Careful)
    cell.deliver(stage.message("add", 1))
    cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=True)
    assert cell.state is CellState.STOPPING
    await stage.settled()
    assert (stage.noted.outcomes, Careful.stopped, cell.state) == ([("add", 1)], ("shutdown",), CellState.ENDED)
    assert stage.noted.events[-1] == ("exited", 1, "shutdown", True)


async def test_message_that_comes_during_an_administrative_stop_is_refused(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=True)
    other = Caller()
    cell.deliver(stage.message("add", 1, caller=other))
    assert stage.noted.outcomes == [("add", "ActorDiedError", "no")]


async def test_message_that_comes_during_a_stop_for_a_restart_waits(stage):
    cell = stage.running(Plain)
    cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=False, manner=Manner.FOR_RESTART)
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    assert (cell.state, stage.noted.outcomes, len(cell.mailbox)) == (CellState.FAILED, [], 1)


async def test_stop_for_a_restart_tells_those_in_hand_at_once_and_handles_nothing_more(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("hold"))
    cell.deliver(stage.message("add", 1, call_id=2))
    await stage.settled()
    cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=False, manner=Manner.FOR_RESTART)
    assert ("settled", ["hold"]) in stage.noted.events
    await stage.settled()
    assert (cell.state, stage.noted.outcomes) == (CellState.FAILED, [])


async def test_stop_at_once_leaves_those_in_hand_to_whoever_decides(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.stop(reasons.SHUTDOWN, 5.0, is_administrative=True, manner=Manner.AT_ONCE)
    await stage.settled()
    assert (cell.state, stage.noted.outcomes) == (CellState.ENDED, [])
    assert [message.method for message in cell.take_interrupted()] == ["hold"]
    assert cell.take_interrupted() == ()


async def test_stop_whose_time_is_over_ends_with_what_it_did_not_finish(stage):
    cell = stage.running(Plain, shutdown_s=3)
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.stop(ExitReason(ExitKind.SHUTDOWN, "no more"), 0.0, is_administrative=True)
    while cell.state is not CellState.ENDED:
        await asyncio.sleep(0)
    detail = "shutdown: no more, and its 3 s to drain were over"
    assert stage.noted.events[-1] == ("exited", 1, detail, True)


async def test_kill_ends_at_once_and_for_good_whatever_is_in_hand(stage):
    cell = stage.running(Careful)
    cell.deliver(stage.message("hold"))
    cell.deliver(stage.message("add", 1, call_id=2))
    await stage.settled()
    cell.kill()
    assert (cell.state, cell.instance) == (CellState.ENDED, None)
    assert stage.noted.events[-1] == ("exited", 1, "killed", True)
    assert [message.method for message in cell.take_queued()] == ["add"]
    cell.kill()
    assert stage.noted.events[-1] == ("exited", 1, "killed", True)


async def test_kill_of_what_has_failed_says_nothing_more(stage):
    cell = stage.running(Plain)
    cell.fail(FAILED)
    cell.kill()
    assert (cell.state, len(stage.noted.events)) == (CellState.ENDED, 1)


async def test_mailbox_is_dropped_when_idle_and_the_count_goes_on(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("add", 1))
    assert cell.drop_mailbox() is False  # it is scheduled
    await stage.settled()
    assert (cell.drop_mailbox(), cell.mailbox, cell.execution, cell.handled_count) == (True, None, None, 1)
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    assert (cell.handled_count, [event[0] for event in stage.noted.events].count("handled first")) == (2, 1)


async def test_mailbox_that_has_a_past_is_not_dropped(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("add", 1, caller=Caller()))  # another process has credit
    await stage.settled()
    assert cell.drop_mailbox() is False


async def test_calls_that_were_in_hand_keep_the_mailbox_until_their_callers_are_told(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("hold"))
    await stage.settled()
    cell.fail(FAILED)
    await stage.settled()
    assert cell.drop_mailbox() is False
    assert [message.method for message in cell.take_interrupted()] == ["hold"]
    assert cell.drop_mailbox() is True


async def test_sender_of_another_process_is_granted_more_when_its_messages_are_taken(stage):
    cell, other = stage.running(Plain, mailbox_messages=32), Caller()
    for n in range(40):
        cell.deliver(stage.message("add", n, caller=other))
    await stage.settled()
    assert other.granted[-1] == (72, 0)
    cell.resettled(other, 5)
    assert other.granted[-1] == (32, 5)


async def test_route_that_waits_for_room_is_told_whenever_a_message_has_left(stage):
    cell = stage.running(Plain, mailbox_messages=1)
    cell.deliver(stage.message("add", 1))
    assert cell.has_room is False
    cell.await_room("the route")
    await stage.settled()
    assert (cell.has_room, stage.noted.events.count(("send waiting", "the route"))) == (True, 1)


async def test_buried_cell_gives_its_execution_back(stage):
    cell = stage.running(Plain)
    cell.deliver(stage.message("add", 1))
    await stage.settled()
    cell.kill()
    cell.buried()
    assert cell.execution is None


def test_cell_has_few_fields_since_there_may_be_a_million_in_a_process():
    assert len(Cell.__slots__) <= 19
