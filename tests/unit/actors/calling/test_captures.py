"""How calls are made: their deadlines, and results that stay in the store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.refs import current
from actorrt.actors.refs.ref import CallOptions
from actorrt.actors.refs.reply import ReplySentError
from actorrt.ids import ObjectId
from actorrt.protocol.authorities import Sighting
from tests.unit.actors.calling.fakes import HERE, SPECS, THERE, CallingSide, FakeInbox


class FakeStore:
    """Declares results, and notes those that can never be."""

    def __init__(self) -> None:
        self.failed: list[tuple[ObjectId, BaseException]] = []

    def declare(self, object_id: ObjectId) -> Any:
        return SimpleNamespace(id=object_id)

    def fail(self, object_id: ObjectId, error: BaseException) -> None:
        self.failed.append((object_id, error))


def test_call_that_a_method_makes_has_the_methods_deadline_or_an_earlier_one() -> None:
    side = CallingSide()
    in_hand: Any = SimpleNamespace(deadline=5.0, is_over=False)
    token = current.message.set(in_hand)
    try:
        replies = [side.ask(side.ref(), options=CallOptions(timeout_s=timeout_s)) for timeout_s in (None, 2.0, 9.0)]
        in_hand.is_over = True
        replies.append(side.ask(side.ref()))
    finally:
        current.message.reset(token)
    assert [reply.deadline for reply in replies] == [5.0, 2.0, 5.0, None]
    assert [reply.parent for reply in replies] == [in_hand, in_hand, in_hand, None]


def test_seconds_that_are_left_travel_with_a_call() -> None:
    side = CallingSide()
    side.loop.advance(100.0)
    side.ask(side.ref(), options=CallOptions(timeout_s=2.0))
    assert side.sent[0][5] == 2.0


def test_options_beyond_the_deadline_travel_with_a_call() -> None:
    side = CallingSide()
    for options in (CallOptions(key="k"), CallOptions(retries=2), CallOptions(key="k", retries=2)):
        side.ask(side.ref(), options=options)
    assert [envelope[6] for envelope in side.sent] == [{"key": "k"}, {"retry": True}, {"retry": True, "key": "k"}]


def test_result_that_stays_in_the_store_is_named_in_the_call_and_fails_with_it() -> None:
    store = FakeStore()
    side = CallingSide(store)
    ref = side.ask(side.ref(), options=CallOptions(returns="ref"))
    kept = side.ask(side.ref(), options=CallOptions(returns="ref", key="k"))
    assert [envelope[6] for envelope in side.sent] == [{"into": ref.id}, {"key": "k", "into": kept.id}]
    side.arrivals.succeeded(2, [None], ())
    side.arrivals.failed(1, errors.to_data(errors.ActorDiedError("it is gone")), "maybe")
    ((failed, error),) = store.failed
    assert (failed, str(error)) == (ref.id, "it is gone")


def test_result_can_not_stay_in_a_store_that_is_not_there() -> None:
    side = CallingSide()
    with pytest.raises(errors.RuntimeStateError, match="this process has no object store"):
        side.ask(side.ref(), options=CallOptions(returns="ref"))
    assert side.sent == []


def test_group_shares_one_capture_of_its_arguments() -> None:
    side = CallingSide()
    one, two = side.calls.ask_all([side.ref(), side.ref()], SPECS["note"], ([1],), {}, CallOptions())
    assert one.body is two.body
    assert len(side.sent) == 2


def test_arguments_that_were_to_stay_here_are_pickled_for_an_actor_that_has_moved() -> None:
    side = CallingSide()
    side.host.cells[side.ref()._actor_id] = FakeInbox(room=0)
    ref = side.ref(HERE)
    side.routes.of(ref)
    side.ask(ref, "x" * 2_000)
    del side.host.cells[ref._actor_id]
    side.routes.forget(ref._actor_id)

    side.control.asked[0].set_value(Sighting(THERE, 2))
    ((*_, body, _, _),) = side.sent
    assert side.payloads.open_call(body, ()) == (("x" * 2_000,), {})


def test_reply_can_not_be_sent() -> None:
    side = CallingSide()
    reply = side.ask(side.ref())
    with pytest.raises(ReplySentError, match=r"the reply of noted.note\(\) can't be sent; await it first"):
        reply.__reduce__()
