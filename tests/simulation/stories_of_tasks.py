"""Stories of tasks in virtual time: graphs, cancels, deadlines and nested waits, each of which checks what it gets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import numpy as np

import actorrt as art
from actorrt.testing import Faults
from tests.losing import store_here

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


@art.task(max_calls=3)
async def wear_out(number: int) -> int:
    return number


async def worn(seed: int) -> None:
    """Submit many short tasks whose workers are replaced: what was sent ahead to these comes back."""
    chance = random.Random(seed)
    for _ in range(4):
        refs = wear_out.submit_many([(number,) for number in range(chance.randint(10, 60))])
        async with asyncio.timeout(300.0):
            assert await art.gather(*refs) == [*range(len(refs))]


begun_at: dict[int, float] = {}
"""When the tasks have begun that are cancelled, by the number of the task."""


@art.task
async def note(number: int) -> None:
    begun_at[number] = asyncio.get_running_loop().time()


@art.task
async def linger(number: int) -> None:
    for _ in range(20):
        begun_at[number] = asyncio.get_running_loop().time()
        await asyncio.sleep(0.1)


async def withdrawn(seed: int) -> None:
    """Cancel tasks while they are on their way and while they run; check that none begins or goes on after that."""
    chance = random.Random(seed)
    now = asyncio.get_running_loop().time
    await note.submit(-1)
    for _ in range(10):
        begun_at.clear()
        refs = [linger.submit(-1), *note.submit_many([(number,) for number in range(200)])]
        await asyncio.sleep(chance.uniform(0, 0.003))
        for ref in refs:
            ref.cancel()
        cancelled_at = now()
        await asyncio.sleep(1.0)
        late = [number for number, at in begun_at.items() if at > cancelled_at + 0.1]
        assert not late, f"seed {seed}: tasks {late} have begun after they were cancelled"


@art.task
async def learn(weights: Any) -> Any:
    return weights + 1


async def weights_of_a_loop(seed: int) -> None:
    """Pass other weights to a task again and again, and keep all results: the weights go nevertheless."""
    results = []
    for _ in range(20):
        weights = art.put(np.ones(9_000))
        results.append(learn.submit(weights))
        await results[-1]
        del weights
    await asyncio.sleep(5.0)
    count = len(list(store_here()._core._table.entries()))
    assert count < 30, f"the store keeps {count} objects for 20 results"
