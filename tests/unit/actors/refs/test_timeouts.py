"""Waiting with a timeout, in virtual time; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.refs import current
from actorrt.actors.refs.waiting import as_completed, gather, wait
from actorrt.completion import Completion
from tests.unit.actors.calling.fakes import CallingSide


@pytest.fixture
def side() -> Iterator[CallingSide]:
    side = CallingSide()
    current.set_process_endpoint(side)  # type: ignore[arg-type]
    yield side
    current.set_process_endpoint(None)


def items_of(count: int) -> list[Completion[int]]:
    return [Completion() for _ in range(count)]


def test_gather_ends_when_the_time_is_up_and_the_items_go_on(side: CallingSide) -> None:
    one, two = items_of(2)
    gathered = gather(one, two, timeout_s=2.0)
    one.set_value(1)
    side.loop.advance(2.0)
    error = gathered.error()
    assert isinstance(error, errors.CallTimeoutError)
    assert str(error).startswith("1 of 2 items did not end within 2.0 s: <actorrt.completion.Completion")
    assert (error.executed, two.done(), side.loop.timers) == ("maybe", False, [])
    two.set_value(2)
    assert gathered.error() is error


def test_gather_in_time_leaves_no_timer(side: CallingSide) -> None:
    one, two = items_of(2)
    gathered = gather(one, two, timeout_s=2.0)
    two.set_value(2)
    one.set_value(1)
    assert (gathered.value(), side.loop.timers) == ([1, 2], [])


def test_gather_ends_with_the_first_error_or_has_them_in_its_list() -> None:
    one, two = items_of(2)
    first, all_of_them = gather(one, two), gather(one, two, return_exceptions=True)
    two.set_error(error := ValueError("wrong"))
    assert (first.error(), all_of_them.done()) == (error, False)
    one.set_value(1)
    assert all_of_them.value() == [1, error]


def test_gather_of_nothing_and_of_what_is_done_needs_no_endpoint() -> None:
    assert gather(timeout_s=2.0).value() == []


def test_cancelling_a_gather_cancels_its_items(side: CallingSide) -> None:
    reply, plain = side.ask(side.ref()), items_of(1)[0]
    gather(reply, plain).cancel()
    assert isinstance(reply.error(), errors.CallCancelledError)
    assert not plain.done()


def test_wait_gives_what_is_done_when_the_time_is_up(side: CallingSide) -> None:
    one, two = items_of(2)
    waiting = wait([one, two], count=2, timeout_s=2.0)
    two.set_value(2)
    assert not waiting.done()
    side.loop.advance(2.0)
    assert waiting.value() == ([two], [one])
    assert (side.loop.timers, len(one._callbacks)) == ([], 1)


def test_wait_for_a_count_beyond_the_items_is_refused() -> None:
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"count={count} of 2 items: give a count from 1 to the number of items"):
            wait(items_of(2), count=count)


def test_as_completed_gives_what_came_in_time_and_then_raises(side: CallingSide) -> None:
    one, two, three = items_of(3)
    completed = as_completed([one, two, three], timeout_s=2.0)
    three.set_value(3)
    side.loop.advance(2.0)
    one.set_value(1)
    assert [next(completed), next(completed), len(completed)] == [three, one, 1]
    with pytest.raises(errors.CallTimeoutError, match="1 of 3 items did not end within"):
        next(completed)


def test_as_completed_in_time_leaves_no_timer(side: CallingSide) -> None:
    (one,) = items_of(1)
    completed = as_completed([one], timeout_s=2.0)
    one.set_value(1)
    assert ([*completed], side.loop.timers) == ([one], [])


@pytest.mark.parametrize(
    "waiting",
    [lambda items: gather(*items), lambda items: wait(items), lambda items: as_completed(items)],
    ids=["gather", "wait", "as_completed"],
)
def test_what_can_not_be_waited_for_is_named(waiting: Any) -> None:
    with pytest.raises(TypeError, match="item 1 is a int; give replies, object refs or spawns"):
        waiting([Completion(), 5])
