"""Threads and files of simulated processes: functions are steps of the loop, and files outlive their actors."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import actorrt as art
from actorrt.testing import World
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.threads import SimulatedThreads
from actorrt.testing.virtual.loop import VirtualLoop

FOLDER = "/in/no/real/directory"


class Keeper(art.Actor):
    """Counts, keeps the count on disk, and blocks now and then."""

    def __init__(self) -> None:
        self.count = 0

    @art.offload
    def count_apart(self, by: int) -> int:
        self.count += by
        return self.count

    @art.offload
    def fail_apart(self) -> None:
        raise KeyError("apart")

    def snapshot(self) -> int:
        return self.count

    def restore(self, count: int) -> None:
        self.count = count


def kept() -> Any:
    return Keeper.options(name="keeper", snapshot_every=1, snapshot_dir=FOLDER, isolation="process")


async def count_and_stop() -> list[int]:
    keeper = await kept().spawn()
    counts = [await keeper.count_apart(2), await keeper.count_apart(3)]
    with pytest.raises(KeyError, match="apart"):
        await keeper.fail_apart()
    await keeper.stop()
    again = await kept().spawn()
    return [*counts, await again.count_apart(1)]


def test_methods_in_threads_and_snapshots_on_disk_work_and_touch_nothing_real() -> None:
    world = World(3)
    assert world.run(count_and_stop) == [2, 5, 6]
    assert not Path(FOLDER).exists()


def test_threads_are_part_of_the_story_of_a_seed() -> None:
    def digest(seed: int) -> str:
        world = World(seed)
        world.run(count_and_stop)
        return world.digest()

    assert digest(5) == digest(5)
    assert digest(5) != digest(6)


def test_functions_of_a_pool_run_later_and_in_order_and_none_after_its_shutdown() -> None:
    ran: list[int] = []

    async def main() -> None:
        pool = SimulatedThreads(loop, Chance(1, "threads")).pool("test", 2)
        futures = [pool.submit(ran.append, number) for number in range(20)]
        assert ran == []
        await asyncio.wrap_future(futures[-1])
        assert ran == list(range(20))
        dropped: Future[None] = pool.submit(ran.append, 20)
        pool.shutdown(cancel_futures=True)
        assert dropped.cancelled()
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(ran.append, 21)

    loop = VirtualLoop(1)
    loop.run_until_complete(main())
    loop.close()
    assert ran == list(range(20))
