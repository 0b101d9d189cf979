"""The watchdog of the tests finds futures that outlive their deadlines, and no others."""

from __future__ import annotations

import pytest

from actorrt.completion import Completion
from tests.watchdog import OVERDUE_S, Watchdog


def test_future_that_outlives_its_deadline_is_failed_and_named() -> None:
    watchdog = Watchdog()
    future: Completion[int] = Completion()
    watchdog.note(future, 10.0)
    watchdog.look(10.0 + OVERDUE_S)
    assert (future.done(), watchdog.take()) == (False, [])
    watchdog.look(10.5 + OVERDUE_S)
    with pytest.raises(AssertionError, match=r"still pending 5.5 s after its deadline"):
        future.value()
    (found,) = watchdog.take()
    assert repr(future) in found
    assert watchdog.take() == []


def test_future_that_ended_is_forgotten() -> None:
    watchdog = Watchdog()
    future: Completion[int] = Completion()
    watchdog.note(future, 10.0)
    future.set_value(1)
    watchdog.look(100.0)
    assert (future.value(), watchdog.take()) == (1, [])


def test_future_that_nobody_holds_is_forgotten() -> None:
    watchdog = Watchdog()
    watchdog.note(Completion(), 10.0)
    watchdog.look(100.0)
    assert watchdog.take() == []


async def test_calls_with_deadlines_are_noted_and_those_without_are_not() -> None:
    import actorrt as art
    from actorrt.actors.refs.reply import Reply

    class Sink(art.Actor):
        def take(self) -> None: ...

        def numbers(self):  # type: ignore[no-untyped-def]
            yield 1

    noted = []
    watchdog = Watchdog(look_every_s=60.0)
    watchdog.note = lambda future, deadline: noted.append(future)  # type: ignore[method-assign]
    before = Reply.__init__
    watchdog.start()
    async with art.Runtime(mode="local", cpus=1):
        sink = await Sink.spawn()
        timed = sink.take.options(timeout_s=1)()
        sink.take()
        assert noted == [timed]
        await timed
        assert [n async for n in sink.numbers.options(timeout_s=1)()] == [1]
        assert len(noted) > 1
    watchdog.end()
    assert Reply.__init__ is before
