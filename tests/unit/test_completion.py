"""A completion is completed once, and tells every callback and waiter, even if another callback raises."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import actorrt.completion
from actorrt import forks
from actorrt.completion import OPEN, Completion, set_blocking_rule
from actorrt.errors import CallTimeoutError, RuntimeStateError


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Make threads switch very often, so that they interrupt each other inside an operation."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_callback_that_raises_prevents_no_other_and_its_error_reaches_the_completing_thread() -> None:
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
def test_one_of_several_completing_threads_wins_and_callbacks_run_once() -> None:
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


def completed(value: int) -> Completion[int]:
    completion: Completion[int] = Completion()
    completion.set_value(value)
    return completion


def failed(error: Exception) -> Completion[int]:
    completion: Completion[int] = Completion()
    completion.set_error(error)
    return completion


def test_completion_that_is_not_done_has_no_error() -> None:
    completion: Completion[int] = Completion()
    assert (completion.done(), completion.error()) == (False, None)
    assert completed(1).done()


def test_callback_of_a_done_completion_runs_at_once_and_once() -> None:
    told: list[Any] = []
    completion = completed(1)
    completion.add_callback(told.append)
    assert told == [completion]
    completion.remove_callback(told.append)
    assert told == [completion]


def test_callbacks_run_in_their_order_and_those_that_were_removed_do_not() -> None:
    told: list[str] = []
    completion: Completion[int] = Completion()

    def second(_: Any) -> None:
        told.append("second")

    completion.add_callback(lambda _: told.append("first"))
    completion.add_callback(second)
    completion.add_callback(lambda _: told.append("third"))
    completion.remove_callback(second)
    completion.remove_callback(second)
    completion.set_value(1)
    assert told == ["first", "third"]


def test_callback_that_is_added_by_a_callback_runs_too() -> None:
    told: list[str] = []
    completion: Completion[int] = Completion()
    completion.add_callback(lambda done: done.add_callback(lambda _: told.append("inner")))
    completion.set_value(1)
    assert told == ["inner"]


async def test_await_of_a_done_completion_does_not_suspend() -> None:
    assert await completed(1) == 1
    with pytest.raises(LookupError, match="gone"):
        await failed(LookupError("gone"))


async def test_every_coroutine_that_waits_gets_the_value_or_the_error() -> None:
    for completion, expected in ((Completion[int](), 3), (Completion[int](), LookupError("gone"))):

        async def wait(completion: Completion[int] = completion) -> int:
            return await completion

        waiting = [asyncio.ensure_future(wait()) for _ in range(3)]  # a test's own tasks
        await asyncio.sleep(0)
        if isinstance(expected, int):
            completion.set_value(expected)
        else:
            completion.set_error(expected)
        assert await asyncio.gather(*waiting, return_exceptions=True) == [expected] * 3


async def test_coroutines_of_other_loops_are_woken_by_the_thread_that_completes() -> None:
    completion: Completion[int] = Completion()
    is_waiting = threading.Event()
    got: list[int] = []

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(is_waiting.set)
        got.append(await completion)

    thread = threading.Thread(target=asyncio.run, args=(wait(),))
    thread.start()
    is_waiting.wait(10)
    completion.set_value(3)
    thread.join()
    assert got == [3]


def test_waiter_of_a_closed_loop_does_not_prevent_completion() -> None:
    completion: Completion[int] = Completion()
    loop = asyncio.new_event_loop()

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
        await completion

    task = loop.create_task(wait())
    loop.run_forever()
    loop.close()
    told: list[int] = []
    completion.add_callback(lambda done: told.append(done.value()))
    thread = threading.Thread(target=completion.set_value, args=(1,))
    thread.start()
    thread.join()
    assert told == [1]
    task.get_coro().close()  # type: ignore[union-attr]
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_result_waits_in_a_plain_thread() -> None:
    completion: Completion[int] = Completion()
    thread = threading.Timer(0.01, completion.set_value, (3,))
    thread.start()
    assert completion.result(10) == 3
    assert completion.result() == 3
    thread.join()


def test_result_of_an_error_raises_it() -> None:
    error = LookupError("gone")
    with pytest.raises(LookupError) as caught:
        failed(error).result()
    assert caught.value is error


@pytest.mark.parametrize("timeout_s", [0, 0.001, -1])
def test_result_that_is_not_there_in_time_is_a_timeout_and_leaves_no_callback(timeout_s: float) -> None:
    completion: Completion[int] = Completion()
    with pytest.raises(CallTimeoutError, match=f"the operation did not end within {timeout_s} s") as caught:
        completion.result(timeout_s)
    assert caught.value.executed == "maybe"
    assert completion._callbacks == [OPEN]
    completion.set_value(1)
    assert completion.result(0) == 1


def test_timeout_must_be_a_number() -> None:
    with pytest.raises(TypeError, match="timeout_s='1': give a number of seconds, or None"):
        completed(1).result("1")  # type: ignore[arg-type]


def test_blocking_rule_applies_to_its_thread_only() -> None:
    asked: list[tuple[Any, float | None]] = []

    def complete(completion: Completion[int], timeout_s: float | None) -> None:
        asked.append((completion, timeout_s))
        completion.set_value(3)

    set_blocking_rule(complete)
    try:
        completion: Completion[int] = Completion()
        assert completion.result(5) == 3
        assert asked == [(completion, 5)]
        assert completed(1).result() == 1  # nothing is asked of what is done
        assert len(asked) == 1
        elsewhere: Completion[int] = Completion()
        errors: list[BaseException] = []

        def block() -> None:
            try:
                elsewhere.result(0.001)
            except CallTimeoutError as error:
                errors.append(error)

        thread = threading.Thread(target=block)
        thread.start()
        thread.join()
        assert (len(asked), len(errors)) == (1, 1)
    finally:
        set_blocking_rule(None)
    with pytest.raises(CallTimeoutError):
        Completion[int]().result(0)


async def test_forked_child_can_not_wait_for_a_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "abandoned", [object()])
    monkeypatch.setattr(actorrt.completion, "abandoned", forks.abandoned)
    with pytest.raises(RuntimeStateError, match="was forked"):
        Completion[int]().result()
    with pytest.raises(RuntimeStateError, match="was forked"):
        await Completion[int]()
    assert completed(1).result() == await completed(1) == 1


def test_error_is_raised_with_the_traceback_of_its_origin_and_grows_no_further() -> None:
    def fail() -> None:
        raise LookupError("gone")

    try:
        fail()
    except LookupError as caught:
        error, origin = caught, caught.__traceback__
    assert origin is not None
    first: Completion[int] = Completion()
    first.raised_at(origin)
    first.set_error(error)
    second: Completion[int] = Completion()
    second.set_error_of(first)
    for completion in (first, second, second):
        with pytest.raises(LookupError) as caught_again:
            completion.value()
        names = [entry.name for entry in caught_again.traceback]
        assert names[-1] == "fail"
        assert len(names) == 4
    assert completion.origin() is origin
    assert failed(error).origin() is None


def test_error_without_an_origin_is_handed_on_without_one() -> None:
    second: Completion[int] = Completion()
    second.set_error_of(failed(LookupError("gone")))
    assert (str(second.error()), second.origin()) == ("gone", None)


async def test_cancelled_awaiter_of_a_done_completion_abandons_nothing() -> None:
    completion = _Withdrawable()

    async def wait() -> int:
        return await completion

    waiting = asyncio.ensure_future(wait())  # a test's own task
    await asyncio.sleep(0)
    completion.set_value(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert (completion.abandoned_count, completion.value()) == (0, 1)


def test_attribute_of_the_value_is_refused_with_a_hint() -> None:
    with pytest.raises(AttributeError, match=r"has no 'shape': it is not the value; await it, or take its .result\(\)"):
        _ = Completion[int]().shape
    with pytest.raises(AttributeError, match=r"use actorrt\.wait, which takes this"):
        _ = Completion[int]().add_done_callback
    with pytest.raises(AttributeError, match="'Completion' object has no attribute '_private'"):
        _ = Completion[int]()._private
