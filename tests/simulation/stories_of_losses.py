"""Stories of results that are lost in virtual time: what is made again, how often, and with which values."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import numpy as np

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.tasks.working.endpoint_tasks import tasks_of
from actorrt.testing import Faults
from tests.losing import lose_objects, store_here

CALM = Faults()
ROUGH = Faults(kill=0.5, drop=0.2, cut=0.1, freeze=0.1, delay_s=0.02, spawn_failure=0.05)
EXPECTED = (art.TaskDiedError, art.ActorStartError)
LENGTH = 9_000
LAYERS_COUNT, TASKS_COUNT = 4, 5

begun: Counter[tuple[int, int]] = Counter()
"""How often each task has begun: by its layer and its number."""


@art.task
def total(layer: int, number: int, *parts: Any) -> np.ndarray[Any, Any]:
    begun[layer, number] += 1
    return np.full(LENGTH, number + sum(float(part[0]) for part in parts))


class Graph:
    """A graph of tasks, in layers: each takes some results of the layer before, and its own number.

    Args:
        chance: draws it.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.refs: list[list[Any]] = []
        self.values: list[list[float]] = []
        self.losses: Counter[bytes] = Counter()

    def submit(self) -> None:
        for layer in range(LAYERS_COUNT):
            chosen = [
                [] if layer == 0 else self.chance.choices(range(TASKS_COUNT), k=self.chance.randint(1, 3))
                for _ in range(TASKS_COUNT)
            ]
            before = self.refs[-1] if self.refs else []
            values = self.values[-1] if self.values else []
            self.refs.append(
                [total.submit(layer, at, *[before[one] for one in parts]) for at, parts in enumerate(chosen)]
            )
            self.values.append([at + sum(values[one] for one in parts) for at, parts in enumerate(chosen)])

    def lose_some(self, share: float) -> int:
        """Lose objects that are in no view; none more often than a task may run again. Return how many."""
        table = store_here()._core._table
        lost = [
            entry.object_id
            for entry in table.entries()
            if entry.is_idle and entry.keepers and self.losses[entry.object_id] < 3 and self.chance.random() < share
        ]
        self.losses.update(lost)
        lose_objects(store_here(), lost)
        return len(lost)

    async def read(self) -> int:
        """Read results of all layers in some order. Return how many have ended in an expected error."""
        order = [(layer, at) for layer in range(LAYERS_COUNT) for at in range(TASKS_COUNT)]
        failed_count = 0
        for layer, at in self.chance.sample(order, k=len(order) // 2):
            await asyncio.sleep(self.chance.uniform(0, 0.2))
            try:
                value = await self.refs[layer][at]
            except EXPECTED:
                failed_count += 1
            else:
                assert (value == self.values[layer][at]).all()
        return failed_count


async def story(seed: int) -> int:
    """Submit graphs, lose results, and read them. Return how many objects were lost."""
    chance = random.Random(seed)
    lost_count = 0
    for _ in range(4):
        graph = Graph(chance)
        graph.submit()
        reading = asyncio.ensure_future(graph.read())
        while not reading.done():
            await asyncio.sleep(chance.uniform(0, 0.3))
            lost_count += graph.lose_some(0.3)
        await reading
        tasks_of(current_endpoint()).check_invariants()
    return lost_count


async def lost_once(seed: int) -> None:
    """Lose a part of a graph, read one result of the last layer, and check that what is missing has run again once."""
    chance = random.Random(seed)
    graph = Graph(chance)
    graph.submit()
    refs = [ref for layer in graph.refs for ref in layer]
    await art.wait(refs, count=len(refs))
    assert max(begun.values()) == 1
    lost = {ref.id for ref in refs if chance.random() < 0.6}
    lose_objects(store_here(), sorted(lost))
    lineage = tasks_of(current_endpoint()).submitter.lineage
    wanted = graph.refs[-1][0]
    expected, queue = set(), [wanted.id]
    while queue:
        origin = lineage.origins.of(queue.pop())
        assert origin is not None
        if origin.object_id in lost and origin.object_id not in expected:
            expected.add(origin.object_id)
            queue += [need.object_id for need in origin.needs]
    values = await asyncio.gather(*[wanted] * 3)
    assert values[0][0] == graph.values[-1][0]
    again = {graph.refs[layer][at].id for (layer, at), count in begun.items() if count == 2}
    assert again == expected
    assert max(begun.values()) <= 2


@art.task
async def slow_total(layer: int, number: int, *parts: Any) -> np.ndarray[Any, Any]:
    begun[layer, number] += 1
    await asyncio.sleep(1.0)
    return np.full(LENGTH, number + sum(float(part[0]) for part in parts))


async def shared(seed: int) -> None:
    """Lose a result and what two tasks made from it; read the two one after the other: it is made again once."""
    chance = random.Random(seed)
    top = slow_total.submit(0, 1)
    ends = [slow_total.submit(1, number, top) for number in (2, 3)]
    await art.wait(ends, count=2)
    lose_objects(store_here(), sorted([top.id, *(end.id for end in ends)]))

    async def read(number: int) -> float:
        await asyncio.sleep(number * chance.uniform(0, 0.9))
        return float((await ends[number])[0])

    assert await asyncio.gather(read(0), read(1)) == [3.0, 4.0]
    assert begun == {(0, 1): 2, (1, 2): 2, (1, 3): 2}
