"""Functions that scripts make anew for each task: what they hold is given back, by the script and by the workers."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.config import MIB
from actorrt.node.processes.process_stat import private_bytes
from tests.integration.tasks import functions as f
from tests.running import wait_for_answer

CLOSURE_BYTES = 10 * MIB


def closure_over(number: int) -> Any:
    """Return a task function that holds an array."""
    array = np.full(CLOSURE_BYTES, number, np.uint8)

    @art.task
    def last() -> int:
        return int(array[-1])

    return last


def recursive_closure_over(number: int) -> Any:
    """Return a task function that holds an array, and refers to itself."""
    array = np.full(CLOSURE_BYTES, number, np.uint8)

    @art.task
    def last(depth: int = 1) -> int:
        return last.submit(depth - 1).get() if depth else int(array[-1])

    return last


@pytest.mark.parametrize(
    ("closure_over", "most_count"), [(closure_over, 3), (recursive_closure_over, 15)], ids=["plain", "recursive"]
)
async def test_workers_forget_the_functions_that_nobody_can_submit_any_more(
    node_runtime: art.Runtime, closure_over: Any, most_count: int
) -> None:
    assert await closure_over(0).submit() == 0
    pid = await f.own_pid.submit()
    before_bytes = private_bytes(pid)
    assert before_bytes is not None
    for number in range(30):
        assert await closure_over(number).submit() == number
        gc.collect()  # recursive ones refer to themselves in this process, too

    async def more_bytes() -> int:
        assert await f.own_pid.submit() == pid
        now_bytes = private_bytes(pid)
        assert now_bytes is not None
        return now_bytes - before_bytes

    await wait_for_answer(more_bytes, lambda more: more < most_count * CLOSURE_BYTES, "memory was given back")


async def test_a_function_whose_only_task_runs_stays_until_it_has_ended(runtime: art.Runtime) -> None:
    def adder(more: int) -> Any:
        @art.task
        async def add(number: int) -> int:
            return number + more + int(await f.add_slowly.submit(0, 0, 0.05))

        return add

    refs = [adder(more).submit(1) for more in range(10)]
    gc.collect()
    assert await art.gather(*refs) == [1 + more for more in range(10)]
