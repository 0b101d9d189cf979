"""Waits in plain code of tasks that must not take longer than they say, or must not be at all."""

from __future__ import annotations

import pytest

import actorrt as art
from tests.integration.tasks import functions as f


async def test_a_wait_with_a_timeout_ends_in_time_though_nobody_has_begun_the_task(node_runtime: art.Runtime) -> None:
    took_s = await f.get_within.submit(3.0, 0.2)
    assert isinstance(took_s, float)
    assert 0.2 <= took_s < 2.0


async def test_a_wait_with_a_timeout_gets_the_value_of_a_task_that_ends_in_time() -> None:
    async with art.Runtime(cpus=1):
        for _ in range(3):  # at first its duration is not known
            assert await f.get_within.submit(0.01, 20.0) == "value"


async def test_plain_code_of_a_light_task_can_not_wait_and_is_told_what_to_write(node_runtime: art.Runtime) -> None:
    with pytest.raises(art.RuntimeStateError, match=r"cpus=0 would block the worker.*use await"):
        await f.wait_in_a_light_task.submit()
    assert await f.await_in_a_light_task.submit() == 3
