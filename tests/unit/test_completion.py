"""A completion is completed once, and tells everybody who asked, whatever the others do."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from actorrt.completion import Completion


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns so often that they meet in the middle of what one does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_callback_that_raises_keeps_no_other_from_running_and_its_error_goes_to_whoever_completes() -> None:
    completion: Completion[int] = Completion()
    told: list[str] = []
    completion.add_callback(lambda _: told.append("before"))
    completion.add_callback(lambda _: {}["defect"])
    completion.add_callback(lambda _: told.append("behind"))
    with pytest.raises(KeyError, match="defect"):
        completion.set_value(1)
    assert told == ["before", "behind"]
    assert completion.value() == 1


async def test_waiter_behind_a_callback_that_raises_is_woken() -> None:
    completion: Completion[int] = Completion()
    completion.add_callback(lambda _: {}["defect"])

    async def wait() -> int:
        return await completion

    waiting = asyncio.ensure_future(wait())  # a test's own task
    await asyncio.sleep(0)
    with pytest.raises(KeyError, match="defect"):
        completion.set_value(3)
    assert await asyncio.wait_for(waiting, 10) == 3


def test_second_value_and_error_are_without_effect() -> None:
    completion: Completion[int] = Completion()
    completion.set_value(1)
    completion.set_value(2)
    completion.set_error(LookupError("late"))
    assert completion.value() == 1
    assert completion.error() is None


@pytest.mark.usefixtures("quick_switches")
def test_of_threads_that_complete_at_once_one_does_and_callbacks_run_once() -> None:
    for _ in range(300):
        completion: Completion[int] = Completion()
        told: list[Any] = []
        completion.add_callback(lambda done, told=told: told.append((done.value(), done.error())))
        together = threading.Barrier(3)

        def complete(number: int, completion: Completion[int] = completion, barrier: Any = together) -> None:
            barrier.wait()
            completion.set_value(number)

        threads = [threading.Thread(target=complete, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told == [(completion.value(), None)]


class _Withdrawable(Completion[int]):
    __slots__ = ("abandoned_count",)

    def __init__(self) -> None:
        super().__init__()
        self.abandoned_count = 0

    def _abandoned(self) -> None:
        self.abandoned_count += 1


async def test_only_the_last_awaiter_that_is_cancelled_abandons_it() -> None:
    completion = _Withdrawable()

    async def wait() -> int:
        return await completion

    first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())  # a test's own tasks
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert completion.abandoned_count == 0
    second.cancel()
    await asyncio.wait([second])
    assert completion.abandoned_count == 1
