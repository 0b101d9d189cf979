"""Random kills of workers under a mixed graph of tasks: each result is a value or a typed error, nothing is left."""

from __future__ import annotations

import pytest

import actorrt as art
from tests.conftest import check_node
from tests.fault.task_kills import Storm
from tests.running import wait_for_answer


async def assert_every_graph_ends(kills_count: int, period_s: float, seed: int) -> None:
    async with art.Runtime(cpus=4) as runtime:
        storm = Storm(runtime, kills_count, period_s, seed)
        await storm.run()
        assert storm.wrong == []
        assert storm.kills_count == kills_count
        assert set(storm.outcomes) <= {"value", "TaskDiedError", "ObjectLostError"}, storm.outcomes
        assert storm.outcomes["value"] > 2 * kills_count, storm.outcomes
        await check_node(runtime)
        await wait_for_answer(storm.workers, lambda pids: len(pids) <= 1, "one worker is kept for the job")


@pytest.mark.timeout(120)
async def test_each_task_ends_in_a_value_or_a_typed_error_while_workers_are_killed() -> None:
    await assert_every_graph_ends(200, 0.05, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_2000_kills_of_workers_leave_no_task_that_does_not_end() -> None:
    await assert_every_graph_ends(2_000, 0.05, seed=2)
