"""Kills workers of tasks at random while a mixed graph of tasks runs on them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np

import actorrt as art

IN_FLIGHT_COUNT: Final = 40
ENDS_WITHIN_S: Final = 60.0
"""How long the result of a graph may take: some tasks are tried four times, beside kills."""
LARGE_LENGTH: Final = 20_000  # an array that goes through the store


@art.task
def add(*numbers: int) -> int:
    return sum(numbers)


@art.task
def work(milliseconds: int) -> int:
    ends_at = time.monotonic() + milliseconds / 1_000
    while time.monotonic() < ends_at:
        pass
    return milliseconds


@art.task
async def wait(milliseconds: int) -> int:
    await asyncio.sleep(milliseconds / 1_000)
    return milliseconds


@art.task
def tree(depth: int) -> int:
    """Count the leaves of a tree of tasks, each of which waits in plain code for those below."""
    if not depth:
        return 1
    return sum([ref.get() for ref in [tree.submit(depth - 1) for _ in range(2)]])


@art.task
async def tree_awaited(depth: int) -> int:
    if not depth:
        return 1
    return sum([await ref for ref in [tree_awaited.submit(depth - 1) for _ in range(2)]])


@art.task
def ones(length: int) -> np.ndarray[Any, Any]:
    return np.ones(length)


@art.task
def total(array: np.ndarray[Any, Any]) -> int:
    return int(array.sum())


@art.task(retries=0)
def once(number: int) -> int:
    return number


@art.task
def follow(number: int) -> art.ObjectRef[int]:
    """Return the ref of a further task, which is followed."""
    return add.submit(number, 1)


@art.task(cpus=0)
async def light(milliseconds: int) -> int:
    await asyncio.sleep(milliseconds / 1_000)
    return milliseconds


GRAPHS: Final[tuple[Callable[[int], tuple[art.ObjectRef[Any], int]], ...]] = (
    lambda n: (add.submit(n, n), 2 * n),
    lambda n: (work.submit(n % 20), n % 20),
    lambda n: (wait.submit(n % 20), n % 20),
    lambda n: (add.submit(work.submit(3), wait.submit(2), add.submit(n, 1)), n + 6),
    lambda n: (tree.submit(n % 5), 2 ** (n % 5)),
    lambda n: (tree_awaited.submit(n % 4), 2 ** (n % 4)),
    lambda n: (total.submit(ones.submit(LARGE_LENGTH)), LARGE_LENGTH),
    lambda n: (once.submit(n), n),
    lambda n: (follow.submit(n), n + 1),
    lambda n: (light.submit(n % 20), n % 20),
)


class Storm:
    """Graphs of tasks, and kills of their workers.

    Args:
        runtime: the runtime, which has a node of its own.
        kills_count: how many workers are killed.
        period_s: the mean time between two kills.
        seed: determines which ones, and which graphs.

    Attributes:
        outcomes: how the graphs ended: `value`, or the name of the error.
        wrong: the graphs that ended with another value than theirs.
        kills_count: how many kills met a living worker.
    """

    def __init__(self, runtime: art.Runtime, kills_count: int, period_s: float, seed: int) -> None:
        self._runtime = runtime
        self._wanted_count = kills_count
        self._period_s = period_s
        self._random = Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.kills_count = 0

    async def run(self) -> None:
        """Kill workers while graphs run, then wait until all graphs have ended."""
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(self._kill())
            for first in range(IN_FLIGHT_COUNT):
                group.create_task(self._graphs(first, killing))

    async def _kill(self) -> None:
        while self.kills_count < self._wanted_count:
            await asyncio.sleep(self._random.uniform(0, 2 * self._period_s))  # kills come at any moment
            pids = await self.workers()
            if pids:
                try:
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it has left by itself
                self.kills_count += 1

    async def workers(self) -> list[int]:
        """Return the processes that run tasks."""
        workers = (await self._runtime.status())["workers"]
        return sorted(worker["pid"] for worker in workers if worker["kind"] == "tasks" and worker["pid"])

    async def _graphs(self, number: int, killing: asyncio.Task[None]) -> None:
        while not killing.done():
            number += IN_FLIGHT_COUNT
            index = self._random.randrange(len(GRAPHS))
            ref, expected = GRAPHS[index](number)
            try:
                async with asyncio.timeout(ENDS_WITHIN_S):
                    found = await ref
            except TimeoutError as error:
                raise AssertionError(f"graph {index} of {number} has not ended: {ref!r}") from error
            except art.ActorRtError as error:
                self.outcomes[type(error).__name__] += 1
                self._check(error, index)
            else:
                self.outcomes["value"] += 1
                if found != expected:
                    self.wrong.append(f"graph {index} of {number} gave {found!r}")

    def _check(self, error: art.ActorRtError, index: int) -> None:
        """Check that an error says what happened."""
        if isinstance(error, art.TaskDiedError) and not error.attempts:
            self.wrong.append(f"graph {index} died without an attempt: {error}")
