"""How calls end whose results are in the store, when the store or the node is lost meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.refs.ref import CallOptions
from actorrt.completion import Completion
from actorrt.ids import ObjectId
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.calling.fakes import CallingSide

STORED = {"object": b"o" * 16, "token": b"t" * 24}
NODE_LOST = errors.ActorDiedError("the node is lost", reason=ExitReason(ExitKind.NODE_LOST, "it ended"))


class FakeStore:
    """Has one object, which the test seals or loses; `refusal` is what asking for it raises."""

    def __init__(self) -> None:
        self.object: Completion[Any] = Completion()
        self.refusal: Exception | None = None
        self.is_gone = False

    def ref(self, _: ObjectId, __: bytes | None = None) -> Completion[Any]:
        if self.refusal is not None:
            raise self.refusal
        return self.object


def lost() -> errors.ObjectLostError:
    return errors.ObjectLostError("the store is gone")


def test_result_in_the_store_ends_its_call_when_it_is_sealed() -> None:
    store = FakeStore()
    side = CallingSide(store)
    reply = side.ask(side.ref())
    side.arrivals.succeeded(1, STORED, ())
    assert not reply.done()
    store.object.set_value("big")
    side.scope.run()
    assert reply.value() == "big"
    side.arrivals.close(NODE_LOST)
    assert reply.error() is None


def test_result_that_is_lost_while_the_store_lives_is_the_error_of_its_call() -> None:
    store = FakeStore()
    side = CallingSide(store)
    reply = side.ask(side.ref())
    side.arrivals.succeeded(1, STORED, ())
    store.object.set_error(lost())
    side.scope.run()
    assert isinstance(reply.error(), errors.ObjectLostError)


def test_result_that_is_not_there_by_the_deadline_ends_its_call_which_ran() -> None:
    store = FakeStore()
    side = CallingSide(store)
    reply = side.ask(side.ref(), options=CallOptions(timeout_s=5.0))
    side.arrivals.succeeded(1, STORED, ())
    side.loop.advance(4.9)
    assert not reply.done()
    side.loop.advance(0.2)
    error = reply.error()
    assert isinstance(error, errors.CallTimeoutError)
    assert error.executed == "yes"
    store.object.set_value("big")
    side.scope.run()
    assert reply.error() is error


@pytest.mark.parametrize("is_refused", [False, True], ids=["waiting", "asking"])
def test_call_whose_result_is_lost_with_the_store_ends_with_the_loss_of_the_node(is_refused: bool) -> None:
    store = FakeStore()
    side = CallingSide(store)
    reply = side.ask(side.ref())
    if is_refused:  # the reply comes after the end of the store
        store.refusal, store.is_gone = lost(), True
    side.arrivals.succeeded(1, STORED, ())
    if not is_refused:
        store.is_gone = True
        store.object.set_error(lost())
        side.scope.run()
    assert not reply.done()
    side.arrivals.close(NODE_LOST)
    assert reply.error() is NODE_LOST


def test_call_that_waits_for_its_result_ends_with_the_loss_of_the_node_that_comes_before_that_of_the_store() -> None:
    store = FakeStore()
    side = CallingSide(store)
    reply = side.ask(side.ref())
    side.arrivals.succeeded(1, STORED, ())
    side.arrivals.close(NODE_LOST)
    assert reply.error() is NODE_LOST
    store.object.set_error(lost())
    side.scope.run()
    assert reply.error() is NODE_LOST
