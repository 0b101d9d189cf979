"""A node in virtual time: actors that are called, killed and restarted, and one story for each seed."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import actorrt as art
from actorrt.testing import Stuck, World
from tests.other_processes import lines_with_hash_seeds

HOUR_S = 3_600.0


class Counter(art.Actor):
    def __init__(self) -> None:
        self.count = 0

    async def add(self, number: int) -> int:
        await asyncio.sleep(random.random() / 10)
        self.count += number
        return self.count

    async def never(self) -> None:
        await asyncio.get_running_loop().create_future()

    def wall(self) -> float:
        return time.time()


class Family(art.Supervisor):
    def children(self) -> list[art.Child]:
        return [art.Child(Counter, id="light"), art.Child(Counter, id="own", isolation="process")]


async def answer(counter: art.ActorRef[Counter]) -> int:
    """Ask until the actor lives again."""
    while True:
        try:
            return await counter.add(1)
        except art.ActorUnavailableError:
            continue


async def live(world: World) -> list[int]:
    """Spawn, ask, kill and ask again; supervise."""
    own = await Counter.options(isolation="process", restart="permanent").spawn()
    light = await Counter.spawn()
    seen = [await own.add(1), await own.add(2), *await asyncio.gather(*(light.add(1) for _ in range(5)))]
    world.kill(own)
    seen.append(await answer(own))
    family = await Family.spawn()
    child = await family.child("own")
    world.kill(child)
    seen.append(await answer(child))
    await asyncio.sleep(HOUR_S)
    return seen


def digest(seed: int) -> str:
    world = World(seed)
    assert world.run(live, world) == [1, 3, 1, 2, 3, 4, 5, 1, 1]
    assert world.now() > HOUR_S
    return world.digest()


def test_actors_are_spawned_asked_killed_and_restarted_in_no_time() -> None:
    began = time.monotonic()
    digest(1)
    assert time.monotonic() - began < 20


def test_one_seed_has_one_story() -> None:
    assert digest(2) == digest(2) != digest(3)


def print_digest() -> None:
    print(digest(4))


def test_one_seed_has_one_story_in_every_process() -> None:
    assert lines_with_hash_seeds(__name__, "print_digest()") == [[digest(4)], [digest(4)]]


def test_time_is_virtual_in_actors_too() -> None:
    async def main() -> float:
        counter = await Counter.spawn()
        before = await counter.wall()
        await asyncio.sleep(HOUR_S)
        return await counter.wall() - before

    assert World(1).run(main) == pytest.approx(HOUR_S, abs=1)


def test_a_run_in_which_nothing_can_happen_says_who_waits_for_what() -> None:
    async def main() -> None:
        counter = await Counter.options(isolation="process", name="counter").spawn()
        await counter.never()

    with pytest.raises(Stuck) as raised:
        World(1).run(main)
    story = str(raised.value)
    assert "waits at test_world.py:" in story
    assert "driver: code of no actor waits for counter.never(), which is sent" in story
    assert "counter handles never, and 0 messages wait" in story


def test_a_run_that_takes_too_long_ends() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError, match=r"not over at 50.000 s:\n  driver: .* waits at test_world.py"):
        World(1).run(main, timeout_s=50)


def test_what_main_raises_is_raised() -> None:
    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        World(1).run(main)


async def draw_entropy() -> None:
    os.urandom(1)


def test_entropy_is_refused_in_main() -> None:
    with pytest.raises(art.RuntimeStateError, match=r"os.urandom\(\) inside World.run"):
        World(1).run(draw_entropy)


def test_actions_happen_at_their_time() -> None:
    world = World(1)
    seen: list[float] = []
    world.at(10, lambda: seen.append(world.now()))

    async def main() -> None:
        await asyncio.sleep(20)

    world.run(main)
    assert seen == pytest.approx([10], abs=0.001)


def test_the_trace_says_who_sent_what_to_whom() -> None:
    world = World(1)

    async def main() -> None:
        counter = await Counter.options(isolation="process").spawn()
        await counter.add(1)
        world.kill(counter)
        await asyncio.sleep(1)

    world.run(main)
    trace = "\n".join(world.trace())
    assert "driver -> node: request" in trace
    assert "driver -> node/worker-1: ask" in trace
    assert "process node/worker-1 is gone" in trace


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: World(1, hosts=0), "hosts=0: give the number of hosts, of at least 1"),
        (lambda: World(1).start(0, print), "give a host, a coroutine function"),
        (lambda: World(1, hosts=2).crash(2), "host=2: this World has the hosts 0 to 1"),
        (lambda: World(1, hosts=2).cut(1, 1), "a=1, b=1: give two hosts"),
        (lambda: World(1, hosts=2).slow(0, 1, -1.0), "seconds=-1.0: give how many seconds more"),
        (lambda: World(1).skew(0, 1.0), "host=0: this World has one host, and no other clock"),
        (lambda: World(1, hosts=2).skew(0, 1.0, drift=-1.0), "rate=0.0: a clock goes forward"),
        (lambda: World(1).run(print), "give a coroutine function"),
    ],
)
def test_wrong_use_is_refused(wrong: Callable[[], Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        wrong()


def test_a_world_runs_once() -> None:
    async def main() -> None:
        pass

    world = World(1)
    world.run(main)
    with pytest.raises(art.RuntimeStateError, match="a World runs once"):
        world.run(main)


def test_processes_that_are_separated_for_long_give_each_other_up_and_connect_later() -> None:
    world = World(seed=3)

    async def main() -> list[str]:
        counter = await Counter.options(isolation="process").spawn()
        world.separate("driver", counter, 8.0)
        ends = []
        for _ in range(2):
            try:
                ends.append(f"{await counter.add(1)} at {world.now():.0f} s")
            except art.ActorUnavailableError as error:
                ends.append(f"{error.executed} at {world.now():.0f} s")
                await asyncio.sleep(5.0)
        return ends

    assert world.run(main) == ["no at 5 s", "1 at 10 s"]


def test_worker_that_is_separated_from_the_daemon_is_ended_and_its_actor_restarts() -> None:
    world = World(seed=3)

    async def main() -> tuple[bool, int]:
        counter = await Counter.options(isolation="process", restart="permanent").spawn()
        await counter.add(41)
        world.separate("node", counter, 8.0)
        await asyncio.sleep(10.0)
        return world.is_running(counter), await counter.add(1)

    assert world.run(main) == (True, 1)


def test_only_two_processes_can_be_separated() -> None:
    world = World(seed=3)

    async def main() -> bool:
        counter = await Counter.options(isolation="process").spawn()
        with pytest.raises(ValueError, match="are not in two processes"):
            world.separate(counter, counter, 1.0)
        await counter.kill()
        with pytest.raises(ValueError, match="are not in two processes"):
            world.separate("driver", counter, 1.0)
        return world.is_running(counter)

    assert world.run(main) is False
