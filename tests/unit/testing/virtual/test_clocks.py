"""The clocks of simulated machines: they begin anywhere, run too fast or too slow, and timers follow them."""

from __future__ import annotations

import asyncio
import time

import pytest

from actorrt.testing.virtual.clocks import MachineClock
from actorrt.testing.virtual.fences import WALL_START_S, fenced
from actorrt.testing.virtual.loop import START_S, VirtualLoop


def test_a_clock_shows_its_own_time_and_tells_when_it_will_show_another() -> None:
    clock = MachineClock(1_000.0, 50.0, 2.0)
    assert clock.read(1_000.0) == 50.0
    assert clock.read(1_010.0) == 70.0
    assert clock.run_time(70.0) == 1_010.0


def test_a_clock_whose_rate_changes_does_not_jump() -> None:
    clock = MachineClock(1_000.0, 50.0)
    clock.wall_skew_s = 3.0
    clock.run_at(1.5, 1_010.0)
    assert (clock.read(1_010.0), clock.wall_error_s(1_010.0)) == (60.0, 3.0)
    assert (clock.read(1_020.0), clock.wall_error_s(1_020.0)) == (75.0, 8.0)
    clock.run_at(1.0, 1_020.0)
    assert (clock.read(1_030.0), clock.wall_error_s(1_030.0)) == (85.0, 8.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_clock_that_does_not_go_forward_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate=.*: a clock goes forward"):
        MachineClock(0.0, 0.0).run_at(rate, 1.0)


def test_timers_of_a_process_follow_the_clock_of_its_machine() -> None:
    loop = VirtualLoop(1)
    fast = loop.new_process("fast", 1, MachineClock(START_S, 7_000.0, 2.0))
    fast.clock.wall_skew_s = 500.0  # type: ignore[union-attr]
    seen: list[float] = []

    async def sleep() -> None:
        await asyncio.sleep(10)
        seen.extend((time.monotonic(), time.time(), loop.now()))
        loop.stop()

    with fenced(loop, 1):
        loop.call_in(fast, lambda: loop.create_task(sleep()))
        loop.run_forever()
    loop.close()
    assert seen == pytest.approx([7_010.0, WALL_START_S + 510.0, START_S + 5.0], abs=0.01)
    assert loop.now() == pytest.approx(START_S + 5.0, abs=0.01)


def test_a_function_runs_in_another_process_and_what_it_begins_belongs_to_it() -> None:
    loop = VirtualLoop(1)
    one, two = loop.new_process("one"), loop.new_process("two")
    seen: list[object] = []

    def in_two() -> str:
        loop.call_soon(lambda: (seen.append(loop.present), loop.stop()))
        return loop.present.name

    def in_one() -> None:
        seen.append((loop.run_in(two, in_two), loop.present))

    loop.call_in(one, in_one)
    loop.run_forever()
    loop.close()
    assert seen == [("two", one), two]
