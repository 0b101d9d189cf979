"""Streams at the side of their readers."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.refs.ref import CallOptions
from actorrt.actors.refs.route import WAITING_MESSAGES
from actorrt.protocol.envelopes import ASK, CANCEL, MORE, STREAM_WINDOW_ITEMS
from tests.unit.actors.calling.fakes import ACTOR, HERE, THERE, CallingSide, FakeInbox, error_of


@pytest.fixture
def side() -> CallingSide:
    made = CallingSide()
    made.transport.heard[THERE.peer] = THERE.address
    return made


async def taken(stream: Any) -> list[Any]:
    return [item async for item in stream]


def test_call_of_a_stream_says_how_many_items_may_come(side: CallingSide) -> None:
    side.stream(side.ref(), 5)
    assert side.sent == [(ASK, 1, ACTOR, "count", (5,), None, {"window": STREAM_WINDOW_ITEMS})]


async def test_items_come_in_order_until_the_call_ends(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    reading = asyncio.ensure_future(taken(stream))
    await asyncio.sleep(0)
    for item in ("a", "b"):
        side.streams.received(1, [item], ())
    await asyncio.sleep(0)
    side.streams.received(1, ["c"], ())
    side.arrivals.succeeded(1, [None], ())
    assert await reading == ["a", "b", "c"]
    assert side.streams.statistics() == {"read": 0, "items_waiting": 0}


def test_plain_code_takes_what_is_there_and_then_the_error(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    side.streams.received(1, [1], ())
    assert side.streams.statistics() == {"read": 1, "items_waiting": 1}
    side.arrivals.failed(1, errors.to_data(errors.ActorDiedError("it is gone", executed="maybe")), "maybe")
    items = iter(stream)
    assert next(items) == 1
    with pytest.raises(errors.ActorDiedError, match="it is gone"):
        next(items)


def test_reader_grants_half_a_window_at_a_time(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    for item in range(STREAM_WINDOW_ITEMS):
        side.streams.received(1, [item], ())
    items = iter(stream)
    for _ in range(STREAM_WINDOW_ITEMS // 2 - 1):
        next(items)
    assert side.control.delivered == []
    for _ in range(STREAM_WINDOW_ITEMS // 2 + 1):
        next(items)
    assert side.control.delivered == [(THERE, [MORE, 1, STREAM_WINDOW_ITEMS // 2])] * 2


def test_reader_of_an_actor_here_grants_its_host(side: CallingSide) -> None:
    side.host.cells[ACTOR] = FakeInbox()
    stream = side.stream(side.ref(HERE))
    for item in range(STREAM_WINDOW_ITEMS // 2):
        side.streams.arrived(1, item)
    items = iter(stream)
    for _ in range(STREAM_WINDOW_ITEMS // 2):
        next(items)
    assert (side.host.granted_items, side.control.delivered) == ([(1, STREAM_WINDOW_ITEMS // 2)], [])


def test_stream_that_is_left_early_withdraws_its_call(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    side.streams.received(1, [1], ())
    for _ in stream:
        break
    stream.close()
    assert side.control.delivered == [(THERE, [CANCEL, ACTOR, 1, False])]
    assert (side.streams.statistics()["read"], len(side.table)) == (0, 0)
    side.streams.received(1, [2], ())  # was under way: it is dropped


def test_item_that_can_not_be_opened_withdraws_the_call_and_is_its_error(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    side.streams.received(1, b"no pickle", ())
    assert side.control.delivered == [(THERE, [CANCEL, ACTOR, 1, False])]
    with pytest.raises(pickle.UnpicklingError):
        next(iter(stream))


async def test_deadline_of_a_stream_counts_for_each_item_that_is_waited_for(side: CallingSide) -> None:
    stream = side.stream(side.ref(), options=CallOptions(timeout_s=2.0))
    side.loop.advance(9.0)  # nobody waits
    reading = asyncio.ensure_future(taken(stream))
    await asyncio.sleep(0)
    side.loop.advance(1.5)
    side.streams.received(1, [1], ())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    side.loop.advance(1.5)
    assert side.control.delivered == []
    side.loop.advance(0.5)
    assert side.control.delivered == [(THERE, [CANCEL, ACTOR, 1, True])]
    side.arrivals.failed(1, errors.to_data(errors.CallTimeoutError("late", executed="maybe")), "maybe")
    with pytest.raises(errors.CallTimeoutError):
        await reading
    assert side.loop.timers == []


async def test_reader_that_waits_long_is_overdue_once(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    assert side.streams.overdue(5.0) == []
    side.loop.advance(9.0)
    assert side.streams.overdue(5.0) == []  # nobody waits
    reading = asyncio.ensure_future(taken(stream))
    await asyncio.sleep(0)
    side.loop.advance(5.0)
    (late,) = side.streams.overdue(5.0)
    assert (side.streams.is_open(late), side.streams.overdue(5.0)) == (True, [])
    side.arrivals.succeeded(1, [None], ())
    assert await reading == []


@pytest.mark.parametrize("options", [{"key": "k"}, {"retries": 1}, {"returns": "ref"}], ids=str)
def test_options_of_calls_with_one_result_are_refused(side: CallingSide, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"count\(\) yields: .*; leave out key, retries and returns"):
        side.stream(side.ref(), options=CallOptions(**options))
    assert (side.sent, side.streams.statistics()["read"]) == ([], 0)


def test_stream_that_finds_no_room_is_refused_and_not_kept(side: CallingSide) -> None:
    ref = side.ref(seen=None)
    for _ in range(WAITING_MESSAGES):
        side.tell(ref)
    with pytest.raises(errors.MailboxFullError):
        side.stream(ref)
    assert side.streams.statistics()["read"] == 0


def test_stream_that_is_closed_before_it_began_ends_with_its_cancellation(side: CallingSide) -> None:
    stream = side.stream(side.ref())
    stream.close()
    with pytest.raises(errors.CallCancelledError):
        next(iter(stream))
    assert error_of(stream._reply) == (errors.CallCancelledError, "maybe")
