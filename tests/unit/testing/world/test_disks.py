"""Snapshot files in a simulated world: what was written survives the loss of power of a host, and a disk that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

import actorrt as art
from actorrt.testing import World
from actorrt.testing.shells.disk import SimulatedDisk
from tests.unit.testing.world.keeping import Keeper

SEEDS = range(30)
OPTIONS = {"name": "keeper", "snapshot_every": 1, "snapshot_dir": "/snapshots", "isolation": "process"}


async def add(times: int) -> int:
    """Add some times, and stop the keeper, which writes its last state."""
    keeper = await Keeper.options(**OPTIONS).spawn()
    for _ in range(times):
        number = await keeper.add()
    await keeper.stop()
    return number


async def add_until_the_end(numbers: list[int]) -> None:
    keeper = await Keeper.options(**OPTIONS).spawn()
    for _ in count():
        numbers.append(await keeper.add())
        await asyncio.sleep(0.001)


def kept_over_a_loss_of_power(seed: int) -> tuple[int, int, int]:
    """Return what a keeper wrote before it ended, what it had when the power was lost, and what it has afterwards."""
    world = World(seed, hosts=2)

    async def main() -> tuple[int, int, int]:
        written = await world.start(1, add, 3)
        numbers = [written]
        running = world.start(1, add_until_the_end, numbers)
        await asyncio.sleep(0.2 + seed / 100)
        world.crash(1)
        with suppress(art.RuntimeStateError):
            await running
        world.restart(1)
        return written, numbers[-1], await world.start(1, add, 1) - 1

    return world.run(main)


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_what_a_keeper_has_written_survives_a_loss_of_power(seed: int) -> None:
    written, last, found = kept_over_a_loss_of_power(seed)
    assert written <= found <= last


def losses() -> Iterator[bool]:
    for seed in SEEDS:
        written, _, found = kept_over_a_loss_of_power(seed)
        yield found < written


def test_snapshot_whose_name_is_not_synced_is_lost_with_the_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedDisk, "sync_directory", lambda *_: None)
    assert any(losses())
