"""The outcome of each message: to its caller, to those with its key, or to the dead letters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actorrt.actors.cells.deduplication import Deduplication
from actorrt.actors.hosting.message_outcomes import MessageOutcomes
from actorrt.actors.refs.message import Message, Signal, Tick
from actorrt.errors import ActorDiedError, CallCancelledError, MailboxFullError


class Caller:
    def __init__(self):
        self.is_far = False
        self.got = []
        self.refused = None  # what a result raises

    def succeed(self, call_id, value):
        if self.refused is not None:
            error, self.refused = self.refused, None
            raise error
        self.got.append((call_id, value))

    def fail(self, call_id, error, where, executed):
        self.got.append((call_id, str(error), where, executed))

    def refuse(self, call_id, error):
        self.got.append((call_id, error))


class Cell:
    label = "actor"

    def __init__(self, outcomes):
        self.deduplication = Deduplication(lambda value: value, outcomes.answer)
        self.delivered = []
        self.left_by = []
        self.mailbox = SimpleNamespace(queued_bytes=640)

    def deliver(self, message):
        self.delivered.append(message.call_id)

    def left(self, caller, message):
        self.left_by.append((caller, message.call_id))


class Stage:
    """Outcomes, and who hears of them."""

    def __init__(self):
        self.letters = []
        self.released = []
        self.stored = {}
        self.outcomes = MessageOutcomes(self, self, self)
        self.cell, self.caller = Cell(self.outcomes), Caller()

    def add(self, actor, method, why):
        self.letters.append((actor, method, why))

    def release(self, body, buffers):
        self.released.append(body)

    def put(self, value, object_id):
        self.stored[object_id] = value
        return ("ref to", object_id)

    def message(self, call_id=1, options=None):
        message = Message(self.caller, call_id, "step", ("x",), (), None, options)
        message.cell = self.cell
        return message


@pytest.fixture
def stage():
    return Stage()


def test_result_goes_to_the_caller_and_that_of_a_tell_nowhere(stage):
    stage.outcomes.answer(stage.message(), 7)
    stage.outcomes.answer(stage.message(call_id=0), 8)
    assert stage.caller.got == [(1, 7)]


def test_result_that_can_not_be_sent_is_the_calls_error(stage):
    stage.caller.refused = TypeError("can't pickle that")
    stage.outcomes.answer(stage.message(), object())
    assert stage.caller.got == [(1, "can't pickle that", "actor.step()", "yes")]


def test_result_that_is_to_stay_in_the_store_is_put_there(stage):
    stage.outcomes.succeed(stage.message(options={"into": b"id"}), 7)
    assert (stage.stored, stage.caller.got) == ({b"id": 7}, [(1, None)])
    stage.caller.is_far = True
    stage.outcomes.succeed(stage.message(2, {"into": b"id"}), 8)
    assert stage.caller.got[-1] == (2, ("ref to", b"id"))


def test_result_for_a_store_that_is_not_there_is_an_error(stage):
    stage.outcomes._store = None
    stage.outcomes.succeed(stage.message(options={"into": b"id"}), 7)
    ((call_id, text, where, executed),) = stage.caller.got
    assert text.startswith("this process has no object store")
    assert (call_id, where, executed) == (1, "actor.step()", "yes")


def keyed(stage, *call_ids):
    messages = [stage.message(call_id, {"key": "k"}) for call_id in call_ids]
    for message in messages:
        stage.cell.deduplication.is_first(message, "k")
    return messages


def test_result_is_that_of_all_calls_of_its_key(stage):
    first, _ = keyed(stage, 1, 2)
    stage.outcomes.succeed(first, 7)
    assert stage.caller.got == [(2, 7), (1, 7)]


def test_error_is_that_of_all_calls_of_its_key(stage):
    first, _ = keyed(stage, 1, 2)
    stage.outcomes.fail(first, ValueError("no"))
    assert stage.caller.got == [(n, "no", "actor.step()", "yes") for n in (1, 2)]


@pytest.mark.parametrize("how", ["refuse", "unopened"])
def test_call_that_did_not_run_leaves_its_key_to_the_next(stage, how):
    first, _ = keyed(stage, 1, 2)
    error = CallCancelledError("withdrawn") if how == "refuse" else ValueError("no")
    getattr(stage.outcomes, how)(first, error)
    assert stage.cell.delivered == [2]


def test_refused_call_is_told_its_caller_and_a_refused_tell_is_a_dead_letter(stage):
    error = CallCancelledError("withdrawn")
    stage.outcomes.refuse(stage.message(), error)
    stage.outcomes.refuse(stage.message(call_id=0), error)
    assert stage.caller.got == [(1, error)]
    assert (stage.letters, stage.released) == ([("actor", "step", "withdrawn")], [("x",)])


@pytest.mark.parametrize("make", [lambda: Tick("step", ()), lambda: Signal("on_down", ())])
def test_tick_or_signal_of_an_actor_that_has_ended_is_no_dead_letter(stage, make):
    message = make()
    message.cell = stage.cell
    stage.outcomes.refuse(message, ActorDiedError("gone"))
    assert stage.letters == []
    stage.outcomes.refuse(message, MailboxFullError("full"))
    assert stage.letters == [("actor", message.method, "full")]


def test_message_whose_arguments_can_not_be_opened_did_not_run(stage):
    error = ValueError("no such class")
    stage.outcomes.unopened(stage.message(), error)
    stage.outcomes.unopened(stage.message(call_id=0), error)
    assert stage.caller.got == [(1, "no such class", "opening the arguments of actor.step()", "no")]
    assert stage.letters == [("actor", "step", "its arguments can't be opened: ValueError: no such class")]


def test_tell_to_an_actor_that_is_not_here_is_a_dead_letter_and_gives_back_what_it_carries(stage):
    stage.outcomes.stray_tell("1f2e", "step", [1], ())
    assert (stage.letters, stage.released) == ([("1f2e", "step", "the actor is not here")], [[1]])


def test_message_that_finds_the_mailbox_full_is_refused_and_its_sender_may_send_more(stage):
    stage.cell.mailbox = type("Mailbox", (), {"__len__": lambda _: 10, "queued_bytes": 640})()
    stage.outcomes.overflowed(stage.cell, stage.message())
    ((call_id, error),) = stage.caller.got
    assert (call_id, stage.cell.left_by) == (1, [(stage.caller, 1)])
    full = "the mailbox of actor holds 10 messages (640 bytes)"
    text = f"{full}; wait for replies, or raise mailbox_messages or mailbox_bytes"
    assert (type(error), str(error)) == (MailboxFullError, text)
