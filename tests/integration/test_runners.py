"""The current task of a method: it stays the same until the method ends, even if it is a shared runner."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

import actorrt as art
from actorrt.actors.running.runners import PARKED_COUNT


class Tasks(art.Actor):
    """Examines and cancels the tasks in which its methods run."""

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

    async def never(self):
        await asyncio.Event().wait()


class Asking(art.Actor):
    """Waits for replies of a child in its own process, with all means of asyncio."""

    async def on_start(self):
        self.child = await Tasks.options(max_concurrency=1000).spawn()

    async def task_stays(self):
        first = asyncio.current_task()
        for n in range(5):
            assert await self.child.quick() == "quick"
            assert asyncio.current_task() is first
            await asyncio.sleep(0.001 * (n % 2))
            assert asyncio.current_task() is first
        return True

    async def not_in_time(self):
        try:
            async with asyncio.timeout(0.01):
                await self.child.never()
        except TimeoutError:
            return "late", asyncio.current_task().cancelling(), await self.child.quick()

    async def cancelled_while_it_waits(self):
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await self.child.never()
        except asyncio.CancelledError:
            return "cancelled", task.uncancel(), await self.child.quick()

    async def cancels_itself_and_waits(self):
        task = asyncio.current_task()
        task.cancel()
        try:
            await self.child.quick()
        except asyncio.CancelledError:
            return "cancelled", task.uncancel(), await self.child.quick()

    async def waits_in_tasks_of_its_own(self):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.quick_of_child()) for _ in range(3)]
        return [task.result() for task in tasks], await asyncio.wait_for(self.child.quick(), 60)

    async def quick_of_child(self):
        return await self.child.quick()

    async def ask_again_and_again(self):
        while not self.is_over:
            await self.child.quick()

    async def sleep_beside_it(self):
        self.is_over = False
        asking = asyncio.ensure_future(self.context.ref.ask_again_and_again())
        await asyncio.sleep(0.01)
        self.is_over = True
        await asking
        return "slept"

    async def local(self):
        variable.set(id(asyncio.current_task()))
        await self.child.quick()
        await asyncio.sleep(0)
        return variable.get() == id(asyncio.current_task())


variable = ContextVar("variable")


async def test_method_that_waits_for_replies_has_one_task_and_one_context(runtime):
    asking = await Asking.options(max_concurrency=3).spawn()
    assert await art.gather(*[asking.task_stays() for _ in range(9)]) == [True] * 9
    assert await art.gather(*[asking.local() for _ in range(9)]) == [True] * 9


@pytest.mark.parametrize(
    ("method", "outcome"),
    [("not_in_time", "late"), ("cancelled_while_it_waits", "cancelled"), ("cancels_itself_and_waits", "cancelled")],
)
async def test_cancellation_reaches_a_method_that_waits_for_a_reply(runtime, method, outcome):
    asking = await Asking.spawn()
    for _ in range(3):
        assert await getattr(asking, method)() == (outcome, 0, "quick")
    assert await asking.task_stays()


async def test_replies_can_be_awaited_in_tasks_that_a_method_starts(runtime):
    asking = await Asking.spawn()
    assert await asking.waits_in_tasks_of_its_own() == (["quick"] * 3, "quick")


async def test_two_actors_that_ask_each_other_endlessly_do_not_block_the_loop(runtime):
    asking = await Asking.options(max_concurrency=2).spawn()
    assert await asking.sleep_beside_it() == "slept"


async def test_number_of_parked_runners_is_bounded_after_many_methods_waited_for_replies(runtime):
    asking = await Asking.options(max_concurrency=500).spawn()
    assert await art.gather(*[asking.task_stays() for _ in range(500)]) == [True] * 500
    for process in (await runtime.statistics()).values():
        assert process.get("runners", {"parked": 0})["parked"] <= PARKED_COUNT


async def test_methods_run_in_a_task_that_stays_the_same(runtime):
    tasks = await Tasks.spawn()
    assert await tasks.plain_task()
    assert await tasks.task_stays()


async def test_timeouts_work_from_the_first_step_of_a_method(runtime):
    tasks = await Tasks.spawn()
    assert await tasks.over_in_time() == "in time"
    assert await tasks.not_in_time() == ("late", 0)


@pytest.mark.parametrize("method", ["cancelled_before_it_is_driven", "cancels_itself_and_waits"])
async def test_cancellation_is_raised_where_the_method_waits(runtime, method):
    tasks = await Tasks.spawn()
    for _ in range(3):
        assert await getattr(tasks, method)() == ("cancelled", 0)
    assert await tasks.quick() == "quick"


async def test_cancellation_of_a_completed_method_reaches_no_other_method(runtime):
    tasks = await Tasks.spawn()
    for _ in range(5):
        replies = [tasks.cancels_itself_and_returns(), tasks.task_stays(), tasks.quick(), tasks.not_in_time()]
        assert await art.gather(*replies) == ["done", True, "quick", ("late", 0)]


async def test_exception_after_a_wait_ends_only_its_call(runtime):
    tasks = await Tasks.options(max_concurrency=4).spawn()
    failing = [tasks.fails_after_a_wait() for _ in range(3)]
    assert await tasks.task_stays()
    for reply in failing:
        with pytest.raises(LookupError, match="later"):
            await reply


async def test_coroutines_that_wait_interleave_up_to_max_concurrency(runtime):
    tasks = await Tasks.options(max_concurrency=3).spawn()
    assert await art.gather(*[tasks.not_in_time() for _ in range(9)]) == [("late", 0)] * 9
