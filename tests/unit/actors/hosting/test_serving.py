"""Streams at the side of the actor that yields."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.actors.hosting.serving import Serving
from actorrt.actors.refs.message import Message
from actorrt.scopes import Scope
from tests.unit.records import crashed


class Taker:
    """Keeps the items of one caller."""

    def __init__(self):
        self.items = []

    def item(self, call_id, value):
        self.items.append((call_id, value))


def message(caller, call_id=7, window=2):
    return Message(caller, call_id, "count", (), (), None, {"window": window})


def yielding(items):
    yield from items


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def scope():
    scope = Scope("test", crashed)
    yield scope
    await scope.close()


async def test_items_leave_as_many_as_the_caller_takes_and_no_more(scope):
    serving, taker = Serving(), Taker()
    task = scope.start(serving.serve(message(taker), yielding(range(5))), "serve")
    await settled()
    assert (taker.items, len(serving)) == ([(7, 0), (7, 1), (7, 2)], 1)
    serving.granted(taker, 7, 2)
    await settled()
    assert [item for _, item in taker.items] == [0, 1, 2, 3, 4]
    serving.granted(taker, 7, 1)
    await task
    assert (len(serving), len(taker.items)) == (0, 5)
    serving.granted(taker, 7, 1)  # too late, and without effect


async def test_grants_of_other_callers_and_calls_open_nothing(scope):
    serving, taker = Serving(), Taker()
    task = scope.start(serving.serve(message(taker, window=0), yielding("ab")), "serve")
    await settled()
    for caller, call_id in ((Taker(), 7), (taker, 8), (None, 7)):
        serving.granted(caller, call_id, 9)
    await settled()
    assert taker.items == [(7, "a")]
    task.cancel()
    await settled()
    assert len(serving) == 0


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_generator_of_a_cancelled_call_is_closed(scope, is_async):
    closed = []

    def plain():
        try:
            yield 1
            yield 2
        finally:
            closed.append("plain")

    async def asynchronous():
        try:
            yield 1
            yield 2
        finally:
            closed.append("async")

    generator = asynchronous() if is_async else plain()
    task = scope.start(Serving().serve(message(Taker(), window=0), generator), "serve")
    await settled()
    task.cancel()
    await settled()
    assert closed == ["async" if is_async else "plain"]


@pytest.mark.parametrize(("caller", "call_id"), [(None, 7), (Taker(), 0)])
async def test_tell_of_a_method_that_yields_is_refused(caller, call_id):
    with pytest.raises(TypeError) as raised:
        await Serving().serve(message(caller, call_id), yielding("ab"))
    assert str(raised.value) == "count() yields; a tell has no caller that takes the items"
