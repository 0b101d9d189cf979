"""Acts in which supervisors have children that fail in ways of their own."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import actorrt as art
from tests.simulation.acts import END_S, SOON_S, TIMEOUT_S, Act, Cast, kill, until_it_is_up, within
from tests.simulation.parts import Crew, notes


async def start_child_that_can_not_be_sent(cast: Cast) -> None:
    crew = await Crew.options(isolation=random.choice(("shared", "process"))).spawn()
    try:
        adding = crew.add_child_that_can_not_be_sent()
        await within(END_S, f"{crew!r} says that it can't start a child", adding)
    except art.SerializationError:
        pass
    finally:
        await within(END_S, f"{crew!r} ends", crew.stop())


async def start_hasty_child(cast: Cast) -> None:
    """Start a child that fails right after its start: that is no failed start, and it is restarted."""
    crew = await Crew.options(isolation=random.choice(("shared", "process"))).spawn()
    kills_count = notes.kills_count
    try:
        child = await within(END_S, f"{crew!r} starts a child", crew.add_hasty_child())
        await within(END_S, f"{child!r} answers", until_it_is_up(child))
    except (art.ActorStartError, art.ActorDiedError) as error:
        was_spared = notes.is_spared and notes.kills_count == kills_count
        notes.check(not was_spared, f"a child that fails after its start is not restarted: {error!r}")
    finally:
        await within(END_S, f"{crew!r} ends", crew.stop())


async def wait_for_child_in_backoff(cast: Cast) -> None:
    """Call a child that fails and is started again much later: its callers are told soon."""
    crew = await Crew.options(isolation=random.choice(("shared", "process"))).spawn()
    kills_count = notes.kills_count
    try:
        child = await within(END_S, f"{crew!r} starts a child", crew.add_patient_child())
        for _ in range(3):
            try:
                await within(END_S, f"a call to {child!r} ends", child.work(1.0))
            except art.ActorUnavailableError:
                past_s = time.monotonic() - notes.failed_at.get(repr(child), 0.0)
                was_spared = notes.is_spared and notes.kills_count == kills_count
                notes.check(
                    past_s < SOON_S or not was_spared, f"a caller of {child!r} is told {past_s} s after it has failed"
                )
    finally:
        await within(END_S, f"{crew!r} ends", crew.stop())


async def kill_children_of_one_process(cast: Cast) -> None:
    """Kill a process with several children: that is one failure for their supervisor."""
    crew = await Crew.options(isolation="process").spawn(("one", "two", "three", "four", "five"))
    down, kills_count = art.monitor(crew), notes.kills_count
    try:
        kill(cast, await crew.child.options(timeout_s=TIMEOUT_S)("one"))
        await asyncio.sleep(1.0)
        is_sure = notes.is_spared and not cast.world.faults.spawn_failure  # each child without a process is a failure
        if down.done() and is_sure and notes.kills_count <= kills_count + Crew.max_restarts:
            reason = (await down).reason
            notes.check(reason.kind is not art.ExitKind.INTENSITY, f"{crew!r} counts one loss more than once: {reason}")
    finally:
        await within(END_S, f"{crew!r} ends", crew.kill())


SUPERVISORS: Final[tuple[Act, ...]] = (
    *(start_child_that_can_not_be_sent, start_hasty_child, wait_for_child_in_backoff),
    kill_children_of_one_process,
)
