"""Faults from the seed: each happens, is told, and is over when the world heals."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art
from actorrt.testing import Faults, World
from tests.unit.testing.world.keeping import Keeper


class Echo(art.Actor):
    def echo(self, number: int) -> int:
        return number


async def busy(world: World) -> list[str]:
    """Ask actors in two processes for half a minute, then heal and ask once more; return the errors."""
    options = Echo.options(isolation="process", restart="permanent", max_restarts=1_000)
    echoes = [await options.spawn() for _ in range(2)]
    errors = []
    for number in range(300):
        await asyncio.sleep(0.1)
        try:
            assert await echoes[number % 2].echo.options(timeout_s=30)(number) == number
        except art.CallError as error:
            errors.append(type(error).__name__)
    world.heal()
    assert [await echo.echo.options(timeout_s=10, retries=3)(7) for echo in echoes] == [7, 7]
    return errors


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(drop=1.0), "fault: a connection of "),
        (Faults(cut=1.0), "fault: between "),
        (Faults(freeze=1.0), "stands still for "),
        (Faults(kill=1.0), "is killed"),
        (Faults(disk_full=1.0), "fault: the disk is full for"),
        (Faults(kill=1.0, spawn_failure=1.0), "no descriptor is left for the process of"),
    ],
    ids=["drop", "cut", "freeze", "kill", "disk_full", "spawn_failure"],
)
def test_each_fault_happens_and_is_told(faults: Faults, told: str) -> None:
    world = World(3, faults=faults)
    world.run(busy, world)
    assert told in "\n".join(world.trace())


def test_a_world_without_faults_has_none() -> None:
    world = World(3)
    assert world.run(busy, world) == []
    assert "fault:" not in "\n".join(world.trace())


def test_messages_are_delayed_and_keep_their_order() -> None:
    async def main() -> float:
        echo = await Echo.options(isolation="process").spawn()
        began = asyncio.get_running_loop().time()
        replies = [echo.echo(number) for number in range(50)]
        assert await asyncio.gather(*replies) == list(range(50))
        for number in range(50):
            await echo.echo(number)
        return asyncio.get_running_loop().time() - began

    assert World(1).run(main) < 0.1
    assert World(1, faults=Faults(delay_s=1.0)).run(main) > 5


def test_frozen_driver_gets_its_answers_when_it_runs_again() -> None:
    world = World(1)

    async def main() -> list[int]:
        echo = await Echo.options(isolation="process").spawn()
        loop, process = world._loop, world._loop.present
        world.at(5, lambda: loop.freeze(process))
        world.at(65, lambda: loop.thaw(process))
        numbers = []
        for number in range(100):
            await asyncio.sleep(0.1)
            numbers.append(await echo.echo(number))
        return numbers

    assert world.run(main) == list(range(100))
    assert world.now() > 65


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("drop", -1.0, "drop=-1.0: give a rate in a virtual second, of at least 0"),
        ("kill", float("nan"), "kill=nan: give a rate"),
    ],
)
def test_wrong_faults_are_refused(name: str, value: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Faults(**{name: value})


def test_what_is_written_while_the_disk_is_full_is_not_there_and_nothing_else_fails() -> None:
    world = World(1)

    async def keep(count: int) -> int:
        options = Keeper.options(name="keeper", snapshot_every=1, snapshot_dir="/kept", isolation="process")
        keeper = await options.spawn()
        numbers = [await keeper.add() for _ in range(count)]
        await asyncio.sleep(1)
        world.kill(keeper)
        await art.monitor(keeper)
        return numbers[-1]

    async def main() -> list[int]:
        first = await keep(3)
        world.fill_disk()
        second = await keep(2)
        world.heal()
        return [first, second, await keep(1)]

    assert world.run(main) == [3, 5, 4]


def test_a_single_host_does_not_crash() -> None:
    with pytest.raises(ValueError, match=r"crash=1\.0: the host 0 does not crash, since main runs there; add hosts"):
        World(1, faults=Faults(crash=1.0))


def test_hosts_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="host=1: this World has the host 0 only"):
        World(1).fill_disk(1)
