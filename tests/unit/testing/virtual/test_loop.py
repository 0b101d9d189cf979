"""The loop in virtual time: time, order, processes, and what is left when nothing can happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from actorrt.background import in_background
from actorrt.testing.virtual.loop import START_S, STUCK_AFTER_S, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(1)
    yield loop
    for process in loop.processes:
        process.crash()
        process.bury()
    loop.close()


def run_for(loop: VirtualLoop, seconds: float) -> None:
    loop.run_until_complete(asyncio.sleep(seconds))


def notes(loop: VirtualLoop, heard: list[str], text: str) -> Callable[[], None]:
    """Return a callback that notes who it runs for."""
    return lambda: heard.append(f"{loop.present.name} {text}")


def test_a_sleep_of_a_day_takes_no_time(loop: VirtualLoop) -> None:
    began = time.monotonic()
    run_for(loop, 86_400)
    assert loop.time() == pytest.approx(START_S + 86_400, abs=0.01)
    assert time.monotonic() - began < 5


def test_callbacks_of_a_process_run_in_order(loop: VirtualLoop) -> None:
    process, heard = loop.new_process("a"), list[int]()
    for number in range(100):
        loop.call_in(process, heard.append, number)
    run_for(loop, 1)
    assert heard == list(range(100))


def order_of_turns(seed: int) -> list[str]:
    loop, heard = VirtualLoop(seed), list[str]()
    for name in "abc":
        process = loop.new_process(name)
        for number in range(20):
            loop.call_in(process, heard.append, f"{name}{number}")
    run_for(loop, 1)
    loop.close()
    return heard


def test_the_seed_decides_which_process_runs() -> None:
    assert order_of_turns(1) == order_of_turns(1)
    assert len({tuple(order_of_turns(seed)) for seed in range(10)}) >= 8


def test_what_a_callback_schedules_belongs_to_its_process(loop: VirtualLoop) -> None:
    first, second, heard = loop.new_process("first"), loop.new_process("second"), list[str]()

    def begin() -> None:
        loop.call_soon(notes(loop, heard, "soon"))
        loop.call_later(1, notes(loop, heard, "later"))
        loop.call_in(second, notes(loop, heard, "there"))

    loop.call_in(first, begin)
    run_for(loop, 2)
    assert sorted(heard) == ["first later", "first soon", "second there"]


def test_a_task_that_another_process_wakes_runs_in_its_own(loop: VirtualLoop) -> None:
    first, second, heard = loop.new_process("first"), loop.new_process("second"), list[str]()
    future = loop.create_future()

    async def wait() -> None:
        await future
        heard.append(loop.present.name)

    tasks: list[Any] = []
    loop.call_in(first, lambda: tasks.append(asyncio.ensure_future(wait())))
    loop.call_in_at(second, START_S + 1, future.set_result, None)
    run_for(loop, 2)
    assert heard == ["first"]


def test_nothing_of_a_dead_process_runs_not_even_its_finally_blocks(loop: VirtualLoop) -> None:
    process, heard = loop.new_process("a"), list[str]()

    async def wait() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            heard.append(f"finally at {loop.time() - START_S:.0f}")

    tasks: list[Any] = []
    loop.call_in(process, lambda: tasks.append(asyncio.ensure_future(wait())))
    loop.call_in(process, lambda: loop.call_later(2, notes(loop, heard, "timer")))
    run_for(loop, 1)
    process.crash()
    run_for(loop, 10)
    assert heard == []


def test_a_frozen_process_runs_when_it_is_thawed(loop: VirtualLoop) -> None:
    process, heard = loop.new_process("a"), list[str]()
    loop.call_in_at(process, START_S + 1, notes(loop, heard, "due at 1"))
    loop.call_in(loop.outside, loop.freeze, process)
    run_for(loop, 5)
    assert heard == []
    loop.thaw(process)
    run_for(loop, 1)
    assert heard == ["a due at 1"]


class StuckHereError(Exception):
    """Raised by the loops of these tests."""


def say_stuck() -> NoReturn:
    raise StuckHereError


def beat(loop: VirtualLoop) -> None:
    in_background(loop.call_later, 0.5, beat, loop)


def test_only_background_timers_left_is_stuck(loop: VirtualLoop) -> None:
    loop.on_stuck = say_stuck
    process = loop.new_process("a")
    loop.call_in(process, beat, loop)
    with pytest.raises(StuckHereError):
        loop.run_until_complete(loop.create_future())
    assert loop.time() - START_S == pytest.approx(STUCK_AFTER_S, abs=2)


def test_a_timer_that_somebody_waits_for_is_not_stuck(loop: VirtualLoop) -> None:
    loop.on_stuck = say_stuck
    loop.call_in(loop.new_process("a"), beat, loop)
    run_for(loop, 10 * STUCK_AFTER_S)


def test_a_cancelled_timer_keeps_nothing_waiting(loop: VirtualLoop) -> None:
    loop.on_stuck = say_stuck
    timers = [loop.call_later(3_600, say_stuck) for _ in range(3_000)]
    for timer in timers:
        timer.cancel()
    with pytest.raises(StuckHereError):
        loop.run_until_complete(loop.create_future())


def test_each_process_has_an_exception_handler_of_its_own(loop: VirtualLoop) -> None:
    first, second, heard = loop.new_process("first"), loop.new_process("second"), list[str]()

    def begin() -> None:
        name = loop.present.name
        loop.set_exception_handler(lambda _, context: heard.append(f"{name}: {context['exception']}"))

    def fail() -> None:
        raise ValueError("in second")

    loop.call_in(first, begin)
    loop.call_in(second, begin)
    loop.call_in_at(second, START_S + 1, fail)
    run_for(loop, 2)
    assert heard == ["second: in second"]


def test_a_loop_that_never_waits_moves_time(loop: VirtualLoop) -> None:
    def late() -> NoReturn:
        raise TimeoutError

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    loop.deadline, loop.on_late = START_S + 0.01, late
    with pytest.raises(TimeoutError):
        loop.run_until_complete(spin())
