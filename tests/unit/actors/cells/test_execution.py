"""How the messages of one actor are handled: in which order, how many at a time, and how each ends."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.cells.execution import STEP_BUDGET
from actorrt.actors.refs.message import Message
from actorrt.completion import Completion
from actorrt.errors import CallTimeoutError
from actorrt.protocol.hosts import CallState
from tests.unit.actors.cells.stage import Caller


class Worker:
    def __init__(self):
        self.gate = Completion()
        self.noted = []

    def note(self, item):
        self.noted.append(item)
        return len(self.noted)

    def boom(self):
        raise ValueError("no")

    def out_of_memory(self):
        raise MemoryError("too large")

    async def at_once(self):
        return "at once"

    async def wait(self):
        await self.gate
        return "opened"

    async def sleep(self):
        await asyncio.Event().wait()

    async def stubborn(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "stayed"

    async def raise_when_cancelled(self):
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("in a finally")

    def count(self, n):
        yield from range(n)

    def on_down(self, down):
        self.noted.append(("down", down))


async def test_messages_are_handled_in_their_order_and_never_in_the_senders_stack(stage):
    cell = stage.running(Worker)
    for n in (1, 2, 3):
        cell.deliver(stage.message("note", n))
    assert cell.instance.noted == []
    await stage.settled()
    assert (cell.instance.noted, stage.noted.outcomes) == ([1, 2, 3], [("note", 1), ("note", 2), ("note", 3)])


async def test_exception_of_an_ask_ends_that_call_and_one_of_a_tell_the_incarnation(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("boom"))
    cell.deliver(stage.message("note", 1))
    await stage.settled()
    assert stage.noted.outcomes == [("boom", "ValueError: no"), ("note", 1)]
    cell.deliver(stage.tell("boom"))
    await stage.settled()
    assert stage.noted.events[-1] == ("exited", 1, "error: ValueError: no", False)


async def test_exception_that_crash_on_names_fails_the_actor_and_its_call_waits_to_be_told(stage):
    cell = stage.running(Worker, crash_on=MemoryError)
    cell.deliver(stage.message("out_of_memory"))
    await stage.settled()
    assert (stage.noted.outcomes, stage.noted.events[-1][0]) == ([], "exited")
    assert [message.method for message in cell.take_interrupted()] == ["out_of_memory"]


async def test_coroutine_that_never_waits_is_over_at_its_first_step(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("at_once"))
    await stage.settled()
    assert (stage.noted.outcomes, cell.execution.running) == ([("at_once", "at once")], [])


async def test_message_behind_a_coroutine_waits_until_it_has_ended(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("wait"))
    cell.deliver(stage.message("note", 1))
    await stage.settled()
    assert (stage.noted.outcomes, cell.execution.is_full, len(cell.mailbox)) == ([], True, 1)
    assert ("crowded",) in stage.noted.events
    cell.instance.gate.set_value(None)
    await stage.settled()
    assert stage.noted.outcomes == [("wait", "opened"), ("note", 1)]
    assert cell.execution.is_at_rest


async def test_as_many_coroutines_interleave_as_max_concurrency_says(stage):
    cell = stage.running(Worker, max_concurrency=2)
    for n in (1, 2, 3):
        cell.deliver(stage.message("sleep", call_id=n))
    await stage.settled()
    assert ([message.call_id for message in cell.execution.running], len(cell.mailbox)) == ([1, 2], 1)
    cell.execution.withdraw(stage.me, 1, is_late=False)
    await stage.settled()
    assert [message.call_id for message in cell.execution.running] == [2, 3]


async def test_long_mailbox_is_handled_in_parts_and_others_have_their_turn_between(stage):
    crowded, other = stage.running(Worker), stage.running(Worker)
    noted = crowded.instance.noted = other.instance.noted = []
    for n in range(STEP_BUDGET + 1):
        crowded.deliver(stage.tell("note", n))
    other.deliver(stage.tell("note", "another actor's"))
    await stage.settled()
    assert noted == [*range(STEP_BUDGET), "another actor's", STEP_BUDGET]


async def test_message_whose_deadline_has_passed_is_not_handled(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("note", 1, deadline=5.0))
    stage.clock.advance(5.0)
    await stage.settled()
    assert (cell.instance.noted, stage.noted.outcomes) == ([], [("note", "CallTimeoutError", "no")])


async def test_coroutine_is_cancelled_at_its_deadline(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("sleep", deadline=0.001))
    while not stage.noted.outcomes:
        await asyncio.sleep(0)
    assert stage.noted.outcomes == [("sleep", "CallTimeoutError", "maybe")]


async def test_call_that_is_withdrawn_while_it_is_queued_never_runs(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("note", 1, call_id=7))
    assert cell.execution.withdraw(stage.me, 7, is_late=False) is True
    assert cell.execution.withdraw(stage.me, 7, is_late=False) is False
    await stage.settled()
    assert (cell.instance.noted, stage.noted.outcomes) == ([], [("note", "CallCancelledError", "no")])


async def test_call_of_another_caller_with_the_same_number_is_not_withdrawn(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("sleep", call_id=7))
    await stage.settled()
    assert cell.execution.withdraw(Caller(), 7, is_late=False) is False


@pytest.mark.parametrize(
    ("method", "outcome"),
    [
        ("sleep", ("sleep", "CallCancelledError", "maybe")),
        ("stubborn", ("stubborn", "stayed")),
        ("raise_when_cancelled", ("raise_when_cancelled", "KeyError: 'in a finally'")),
    ],
)
async def test_coroutine_that_is_withdrawn_is_cancelled_and_harms_no_later_message(stage, method, outcome):
    cell = stage.running(Worker)
    cell.deliver(stage.message(method))
    await stage.settled()
    cell.execution.withdraw(stage.me, 1, is_late=False)
    cell.deliver(stage.message("note", 1))
    await stage.settled()
    assert stage.noted.outcomes == [outcome, ("note", 1)]


async def test_calls_of_a_caller_that_is_gone_are_dropped_and_its_tells_are_handled(stage):
    cell, gone = stage.running(Worker), Caller()
    cell.deliver(stage.message("sleep", caller=gone))
    await stage.settled()
    cell.deliver(stage.message("note", 1, caller=gone, call_id=2))
    cell.deliver(stage.message("note", 2, caller=gone, call_id=0))
    cell.withdraw_all(gone)
    await stage.settled()
    assert cell.instance.noted == [2]
    assert stage.noted.outcomes == [("sleep", "CallCancelledError", "maybe")]


async def test_unknown_method_is_not_run_and_the_actor_lives_on(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("missing"))
    cell.deliver(stage.message("note", 1))
    await stage.settled()
    (method, what, why), rest = stage.noted.outcomes
    assert (method, what, rest) == ("missing", "unopened", ("note", 1))
    assert "Worker has no public method 'missing'" in why


async def test_hook_of_a_signal_is_called_in_the_order_of_the_messages(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.tell("note", 1))
    cell.signal("on_down", "somebody")
    cell.deliver(stage.tell("note", 2))
    await stage.settled()
    assert cell.instance.noted == [1, ("down", "somebody"), 2]


async def test_method_that_yields_is_served(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("count", 3))
    await stage.settled()
    assert stage.noted.outcomes == [("count", [0, 1, 2])]


async def test_second_call_of_a_key_does_not_run(stage):
    cell = stage.running(Worker)
    for call_id in (1, 2):
        cell.deliver(stage.message("note", "once", call_id=call_id, options={"key": "k"}))
    await stage.settled()
    assert cell.instance.noted == ["once"]


async def test_call_is_explained_by_where_it_is(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("sleep", call_id=1))
    await stage.settled()
    cell.deliver(stage.message("note", 1, call_id=2))
    stage.clock.advance(3.0)
    explain = cell.execution.explain
    assert explain(stage.me, 1) == CallState(state="running", seconds=3.0)
    assert explain(stage.me, 2) == CallState(state="queued", ahead=0, in_hand="sleep() is in hand since 3 s")
    assert explain(stage.me, 3) == CallState(state="unknown")


async def test_what_is_broken_off_is_not_told_but_kept(stage):
    cell = stage.running(Worker, max_concurrency=2)
    cell.deliver(stage.message("sleep", call_id=1))
    cell.deliver(stage.message("sleep", call_id=0))
    await stage.settled()
    cell.execution.break_off(CallTimeoutError("it ends"))
    await stage.settled()
    assert [message.call_id for message in cell.execution.interrupted] == [1]
    assert [outcome for outcome in stage.noted.outcomes if outcome[0] == "sleep"] == [
        ("sleep", "CallTimeoutError", "maybe")
    ]


async def test_cell_is_told_at_the_next_message_if_one_is_in_hand(stage):
    cell = stage.running(Worker)
    cell.deliver(stage.message("note", 1))
    await stage.settled()
    assert cell.execution.call_at_next() is False
    cell.deliver(stage.message("wait"))
    await stage.settled()
    assert (cell.execution.call_at_next(), cell.execution.milestone) == (True, 2)


def test_message_weighs_what_it_carries():
    assert Message(None, 0, "m", ("abc",), (b"12345",), None, None).size_bytes == 64 + 3 + 5
