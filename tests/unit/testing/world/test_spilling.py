"""Objects of a small store in a simulated world are moved to disk, and come back, whatever the disk does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.store.memory import disk as spill_files
from actorrt.testing import Faults, World

STORE_BYTES = 8 << 20
LENGTH = 20_000
CLIENTS_COUNT = 3
ROUNDS_COUNT = 4
SEEDS = range(4)


class Reader(art.Actor):
    def sum_of(self, values: Any) -> float:
        return float(np.sum(values))


async def client(reader: art.ActorRef[Reader], outcomes: Counter[str]) -> None:
    """Hold more than the store has room for together with others, and read it all again."""
    for _ in range(ROUNDS_COUNT):
        held: list[tuple[int, art.ObjectRef[Any]]] = []
        for number in range(30):
            try:
                held.append((number, await art.put_async(np.full(LENGTH, number), timeout_s=1.0)))
            except art.ObjectStoreFullError:
                outcomes["full"] += 1
            await asyncio.sleep(random.random() / 100)
        for number, ref in held:
            try:
                read = await ref if number % 2 else np.full(LENGTH, (await reader.sum_of(ref)) / LENGTH)
                assert np.array_equal(read, np.full(LENGTH, number)), "an object is not as it was made"
                outcomes["read"] += 1
            except art.ObjectLostError:
                outcomes["lost"] += 1


async def story(outcomes: Counter[str]) -> dict[str, int]:
    reader = await Reader.options(isolation="process").spawn()
    await asyncio.gather(*(client(reader, outcomes) for _ in range(CLIENTS_COUNT)))
    return art.store_stats()


def run(seed: int, faults: Faults | None = None) -> tuple[Counter[str], dict[str, int]]:
    outcomes: Counter[str] = Counter()
    stats = World(seed, store_bytes=STORE_BYTES, faults=faults).run(story, outcomes)
    return outcomes, stats


def test_objects_beyond_the_memory_of_the_store_are_moved_to_disk_and_read_again() -> None:
    outcomes, stats = run(1)
    assert outcomes == {"read": CLIENTS_COUNT * ROUNDS_COUNT * 30}
    assert stats["spills_count"] > 100
    assert stats["restores_count"] > 100


def test_put_that_waits_for_room_while_the_disk_is_full_ends_in_time() -> None:
    world = World(1, store_bytes=STORE_BYTES)

    async def main() -> None:
        world.fill_disk()
        held: list[art.ObjectRef[Any]] = []
        with pytest.raises(art.ObjectStoreFullError, match=r"moved to disk: writing .* failed: No space"):
            await fill(held)
        world.heal()
        await asyncio.sleep(1.0)  # the disk is tried again a second later
        held += [await art.put_async(np.ones(LENGTH)) for _ in range(20)]

    async def fill(held: list[art.ObjectRef[Any]]) -> None:
        while True:
            held.append(await art.put_async(np.ones(LENGTH), timeout_s=1.0))

    world.run(main, timeout_s=60)


@pytest.mark.parametrize("seed", SEEDS)
def test_disk_that_is_full_fails_and_tears_changes_no_object(seed: int) -> None:
    outcomes, _ = run(seed, Faults(disk_full=0.3, disk_error=0.5, freeze=0.1))
    assert outcomes["read"] > 50


def run_on_bad_disks() -> int:
    """Return how many objects are lost in some seeds."""
    return sum(run(seed, Faults(disk_error=2.0))[0]["lost"] for seed in SEEDS)


def test_object_on_disk_whose_bytes_have_changed_is_lost() -> None:
    assert run_on_bad_disks() > 0


def test_changed_bytes_that_are_not_noticed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_files.zlib, "crc32", lambda *_: 0)
    with pytest.raises(AssertionError, match="an object is not as it was made"):
        run_on_bad_disks()
