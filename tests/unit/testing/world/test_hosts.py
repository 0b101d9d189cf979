"""Several hosts in virtual time: objects are fetched from one to another, whatever happens to hosts and links."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.testing import Faults, Stuck, World
from tests.other_processes import lines_with_hash_seeds

LARGE = 5 << 20
"""Several chunks."""
LOST_WITHIN_S = 60.0
"""How long an object may take to be lost: the network gives up after 20 s, and connecting again after 5 s."""


class Keeper(art.Actor):
    """Makes and keeps objects, and reads those of other hosts."""

    def __init__(self) -> None:
        self.kept: Any = None

    def put(self, count: int) -> list[Any]:
        return [art.put(np.ones(count, np.uint8))]

    def keep(self, kept: Any) -> None:
        self.kept = kept

    def total(self, array: np.ndarray) -> int:
        return int(array.sum())

    async def total_of_kept(self) -> int:
        return int((await self.kept[0]).sum())

    def clocks(self) -> tuple[float, float]:
        return time.time(), time.monotonic()


async def serve() -> None:
    """Run a keeper that outlives this program."""
    await Keeper.options(name="keeper", detached=True).spawn()


async def keepers(world: World, *hosts: int) -> list[art.ActorRef[Keeper]]:
    for host in hosts:
        await world.start(host, serve)
    return [await world.lookup(host, "keeper") for host in hosts]


async def exchange(world: World) -> list[int]:
    """Read objects of each host on the others."""
    one, two = await keepers(world, 1, 2)
    mine = art.put(np.ones(LARGE, np.uint8))
    theirs = (await one.put(LARGE + 1))[0]
    await two.keep([theirs])
    return [await one.total(mine), await two.total(mine), await two.total_of_kept(), int((await theirs).sum())]


READ = [LARGE, LARGE, LARGE + 1, LARGE + 1]


def digest(seed: int) -> str:
    world = World(seed, hosts=3, faults=Faults(drop=1.0, delay_s=0.1))
    assert world.run(exchange, world) == READ
    return world.digest()


def test_objects_are_read_on_every_host() -> None:
    world = World(1, hosts=3)
    assert world.run(exchange, world) == READ
    trace = "\n".join(world.trace())
    assert "host-1/node -> host-0/node: read" in trace
    assert "host-0/node -> host-1/node: chunk" in trace


def print_digest() -> None:
    print(digest(4))


def test_one_seed_has_one_story_in_every_process() -> None:
    assert lines_with_hash_seeds(__name__, "print_digest()") == [[digest(4)], [digest(4)]]
    assert digest(4) != digest(5)


def during_exchange(fault: Callable[[World], None], over: Callable[[World], None], seed: int) -> World:
    """Read objects while a fault begins in the middle and ends a little later."""
    world = World(seed, hosts=3)
    began_at = 0.02 + seed / 1_000
    world.at(began_at, lambda: fault(world))
    world.at(began_at + 3.0, lambda: over(world))
    assert world.run(exchange, world) == READ
    return world


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("fault", "over"),
    [
        (lambda world: world.cut(1, 0), lambda world: world.heal()),
        (lambda world: world.cut(0, 1, one_way=True), lambda world: world.heal()),
        (lambda world: world.cut(1, 0, one_way=True), lambda world: world.heal()),
        (lambda world: world.freeze(1), lambda world: world.thaw(1)),
        (lambda world: world.freeze(0), lambda world: world.thaw(0)),
        (lambda world: world.slow(0, 1, 0.5), lambda world: world.heal()),
    ],
    ids=["cut", "cut-to", "cut-from", "freeze", "freeze-main", "slow"],
)
def test_objects_are_read_although_a_host_or_a_link_fails_for_a_while(
    fault: Callable[[World], None], over: Callable[[World], None], seed: int
) -> None:
    assert during_exchange(fault, over, seed).now() > 1.0


@pytest.mark.parametrize("seed", range(4))
def test_objects_are_read_although_connections_break_and_messages_are_late(seed: int) -> None:
    world = World(seed, hosts=3, faults=Faults(drop=5.0, delay_s=0.1))
    assert world.run(exchange, world) == READ
    assert "breaks" in "\n".join(world.trace())


async def value_or_lost(wait: Awaitable[Any]) -> str:
    began = asyncio.get_running_loop().time()
    try:
        array = await wait
    except art.ObjectLostError:
        return "lost"
    finally:
        assert asyncio.get_running_loop().time() - began < LOST_WITHIN_S
    assert int(array.sum()) == LARGE
    return "value"


async def read_from_a_host_that_crashes(world: World, after_s: float, is_back_after_s: float | None) -> str:
    """Read an object of host 1, which crashes a little later."""
    (one,) = await keepers(world, 1)
    ref = (await one.put(LARGE))[0]
    now = world.now()
    world.at(now + after_s, lambda: world.crash(1))
    if is_back_after_s is not None:
        world.at(now + after_s + is_back_after_s, lambda: world.restart(1))
    return await value_or_lost(ref)


@pytest.mark.parametrize("is_back_after_s", [None, 0.5, 10.0, 30.0])
def test_an_object_whose_host_crashes_while_it_is_read_is_there_or_lost_in_bounded_time(
    is_back_after_s: float | None,
) -> None:
    seen = set()
    for seed in range(8):
        world = World(seed, hosts=2)
        seen.add(world.run(read_from_a_host_that_crashes, world, seed / 500, is_back_after_s))
    assert seen == {"value", "lost"}


def test_a_host_that_has_crashed_starts_again_with_an_empty_store_and_its_names_are_free() -> None:
    world = World(1, hosts=2)

    async def main() -> list[int]:
        (one,) = await keepers(world, 1)
        await one.keep(await one.put(LARGE))
        world.crash(1)
        world.restart(1)
        (again,) = await keepers(world, 1)
        with pytest.raises((art.ActorDiedError, art.ActorUnavailableError)):
            await one.total_of_kept()
        await again.keep([art.put(np.ones(7, np.uint8))])
        return [await again.total_of_kept(), world._hosts.all[1].store.stats()["objects_count"]]

    assert world.run(main) == [7, 1]


def test_a_program_dies_with_its_host_and_another_one_starts_when_the_host_is_up_again() -> None:
    world = World(1, hosts=2)
    world.at(5, lambda: world.crash(1))
    world.at(15, lambda: world.restart(1))

    async def now() -> float:
        return world.now()

    async def main() -> float:
        with pytest.raises(art.RuntimeStateError, match=r"host-1 crashed, and the program sleep\(\) with it"):
            await world.start(1, asyncio.sleep, 60)
        return await world.start(1, now)

    assert world.run(main) == pytest.approx(15, abs=0.1)


def test_a_program_that_still_runs_when_main_has_ended_is_cancelled() -> None:
    world, seen = World(1, hosts=2), list[str]()

    async def stay() -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            seen.append("cancelled")

    async def main() -> None:
        world.start(1, stay)
        await asyncio.sleep(1)

    world.run(main)
    assert seen == ["cancelled"]


def test_what_a_program_raises_is_raised_where_it_is_awaited() -> None:
    world = World(1, hosts=2)

    async def fail() -> None:
        raise KeyError("its own")

    async def main() -> None:
        await world.start(1, fail)

    with pytest.raises(KeyError, match="its own"):
        world.run(main)


def test_main_dies_with_the_host_0() -> None:
    world = World(1, hosts=2)
    world.at(5, lambda: world.crash(0))

    async def main() -> None:
        await keepers(world, 1)
        await asyncio.sleep(1e6)

    with pytest.raises(art.RuntimeStateError, match=r"host-0 crashed, and the program main\(\) with it"):
        world.run(main)


async def clocks(world: World) -> list[tuple[float, float]]:
    everywhere = await keepers(world, 0, 1, 2)
    return [await keeper.clocks() for keeper in everywhere]


def test_wall_clocks_agree_but_for_their_drift_and_monotonic_clocks_begin_anywhere() -> None:
    world = World(1, hosts=3)
    walls, monotonics = zip(*world.run(clocks, world), strict=True)
    assert walls == pytest.approx([walls[0]] * 3, abs=0.1)
    assert len({round(seconds, -3) for seconds in monotonics}) == 3


def test_a_wrong_wall_clock_changes_nothing_but_what_it_shows() -> None:
    def story(skew_s: float) -> tuple[str, float]:
        world = World(1, hosts=3)
        world.at(0.01, lambda: world.skew(1, skew_s))
        seen: list[float] = []

        async def main() -> None:
            assert await exchange(world) == READ
            seen.append((await (await world.lookup(1, "keeper")).clocks())[0])

        world.run(main)
        return str(world.trace()[:200]), seen[0]

    (right, at), (wrong, ahead) = story(0.0), story(86_400.0)
    assert wrong == right
    assert ahead == pytest.approx(at + 86_400, abs=1)


@pytest.mark.parametrize("drift", [-0.5, 1.0])
def test_a_clock_that_is_far_too_fast_or_too_slow_changes_no_result(drift: float) -> None:
    world = World(1, hosts=3)
    world.skew(1, -3_600.0, drift=drift)
    assert world.run(exchange, world) == READ


def test_stuck_names_the_hosts() -> None:
    world = World(1, hosts=3)

    async def main() -> None:
        world.cut(0, 2, one_way=True)
        world.crash(2)
        await world.start(2, serve)

    with pytest.raises(Stuck) as raised:
        world.run(main)
    story = str(raised.value)
    assert "host-2 is down" in story
    assert "nothing from host-0 arrives at host-2" in story
    assert "host-0/driver: driver/main waits at test_hosts.py" in story


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(crash=0.5), r"fault: host-[12] is without power for "),
        (Faults(cut=1.0), r"fault: between host-[012] and host-[012] nothing arrives "),
        (Faults(freeze=1.0), r"fault: host-[012] stands still for "),
        (Faults(delay_s=0.5), r"fault: from host-[012] to host-[012] messages take "),
        (Faults(disk_full=1.0), r"fault: the disk of host-[012] is full for "),
    ],
    ids=["crash", "cut", "freeze", "slow", "disk_full"],
)
def test_each_fault_of_hosts_happens_and_is_told(faults: Faults, told: str) -> None:
    world = World(3, hosts=3, faults=faults)

    async def main() -> None:
        await asyncio.sleep(60)
        world.heal()
        assert await exchange(world) == READ

    world.run(main)
    assert pytest.approx(0) != len([line for line in world.trace() if told.split("[")[0].split("fault: ")[1] in line])
