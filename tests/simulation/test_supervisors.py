"""Supervisors whose children fail often, alone and with their processes: they give up exactly when the rules say so."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

import actorrt as art
from actorrt.actors.policy.intensity import RestartWindow
from actorrt.actors.supervisors.shell import Shell
from actorrt.testing import BrokenPromiseError, Faults, World
from tests.simulation.standard import until_it_starts

SEEDS: Final = range(8)
LENGTH_S: Final = 12.0
CHILDREN: Final = ("own-0", "own-1", "light-0", "light-1", "light-2")


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Fragile(art.Actor):
    def ping(self) -> int:
        return self.context.incarnation

    def fail(self) -> None:
        raise ArithmeticError("this one fails")


class Few(art.Supervisor):
    """Gives up after two failures in two seconds."""

    max_restarts = 2
    period_s = 2.0

    def incarnation(self) -> int:
        return self.context.incarnation

    def children(self) -> list[art.Child]:
        own = [art.Child(Fragile, id=id, isolation="process") for id in CHILDREN[:2]]
        return [*own, *(art.Child(Fragile, id=id) for id in CHILDREN[2:])]


class FewForAll(Few):
    strategy = "one_for_all"


class FewForRest(Few):
    strategy = "rest_for_one"


async def fail_often(world: World, kind: type[Few], outcomes: Counter[str]) -> None:
    """Let children fail, alone and with their processes, and see that the supervisor is there again in the end."""
    team = await until_it_starts(kind.options(restart="permanent", max_restarts=1_000).spawn)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + LENGTH_S
    while loop.time() < ends_at:
        await asyncio.sleep(2.0 * random.random() ** 2)
        try:
            child = await team.child.options(timeout_s=5.0)(random.choice(CHILDREN))
            if random.random() < 0.3:
                world.kill(child)
            else:
                child.fail.tell()
        except (art.ActorDiedError, art.ActorUnavailableError, art.CallTimeoutError, ValueError) as error:
            outcomes[type(error).__name__] += 1
    world.heal()
    async with asyncio.timeout(60):
        while not await all_answer(team):
            await asyncio.sleep(1.0)
    outcomes["restarts"] += await team.incarnation() - 1


async def all_answer(team: Any) -> bool:
    try:
        for id in CHILDREN:
            child = await team.child.options(timeout_s=5.0)(id)
            await child.ping.options(timeout_s=5.0)()
    except (art.ActorRtError, ValueError):  # a supervisor that gives up has parted from children already
        return False
    return True


async def story(world: World) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    await asyncio.gather(*(fail_often(world, kind, outcomes) for kind in (Few, FewForAll, FewForRest)))
    return outcomes


def run(seed: int) -> Counter[str]:
    calm = seed % 2 == 0
    world = World(seed, faults=Faults() if calm else Faults(drop=0.1, delay_s=0.05, cut=0.05, freeze=0.1, kill=0.1))
    return world.run(story, world)


@pytest.mark.parametrize("seed", SEEDS)
def test_supervisors_give_up_exactly_when_there_are_too_many_failures(seed: int) -> None:
    assert run(seed)["restarts"] > 0


def test_lost_process_that_counts_once_for_each_child_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    admits = RestartWindow.admits
    monkeypatch.setattr(RestartWindow, "admits", lambda window, now, cause=None: admits(window, now))
    with pytest.raises(BrokenPromiseError, match=r"gives up after [12] failures within 2 s, and max_restarts is 2"):
        run_all()


def test_supervisor_that_never_gives_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestartWindow, "admits", lambda *_: True)
    with pytest.raises(BrokenPromiseError, match="goes on after 3 failures within 2 s, and max_restarts is 2"):
        run_all()


def test_end_that_is_heard_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    exited = Shell.child_exited

    def exited_twice(shell: Shell, event: Any) -> None:
        exited(shell, event)
        exited(shell, event)

    monkeypatch.setattr(Shell, "child_exited", exited_twice)
    with pytest.raises(BrokenPromiseError, match="hears of what can't be"):
        run_all()


def run_all() -> None:
    for seed in SEEDS:
        run(seed)
