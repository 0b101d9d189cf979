"""Rounds of work items on simulators that die, join and leave, and sums that are equal in every bit on any of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.rl.environments.description import describe
from actorrt.rl.evolution import aggregation
from actorrt.rl.evolution.aggregation import FAN_IN, weighted_sum
from actorrt.rl.evolution.explorer import Explorer
from actorrt.rl.evolution.explorer_pool import ExplorerPool, ShareResult
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.spaces.array_spaces import Array

SEED, ITERATION = 3, 7
SPEC = describe("CartPole-v1", (16,))
PARAMETER_COUNT = len(make_policy(SPEC).parameters)


class Team(art.Supervisor):
    """Supervises the simulators of a pool."""

    max_restarts, period_s = 100, 10


class Squarer(art.Actor):
    """Squares numbers; its first incarnation ends its process at the number `deadly`."""

    def __init__(self, index: int, deadly: int) -> None:
        self._index, self._deadly = index, deadly

    def square(self, numbers: Sequence[int]) -> ShareResult:
        """Return the squares."""
        if self.context.incarnation == 1 and self._deadly in numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        return ShareResult([number**2 for number in numbers], (self._index, self.context.incarnation, os.getpid()))


class GatedSquarer(art.Actor):
    """A simulator that is busy until a test lets it answer."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._was_asked, self._may_answer = asyncio.Event(), asyncio.Event()

    async def square(self, numbers: Sequence[int]) -> ShareResult:
        """Return the squares after `open` was called."""
        self._was_asked.set()
        await self._may_answer.wait()
        return ShareResult([number**2 for number in numbers], (self._index, 1, 0))

    async def when_asked(self) -> None:
        """Wait until `square` has been called."""
        await self._was_asked.wait()

    def open(self) -> None:
        """Let it answer."""
        self._may_answer.set()


def square(simulator: Any, numbers: Sequence[int]) -> Any:
    return simulator.square(list(numbers))


class Staff:
    """Starts and stops the simulators of a pool under a supervisor; `make` describes the simulator of a number."""

    def __init__(self, team: Any, make: Callable[[int], art.Child]) -> None:
        self._team, self._make = team, make
        self.hired: list[int] = []
        self.dismissed: list[int] = []

    def start(self, index: int) -> Any:
        self.hired.append(index)
        return self._team.start_child(self._make(index))

    def stop(self, index: int) -> Any:
        self.dismissed.append(index)
        return self._team.stop_child(f"simulator-{index}")


def squarer(index: int) -> art.Child:
    return art.Child(Squarer, index, 10, id=f"simulator-{index}", isolation="process")


def gated_squarer(index: int) -> art.Child:
    return art.Child(GatedSquarer, index, id=f"simulator-{index}", max_concurrency=4)


def explorer(index: int) -> art.Child:
    return art.Child(Explorer, SPEC, 0.1, SEED, index, id=f"simulator-{index}", isolation="process")


@pytest.fixture
async def team(node_runtime: art.Runtime) -> AsyncIterator[Any]:
    team = await Team.spawn()
    yield team
    await team.stop()


async def test_items_lost_with_a_simulator_are_computed_again(team: Any) -> None:
    staff = Staff(team, squarer)
    pool = ExplorerPool(2, staff.start, staff.stop)
    results, sources = await pool.do("squares", 50, square)
    assert results == [number**2 for number in range(50)]
    assert {index for index, _, _ in sources} <= {0, 1}


async def found(team: Any, index: int) -> Any:
    """Wait until a simulator has started, and return it."""
    while f"simulator-{index}" not in [child.id for child in await team.children_info() if child.ref is not None]:
        await asyncio.sleep(0.001)
    return await team.child(f"simulator-{index}")


async def test_pool_can_be_resized_in_the_middle_of_a_round(team: Any) -> None:
    staff = Staff(team, gated_squarer)
    pool = ExplorerPool(1, staff.start, staff.stop)
    round_ = asyncio.ensure_future(pool.do("squares", 12, square))  # runs while the pool grows; awaited below
    try:
        keepers = [await found(team, 0)]
        pool.resize(3)
        keepers += [await found(team, 1), await found(team, 2)]
        await art.gather(*(keeper.when_asked() for keeper in keepers))
        await art.gather(*(keeper.open() for keeper in keepers))
    finally:
        results, sources = await round_
    assert results == [number**2 for number in range(12)]
    assert {index for index, _, _ in sources} == {0, 1, 2}
    pool.resize(1)
    await pool.do("squares", 3, square)
    assert staff.dismissed == [1, 2]
    assert len(pool) == pool.statistics()["simulators_alive"] == 1


def slow_sum(weights: Array) -> Array:
    """Compute the sum in the order that `aggregation` documents, one node of the tree after the other."""
    terms = [
        np.float64(1.0) * (float(weight) * aggregation.direction(SEED, ITERATION, number, PARAMETER_COUNT))
        for number, weight in enumerate(weights)
        if weight
    ]
    while len(terms) > 1:
        nodes = [terms[start : start + FAN_IN] for start in range(0, len(terms), FAN_IN)]
        terms = []
        for node in nodes:
            total = np.zeros(PARAMETER_COUNT)
            for term in node:
                total = total + term
            terms.append(total)
    return terms[0].astype(np.float64)


@pytest.mark.parametrize("count", [1, 2, FAN_IN, FAN_IN + 1, FAN_IN**2 + 3])
async def test_sum_of_the_simulators_is_equal_in_every_bit(
    team: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    weights = np.random.default_rng(count).normal(size=count)
    weights[:: max(2, count // 5)] = 0.0
    weights[0] = 0.5
    monkeypatch.setattr(aggregation, "SHARED_FROM_S", 0.0)
    sums = []
    for size in (1, 3):
        staff = Staff(team, explorer)
        pool = ExplorerPool(size, staff.start, staff.stop)
        sums.append(await weighted_sum(pool, weights, SEED, ITERATION, PARAMETER_COUNT))
        assert (len(staff.hired) == 0) == (size == 1)
        pool.resize(0)
        for index in staff.hired:
            await team.stop_child(f"simulator-{index}")
    assert (sums[0] == sums[1]).all()
    assert (sums[0] == slow_sum(weights)).all()


async def test_sum_without_directions_is_zero_and_hires_no_simulator(team: Any) -> None:
    staff = Staff(team, explorer)
    pool = ExplorerPool(3, staff.start, staff.stop)
    total = await weighted_sum(pool, np.zeros(8), SEED, ITERATION, PARAMETER_COUNT)
    assert total.tolist() == [0.0] * PARAMETER_COUNT
    assert staff.hired == []
