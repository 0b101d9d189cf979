"""Workers of a World that hang are found as real ones are."""

from __future__ import annotations

import asyncio
import logging

import pytest

import actorrt as art
from actorrt.testing import Faults, World
from actorrt.testing.virtual.processes import COMPUTING, STOPPED, WAITING


class Hanging(art.Actor):
    async def work(self) -> int:
        await asyncio.sleep(1)
        return self.context.incarnation


@pytest.mark.parametrize(
    ("state", "silence", "printed"),
    [(WAITING, "blocked", "in work()"), (COMPUTING, "busy", "in work()"), (STOPPED, "stopped", "")],
)
def test_worker_that_hangs_for_longer_than_its_limit_is_replaced(state: str, silence: str, printed: str) -> None:
    world = World(1)

    async def main() -> tuple[art.Down, int]:
        hanging = await Hanging.options(hang_timeout_s=4.0, restart="permanent").spawn()
        down = art.monitor(hanging, restarts=True)
        call = hanging.work()
        await asyncio.sleep(0.5)
        world._loop.freeze(world._process_of(hanging), state)
        with pytest.raises(art.ActorUnavailableError):
            await call
        return await down, await hanging.work()

    down, incarnation = world.run(main)
    assert down.reason.kind is art.ExitKind.CRASHED
    assert f"({silence}), and was replaced" in down.reason.detail
    assert printed in down.reason.traceback
    assert incarnation == down.incarnation + 1


def test_worker_without_a_limit_hangs_until_the_world_heals_and_answers_then(caplog: pytest.LogCaptureFixture) -> None:
    world = World(1)

    async def main() -> int:
        hanging = await Hanging.options(isolation="process").spawn()
        call = hanging.work()
        await asyncio.sleep(0.5)
        world.hang(hanging)
        await asyncio.sleep(60)
        assert not call.done()
        world.heal()
        return await call

    with caplog.at_level(logging.INFO):
        assert world.run(main) == 1
    assert "its loop is blocked" in caplog.text
    assert "answers again" in caplog.text


def test_hangs_come_from_the_seed() -> None:
    world = World(1, faults=Faults(hang=0.5))

    async def main() -> None:
        hanging = await Hanging.options(isolation="process").spawn()
        for _ in range(5):
            await hanging.work()

    world.run(main)
    assert any("fault: node/worker-1 hangs for" in line for line in world.trace())


def test_hanging_needs_a_process() -> None:
    world = World(1)

    async def main() -> None:
        hanging = await Hanging.spawn()
        await hanging.kill()
        with pytest.raises(ValueError, match="runs in no process that could hang"):
            world.hang(hanging)

    world.run(main)
