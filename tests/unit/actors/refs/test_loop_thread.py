"""What other threads hand over to the loop's thread, and the operations that run there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorRtError, CallCancelledError, RuntimeStateError
from actorrt.scopes import Scope
from tests.fake_loop import FakeLoop


class Woken(FakeLoop):
    """A loop that other threads can wake; the test runs what they woke it for."""

    is_closed_now = False

    def __init__(self) -> None:
        super().__init__()
        self.woken_count = 0

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, **_: Any) -> Any:
        if self.is_closed_now:
            raise RuntimeError("Event loop is closed")
        self.woken_count += 1
        self.call_soon(callback, *args)


@pytest.fixture
def loop() -> Woken:
    return Woken()


@pytest.fixture
def threads(loop: Woken) -> LoopThread:
    made, scope = LoopThread(), type("FakeScope", (), {"is_closed": False})()
    made.begin(loop, scope)
    return made


def elsewhere(work: Callable[[], Any]) -> list[BaseException]:
    """Run `work` in another thread to its end; return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


# Handing over


def test_thread_of_the_loop_runs_what_it_hands_over_at_once(threads: LoopThread) -> None:
    done: list[int] = []
    threads.on_loop(lambda: done.append(1))
    assert (done, len(threads)) == ([1], 0)


def test_other_threads_hand_over_in_order_and_wake_the_loop_once(threads: LoopThread, loop: Woken) -> None:
    done: list[int] = []
    elsewhere(lambda: [threads.on_loop(lambda number=number: done.append(number)) for number in range(3)])  # type: ignore[misc]
    assert (done, len(threads), loop.woken_count) == ([], 3, 1)
    loop.tick()
    assert (done, len(threads)) == ([0, 1, 2], 0)


def test_what_is_handed_over_meanwhile_waits_for_another_turn(threads: LoopThread, loop: Woken) -> None:
    done: list[str] = []

    def first() -> None:
        done.append("first")
        elsewhere(lambda: threads.on_loop(lambda: done.append("second")))

    elsewhere(lambda: threads.on_loop(first))
    loop.tick()
    assert done == ["first"]
    loop.tick()
    assert done == ["first", "second"]


def test_callback_that_raises_is_a_defect_and_holds_up_none_behind_it(threads: LoopThread, loop: Woken) -> None:
    done: list[int] = []
    elsewhere(lambda: [threads.on_loop(lambda: 1 / 0), threads.on_loop(lambda: done.append(1))])
    with pytest.raises(ZeroDivisionError):
        loop.tick()
    loop.tick()
    assert done == [1]


def test_loop_that_is_closed_refuses_every_thread(threads: LoopThread, loop: Woken) -> None:
    loop.is_closed_now = True
    for _ in range(2):
        (refused,) = elsewhere(lambda: threads.on_loop(lambda: None))
        assert isinstance(refused, RuntimeStateError)
        assert str(refused) == "the runtime was shut down: call actorrt.init() again"
    assert len(threads) == 0


def test_loop_that_does_not_run_has_everything_handed_over(threads: LoopThread, loop: Woken) -> None:
    done: list[int] = []
    threads.leave()
    threads.on_loop(lambda: done.append(1))
    assert done == []
    threads.enter()
    loop.tick()
    assert done == [1]


# Limits


def test_limit_is_called_when_the_time_is_up(threads: LoopThread, loop: Woken) -> None:
    late: list[str] = []
    threads.limit(Completion(), 2.0, lambda: late.append("late"))
    loop.advance(1.9)
    assert late == []
    loop.advance(0.1)
    assert late == ["late"]


def test_limit_of_what_is_done_in_time_leaves_no_timer(threads: LoopThread, loop: Woken) -> None:
    completion: Completion[int] = Completion()
    late: list[str] = []
    threads.limit(completion, 2.0, lambda: late.append("late"))
    completion.set_value(1)
    assert loop.timers == []
    threads.limit(completion, -1.0, lambda: late.append("late"))
    loop.advance(9.0)
    assert (loop.timers, late) == ([], [])


def test_limit_of_another_thread_is_begun_on_the_loop(threads: LoopThread, loop: Woken) -> None:
    late: list[str] = []
    elsewhere(lambda: threads.limit(Completion(), 2.0, lambda: late.append("late")))
    assert loop.timers == []
    loop.tick()
    loop.advance(2.0)
    assert late == ["late"]


# Operations


@pytest.fixture
async def operating() -> Any:
    threads, scope = LoopThread(), Scope("actors", lambda _: None)
    threads.begin(asyncio.get_running_loop(), scope)
    yield threads
    await scope.close()


async def test_operation_ends_as_its_coroutine(operating: LoopThread) -> None:
    async def returns() -> int:
        return 5

    async def raises() -> int:
        raise ValueError("wrong")

    assert await operating.operate("the start of X", returns) == 5
    with pytest.raises(ValueError, match="wrong"):
        await operating.operate("the start of X", raises)


async def test_operation_that_is_cancelled_cancels_its_coroutine(operating: LoopThread) -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    operation = operating.operate("the start of X", waits)
    await asyncio.sleep(0)
    operation.cancel()
    with pytest.raises(CallCancelledError, match="the start of X was cancelled"):
        await operation
    assert ended == ["cancelled"]


async def test_operation_of_a_scope_that_is_closed_is_refused(operating: LoopThread) -> None:
    await operating.scope.close()
    with pytest.raises(RuntimeStateError, match="the runtime was shut down"):
        await operating.operate("the start of X", asyncio.Event().wait)


async def _error_of_an_operation_that_never_began(closed_by: ActorRtError | None) -> BaseException | None:
    threads, scope = LoopThread(), Scope("actors", lambda _: None)
    threads.begin(asyncio.get_running_loop(), scope)
    operation = threads.operate("the start of X", asyncio.Event().wait)
    threads.closed_by = closed_by
    await scope.close()
    return operation.error()


async def test_operation_that_ends_before_its_first_step_ends_with_what_closed_the_runtime() -> None:
    lost = ActorDiedError("the node is lost")
    assert await _error_of_an_operation_that_never_began(lost) is lost


async def test_operation_that_ends_before_its_first_step_is_cancelled_where_nothing_closed_the_runtime() -> None:
    error = await _error_of_an_operation_that_never_began(None)
    with pytest.raises(CallCancelledError, match="the start of X was cancelled"):
        raise error or AssertionError("it has no error")
