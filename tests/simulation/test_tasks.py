"""Tasks in virtual time, while workers die, links break and processes stand still: each ends in a value or an error."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

import actorrt as art
from actorrt.testing import Faults, World

FAULTS = Faults(kill=1.0, drop=0.3, cut=0.1, freeze=0.1, delay_s=0.02, spawn_failure=0.1)
EXPECTED = (art.TaskDiedError, art.ActorStartError, art.CallCancelledError, art.CallTimeoutError)

begun: Counter[int] = Counter()
"""How often the tasks without retries have begun, by the number of the task."""


@art.task
def add(*numbers: int) -> int:
    return sum(numbers)


@art.task
async def later(number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return number


@art.task(retries=0)
async def once(number: int, seconds: float) -> int:
    begun[number] += 1
    await asyncio.sleep(seconds)
    return number


steps: Counter[int] = Counter()
"""How many steps the tasks that refuse to end have made, by the number of the task."""


@art.task
async def refuse_to_end(number: int) -> None:
    """Go on however often this is cancelled."""
    while True:
        steps[number] += 1
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            pass


async def forced(seed: int) -> None:
    """Cancel tasks by force that do not end by themselves, in all states, beside others that do."""
    chance = random.Random(seed)
    for number in range(8):
        endless = [refuse_to_end.submit(3 * number + one) for one in range(3)]
        others = [add.submit(number, part) for part in range(4)]
        await asyncio.sleep(chance.uniform(0, 1))
        for ref in endless:
            if chance.random() < 0.5:
                await ref.cancel()
            await ref.cancel(force=True)
        assert await art.gather(*others) == [number + part for part in range(4)]
    await asyncio.sleep(60.0)
    steps_until_now = steps.copy()
    await asyncio.sleep(60.0)
    assert steps == steps_until_now


@art.task
async def cancel_in(box: list[Any]) -> bool:
    """Cancel a task that another process has submitted."""
    return bool(await box[0].cancel())


async def cancelled_elsewhere(seed: int) -> int:
    """Have tasks cancelled by other tasks, in all states; return how many were."""
    chance = random.Random(seed)
    cancelled_count = 0
    for number in range(12):
        slow = later.submit(number, 500.0)
        needing = add.submit(slow, 1)
        await asyncio.sleep(chance.uniform(0, 0.3))
        try:
            cancelled_count += await cancel_in.submit([slow])
        except EXPECTED:
            pass  # the task that was to cancel it has died too often
        await slow.cancel()
        for ref in (slow, needing):
            try:
                await ref
            except EXPECTED:
                continue
            raise AssertionError(f"seed {seed}: a task that was cancelled has a value")
    return cancelled_count


@art.task
def nested(depth: int) -> int:
    return 1 if depth == 0 else sum([child.get() for child in [nested.submit(depth - 1), nested.submit(depth - 1)]])


@art.task
async def nested_awaited(depth: int) -> int:
    if depth == 0:
        return 1
    children = [nested_awaited.submit(depth - 1), nested_awaited.submit(depth - 1)]
    return sum([await child for child in children])


async def graph(seed: int) -> list[str]:
    """Submit graphs of all shapes for a while, and check each result. Return the names of the errors that came."""
    chance = random.Random(seed)
    errors: list[str] = []

    async def expect(ref: Any, value: int) -> None:
        try:
            assert await ref == value
        except EXPECTED as error:
            errors.append(type(error).__name__)

    for number in range(12):
        parts = [later.submit(part, chance.uniform(0, 1)) for part in range(5)]
        total = add.submit(*parts, add.submit(*parts))
        cancelled = later.submit(1, 5.0)
        single = once.submit(seed * 100 + number, chance.uniform(0, 1))
        waits = [
            expect(total, 20),
            expect(single, seed * 100 + number),
            expect(nested.submit(3), 8),
            expect(nested_awaited.submit(2), 4),
            expect(later.options(timeout_s=2.0).submit(7, chance.uniform(0, 4)), 7),
            expect(cancelled, 1),
        ]
        running = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.sleep(chance.uniform(0, 1))
        await cancelled.cancel()
        await asyncio.gather(*running)
    return errors


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_tasks_end_once_in_values_or_typed_errors_whatever_fails(first: int) -> None:
    for seed in range(first, first + 20):
        begun.clear()
        world = World(seed=seed, faults=FAULTS)
        world.run(graph, seed)
        assert max(begun.values()) == 1, f"seed {seed}: a task without retries has begun twice: {begun}"


@pytest.mark.parametrize("seed", [14, 155])
def test_tasks_of_these_seeds_found_defects(seed: int) -> None:
    """Run seeds that found defects.

    14: tasks that were refused together ended twice, since the end of one cancelled others; and a worker that ended
    began a coroutine. 155: what plain code submitted had been sent away when the code waited for it.
    """
    faults = Faults(kill=4.0, drop=0.5, cut=0.2, freeze=0.2, delay_s=0.05, spawn_failure=0.3)
    World(seed=seed, faults=faults).run(graph, seed)


def test_tasks_that_other_processes_cancel_end_whatever_fails() -> None:
    cancelled_counts = [World(seed=seed, faults=FAULTS).run(cancelled_elsewhere, seed) for seed in range(20)]
    assert sum(cancelled_counts) > 10 * 20, cancelled_counts


def test_code_of_tasks_that_were_cancelled_by_force_ends_whatever_fails() -> None:
    faults = Faults(drop=0.3, freeze=0.1, delay_s=0.02, spawn_failure=0.1)
    for seed in range(15):
        steps.clear()
        World(seed=seed, cpus=2, faults=faults).run(forced, seed)
        assert steps, "none of them has begun"


def test_one_seed_tells_one_story_of_tasks() -> None:
    digests = set()
    for _ in range(2):
        world = World(seed=5, faults=FAULTS)
        world.run(graph, 5)
        digests.add(world.digest())
    assert len(digests) == 1
