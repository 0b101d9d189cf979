"""Graphs of results that are lost at random in virtual time, while workers die: each is read as it was made."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.testing import Faults, World
from tests.losing import evict_copies, lose_objects, store_here
from tests.simulation.stories_of_losses import CALM, LENGTH, ROUGH, begun, lost_once, story, total


@pytest.mark.parametrize("faults", [CALM, ROUGH], ids=["calm", "rough"])
def test_results_that_are_lost_at_random_are_read_as_they_were_made(faults: Faults) -> None:
    lost_count = 0
    for seed in range(30):
        begun.clear()
        lost_count += World(seed=seed, faults=faults).run(story, seed)
    assert lost_count > 100


def test_what_is_missing_runs_again_once_and_nothing_else() -> None:
    for seed in range(100):
        begun.clear()
        World(seed=seed, faults=Faults(delay_s=0.02)).run(lost_once, seed)


class Warehouse(art.Actor):
    """Puts arrays into the store of its host."""

    def put(self, value: float) -> list[Any]:
        return [art.put(np.full(LENGTH, value))]


@art.task
async def fetched(number: int, warehouses: list[Any]) -> Any:
    """Return the ref of an array of the first warehouse that answers: the array lies on its host."""
    begun[-1, number] += 1
    for warehouse in warehouses:
        try:
            return (await warehouse.put.options(timeout_s=10)(number))[0]
        except art.CallError:
            continue
    raise RuntimeError("no warehouse answers")


async def serve() -> None:
    await Warehouse.options(name="warehouse", detached=True).spawn()


async def graph_over_hosts(world: World) -> None:
    """Make a graph of results that lie on two other hosts, lose one of these, and read on."""
    one, two = [await world.lookup(host, "warehouse", 10.0) for host in (1, 2)]
    parts = [fetched.submit(number, [one, two] if number % 2 else [two, one]) for number in range(4)]
    left, right = total.submit(0, 0, *parts[:2]), total.submit(0, 1, *parts[1:])
    bottom = total.submit(1, 0, left, right)
    refs = [*parts, left, right, bottom]
    await art.wait(refs, count=len(refs))
    await asyncio.sleep(1.0)
    evict_copies(store_here())
    lose_objects(store_here(), [left.id, bottom.id])
    world.crash(1)
    value = await bottom
    assert value[0] == 0 + (0 + 0 + 1) + (1 + 1 + 2 + 3)
    # Of the lost ones, number 1 is needed for `left`; number 3 only for `right`, which is there.
    assert begun == {(-1, 0): 1, (-1, 1): 2, (-1, 2): 1, (-1, 3): 1, (0, 0): 2, (0, 1): 1, (1, 0): 2}
    assert (await parts[3])[0] == 3, "it is made again when it is read"
    assert begun[-1, 3] == 2


async def over_hosts(world: World) -> None:
    for host in (1, 2):
        await world.start(host, serve)
    await world.start(0, graph_over_hosts, world)


def test_results_that_lay_on_a_host_that_is_lost_are_made_again_where_they_are_needed() -> None:
    for seed in range(10):
        begun.clear()
        world = World(seed=seed, hosts=3)
        world.run(over_hosts, world)
