"""Calls from their capture to what ends them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.calling import calls as calls_module
from actorrt.actors.refs.message import message_bytes
from actorrt.actors.refs.ref import CallOptions
from actorrt.actors.refs.route import WAITING_MESSAGES
from actorrt.actors.wire.failures import error_to_data
from actorrt.actors.wire.origins import Origins
from actorrt.config import DEADLINE_VERDICT_S
from actorrt.protocol.envelopes import ASK, CANCEL, TELL
from tests.unit.actors.calling.fakes import ACTOR, HERE, SPECS, THERE, CallingSide, FakeInbox, error_of


@pytest.fixture
def side() -> CallingSide:
    return CallingSide()


def test_ask_leaves_at_once_and_ends_with_its_reply(side: CallingSide) -> None:
    reply = side.ask(side.ref(), 1, "two")
    assert side.sent == [(ASK, 1, ACTOR, "note", (1, "two"), None, None)]
    assert (reply.done(), reply.peer, len(side.table)) == (False, THERE.peer, 1)
    side.arrivals.succeeded(1, [3], ())
    assert (reply.value(), len(side.table)) == (3, 0)
    side.check()


def test_ask_of_an_actor_here_is_a_message_in_its_mailbox(side: CallingSide) -> None:
    inbox = side.host.cells[ACTOR] = FakeInbox()
    reply = side.ask(side.ref(HERE), 1)
    (message,) = inbox.delivered
    assert (message.caller, message.call_id, message.method, message.body) == (side.host.local_caller, 1, "note", (1,))
    assert (reply.peer, side.transport.links) == (HERE.peer, {})
    side.check()


def test_arguments_that_can_not_change_stay_as_they_are_for_an_actor_here(side: CallingSide) -> None:
    inbox = side.host.cells[ACTOR] = FakeInbox()
    ref = side.ref(HERE)
    side.ask(ref)
    text, reply = "x" * 2_000, side.ask(ref, "x" * 2_000)
    assert list(inbox.delivered[1].body) == [text]
    side.arrivals.succeeded(reply.call_id, [None], ())
    assert reply.body == ()  # forgotten with the call


def test_arguments_that_may_change_are_pickled_when_the_call_is_made(side: CallingSide) -> None:
    given = [1, 2]
    reply = side.ask(side.ref(), given, name={"a": 1})
    given.append(3)
    ((*_, body, _, _),) = side.sent
    assert side.payloads.open_call(body, ()) == (([1, 2],), {"name": {"a": 1}})
    assert message_bytes(body, ()) == message_bytes(reply.body, ())


def test_call_ends_with_the_error_that_its_method_raised_and_says_that_it_ran(side: CallingSide) -> None:
    reply = side.ask(side.ref())
    side.arrivals.failed(1, error_to_data(KeyError("k"), "noted.note()"), "yes")
    assert (error_of(reply), reply.error().args) == ((KeyError, "yes"), ("k",))


def test_call_ends_with_an_error_of_the_runtime(side: CallingSide) -> None:
    reply = side.ask(side.ref())
    side.arrivals.failed(1, errors.to_data(errors.MailboxFullError("full", executed="no")), "no")
    assert error_of(reply) == (errors.MailboxFullError, "no")


def test_error_of_a_method_shows_where_it_was_raised_where_that_is_known() -> None:
    side = CallingSide(origins=(origins := Origins()))
    reply = side.ask(side.ref())
    try:
        raise ValueError("wrong")
    except ValueError as error:
        origins.keep(HERE.peer, reply.call_id, error)
        frame = error.__traceback__.tb_frame if error.__traceback__ is not None else None
        side.arrivals.failed(1, error_to_data(error, "noted.note()"), "yes")
    with pytest.raises(ValueError) as caught:
        reply.result(0)
    frames = []
    trace = caught.value.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    assert frame in frames


def test_result_that_can_not_be_opened_ends_its_call_alone(side: CallingSide) -> None:
    reply, other = side.ask(side.ref()), side.ask(side.ref())
    side.arrivals.succeeded(1, b"no pickle", ())
    assert reply.error() is not None
    assert not other.done()


def test_outcome_of_a_call_that_has_ended_is_counted_and_dropped(side: CallingSide) -> None:
    reply = side.ask(side.ref())
    side.arrivals.succeeded(1, [1], ())
    side.arrivals.succeeded(1, [2], ())
    side.arrivals.failed(1, errors.to_data(errors.ActorDiedError("gone")), "no")
    assert (reply.value(), side.table.late_reply_count) == (1, 2)


# Deadlines and cancellation


def test_deadline_withdraws_the_call_and_waits_a_moment_for_the_receivers_verdict(side: CallingSide) -> None:
    reply = side.ask(side.ref(), options=CallOptions(timeout_s=2.0))
    side.loop.advance(1.9)
    assert side.control.delivered == []
    side.loop.advance(0.1)
    assert side.control.delivered == [(THERE, [CANCEL, ACTOR, 1, True])]
    assert not reply.done()
    side.loop.advance(DEADLINE_VERDICT_S)
    assert error_of(reply) == (errors.CallTimeoutError, "maybe")
    assert str(reply.error()) == "noted.note() did not end by its deadline"


def test_verdict_of_a_receiver_on_another_node_may_take_a_round_trip_longer(side: CallingSide) -> None:
    side.transport.round_trips_s[THERE.peer] = 0.5
    reply = side.ask(side.ref(), options=CallOptions(timeout_s=2.0))
    side.loop.advance(2.0)
    side.loop.advance(0.5)
    assert not reply.done()
    side.loop.advance(DEADLINE_VERDICT_S)
    assert error_of(reply) == (errors.CallTimeoutError, "maybe")


def test_deadline_that_the_receiver_answers_ends_as_it_says(side: CallingSide) -> None:
    reply = side.ask(side.ref(), options=CallOptions(timeout_s=2.0))
    side.loop.advance(2.0)
    side.arrivals.failed(1, errors.to_data(errors.CallTimeoutError("late", executed="no")), "no")
    assert (error_of(reply), side.loop.timers) == ((errors.CallTimeoutError, "no"), [])


def test_deadline_of_a_call_that_never_left_is_unexecuted(side: CallingSide) -> None:
    reply = side.ask(side.ref(seen=None), options=CallOptions(timeout_s=2.0))
    side.loop.advance(2.0)
    assert (error_of(reply), side.control.delivered) == ((errors.CallTimeoutError, "no"), [])


def test_timer_of_a_call_ends_with_it(side: CallingSide) -> None:
    side.ask(side.ref(), options=CallOptions(timeout_s=2.0))
    assert [timer.due for timer in side.loop.timers] == [2.0]
    side.arrivals.succeeded(1, [1], ())
    assert side.loop.timers == []


def test_tell_that_waits_ends_at_its_deadline_and_one_that_has_left_has_no_timer(side: CallingSide) -> None:
    left = side.tell(side.ref(), options=CallOptions(timeout_s=2.0))
    waiting = side.tell(side.ref(seen=None, actor=type(ACTOR)(b"b" * 16)), options=CallOptions(timeout_s=2.0))
    assert (left.done(), len(side.loop.timers)) == (True, 1)
    side.loop.advance(2.0)
    assert error_of(waiting) == (errors.CallTimeoutError, "no")
    assert side.dead_letters == [("noted", "note", "noted.note() did not end by its deadline")]


def test_cancelled_call_is_withdrawn_where_it_is(side: CallingSide) -> None:
    reply = side.ask(side.ref())
    reply.cancel()
    reply.cancel()
    assert side.control.delivered == [(THERE, [CANCEL, ACTOR, 1, False])]
    assert (error_of(reply), len(side.table)) == ((errors.CallCancelledError, "maybe"), 0)


def test_cancelled_call_of_an_actor_here_is_withdrawn_at_its_host(side: CallingSide) -> None:
    side.host.cells[ACTOR] = FakeInbox()
    side.ask(side.ref(HERE)).cancel()
    assert side.host.withdrawn == [(ACTOR, 1, False)]


def test_cancelled_call_that_never_left_is_unexecuted(side: CallingSide) -> None:
    reply = side.ask(side.ref(seen=None))
    reply.cancel()
    assert error_of(reply) == (errors.CallCancelledError, "no")


# Retries


def test_call_with_retries_is_sent_again_and_then_says_that_a_copy_may_have_run(side: CallingSide) -> None:
    reply = side.ask(side.ref(), options=CallOptions(retries=1))
    restarting = errors.to_data(errors.ActorUnavailableError("it is being restarted", executed="maybe"))
    side.arrivals.failed(1, restarting, "maybe")
    assert (len(side.sent), reply.is_repeated, reply.attempts_left) == (2, True, 0)
    side.arrivals.failed(1, errors.to_data(errors.ActorDiedError("gone", executed="no")), "no")
    assert error_of(reply) == (errors.ActorDiedError, "maybe")


def test_call_that_ended_its_actor_three_times_is_set_aside(side: CallingSide) -> None:
    reply = side.ask(side.ref(), 7, options=CallOptions(retries=9))
    restarting = errors.to_data(errors.ActorUnavailableError("it is being restarted", executed="maybe"))
    for _ in range(3):
        side.arrivals.failed(1, restarting, "maybe")
    (poison,) = side.table.deaths.set_aside
    assert (poison.method, poison.body, error_of(reply)) == ("note", (7,), (errors.ActorUnavailableError, "maybe"))
    assert len(side.sent) == 3


# Bounds, groups and threads


def test_beyond_what_may_wait_a_call_on_the_loop_is_refused(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    for _ in range(WAITING_MESSAGES):
        side.tell(ref)
    with pytest.raises(errors.MailboxFullError, match="10000 messages wait for noted already"):
        side.ask(ref)
    with pytest.raises(errors.MailboxFullError):
        side.tell(ref)
    assert len(side.table) == 0


def test_of_a_group_the_call_that_finds_no_room_fails_alone(side: CallingSide) -> None:
    full, free = side.ref(seen=None), side.ref(actor=type(ACTOR)(b"b" * 16))
    for _ in range(WAITING_MESSAGES):
        side.tell(full)
    refused, sent = side.calls.ask_all([full, free], SPECS["note"], (1,), {}, CallOptions())
    assert (error_of(refused)[0], sent.done()) == (errors.MailboxFullError, False)
    told, gone = side.calls.tell_all([free, full], SPECS["note"], (1,), {}, CallOptions())
    assert (told.error(), error_of(gone)[0]) == (None, errors.MailboxFullError)


def test_tell_of_a_method_that_yields_is_refused(side: CallingSide) -> None:
    with pytest.raises(TypeError, match=r"count\(\) yields: a tell has no caller that takes the items; call it"):
        side.calls.tell(side.ref(), SPECS["count"], (), {}, CallOptions())


def in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def hand_over(side: CallingSide) -> list[Any]:
    """Keep what other threads wake the loop for; the test runs it."""
    woken: list[Any] = []
    side.loop.call_soon_threadsafe = lambda callback, *_: woken.append(callback)  # type: ignore[method-assign,assignment]
    return woken


def test_calls_of_another_thread_are_handed_over_in_order(side: CallingSide) -> None:
    woken = hand_over(side)
    in_a_thread(lambda: [side.tell(side.ref(), 1), side.ask(side.ref(), 2)])
    assert (side.sent, len(woken), len(side.threads)) == ([], 1, 2)
    woken[0]()
    assert [(kind, body) for kind, _, _, _, body, _, _ in side.sent] == [(TELL, (1,)), (ASK, (2,))]


def test_thread_that_hands_over_faster_than_the_loop_takes_is_held(
    side: CallingSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "HANDED_OVER_COUNT", 3)
    woken = hand_over(side)
    held = threading.Thread(target=lambda: [side.tell(side.ref(), number) for number in range(5)])
    held.start()
    while len(side.threads) < 4:  # three tells, and what the fourth waits for
        pass
    while held.is_alive():
        for take in woken[:]:
            woken.remove(take)
            take()
    for take in woken:
        take()
    assert [body for _, _, _, _, body, _, _ in side.sent] == [(number,) for number in range(5)]


# The end


def test_close_ends_what_is_pending_and_what_is_asked_later(side: CallingSide) -> None:
    pending = side.ask(side.ref())
    gone, later = errors.ActorDiedError("shut down"), errors.RuntimeStateError("too late")
    side.table.close(gone, later)
    asked, told = side.ask(side.ref()), side.tell(side.ref())
    assert (pending.error(), asked.error(), told.error()) == (gone, later, later)


def test_defect_in_what_the_end_of_one_call_brings_about_keeps_no_other_waiting(side: CallingSide) -> None:
    first, second = side.ask(side.ref()), side.ask(side.ref())
    first.add_callback(lambda _: 1 / 0)
    side.table.close(errors.ActorDiedError("shut down"))
    assert second.error() is not None
    assert [type(defect) for defect in side.scope.defects] == [ZeroDivisionError]
