"""The task that a method sees: its own for as long as it runs, whoever lent it."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art


class Tasks(art.Actor):
    """Looks at the task that its methods run in, and meddles with it."""

    def plain_task(self):
        return asyncio.current_task() is not None

    async def task_stays(self):
        first = asyncio.current_task()
        await asyncio.sleep(0)
        return first is not None and asyncio.current_task() is first

    async def over_in_time(self):
        async with asyncio.timeout(60):
            return "in time"

    async def not_in_time(self):
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late", asyncio.current_task().cancelling()

    async def cancelled_before_it_is_driven(self):
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "cancelled", task.uncancel()

    async def cancels_itself_and_waits(self):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "cancelled", asyncio.current_task().uncancel()

    async def cancels_itself_and_returns(self):
        asyncio.current_task().cancel()
        return "done"

    async def fails_after_a_wait(self):
        await asyncio.sleep(0)
        raise LookupError("later")

    async def quick(self):
        return "quick"


async def test_methods_run_in_a_task_that_stays_the_same(runtime):
    tasks = await Tasks.spawn()
    assert await tasks.plain_task()
    assert await tasks.task_stays()


async def test_timeouts_work_from_the_first_step_on(runtime):
    tasks = await Tasks.spawn()
    assert await tasks.over_in_time() == "in time"
    assert await tasks.not_in_time() == ("late", 0)


@pytest.mark.parametrize("method", ["cancelled_before_it_is_driven", "cancels_itself_and_waits"])
async def test_cancellation_strikes_where_the_method_waits(runtime, method):
    tasks = await Tasks.spawn()
    for _ in range(3):
        assert await getattr(tasks, method)() == ("cancelled", 0)
    assert await tasks.quick() == "quick"


async def test_cancellation_of_a_method_that_is_over_strikes_nobody(runtime):
    tasks = await Tasks.spawn()
    for _ in range(5):
        replies = [tasks.cancels_itself_and_returns(), tasks.task_stays(), tasks.quick(), tasks.not_in_time()]
        assert await art.gather(*replies) == ["done", True, "quick", ("late", 0)]


async def test_exception_after_a_wait_ends_its_call_only(runtime):
    tasks = await Tasks.options(max_concurrency=4).spawn()
    failing = [tasks.fails_after_a_wait() for _ in range(3)]
    assert await tasks.task_stays()
    for reply in failing:
        with pytest.raises(LookupError, match="later"):
            await reply


async def test_coroutines_that_wait_interleave_up_to_max_concurrency(runtime):
    tasks = await Tasks.options(max_concurrency=3).spawn()
    assert await art.gather(*[tasks.not_in_time() for _ in range(9)]) == [("late", 0)] * 9
