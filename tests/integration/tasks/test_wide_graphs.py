"""Graphs with many edges at one task, and many refs at one wait."""

from __future__ import annotations

import pytest

import actorrt as art
from tests.integration.tasks import functions as f

COUNT = 10_000


async def test_one_task_takes_10_000_refs(node_runtime: art.Runtime) -> None:
    parts = f.add.submit_many([(number, 1) for number in range(COUNT)])
    assert await f.total_of.submit(*parts) == sum(range(1, COUNT + 1))
    assert await f.total_of.submit(*parts) == sum(range(1, COUNT + 1))  # all of them are there now


async def test_10_000_tasks_take_one_ref(node_runtime: art.Runtime) -> None:
    shared = f.add_slowly.submit(1, 1, 0.05)
    refs = f.add.submit_many([(shared, number) for number in range(COUNT)])
    assert await art.gather(*refs) == [2 + number for number in range(COUNT)]


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_million_tasks_are_taken_as_they_complete(node_runtime: art.Runtime) -> None:
    refs = art.as_completed(f.identity.submit_many([(number,) for number in range(1_000_000)]))
    total = count = 0
    async for ref in refs:
        total += await ref
        count += 1
    assert (count, total) == (1_000_000, sum(range(1_000_000)))
