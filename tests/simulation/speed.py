"""How fast a whole node runs in virtual time: a quiet one, and one in the standard story."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import actorrt as art
from actorrt.testing import World
from tests.simulation.seeds import outcome_of

QUIET_S: Final = 3_600.0
ACTORS_COUNT: Final = 30
OWN_PROCESSES_COUNT: Final = 10


class Idle(art.Actor):
    """It does nothing."""


def quiet_speed(seed: int, quiet_s: float = QUIET_S) -> float:
    """Return the virtual seconds in a second of processor time, of a node whose 30 actors do nothing for an hour."""

    async def main() -> None:
        for number in range(ACTORS_COUNT):
            await Idle.options(isolation="process" if number < OWN_PROCESSES_COUNT else "shared").spawn()
        await asyncio.sleep(quiet_s)

    world, began_s = World(seed), time.process_time()
    world.run(main)
    return world.now() / (time.process_time() - began_s)


def seeds_a_second(seeds: Sequence[int]) -> float:
    """Return how many standard stories run in a second of processor time."""
    began_s = time.process_time()
    for seed in seeds:
        outcome_of(seed)
    return len(seeds) / (time.process_time() - began_s)
