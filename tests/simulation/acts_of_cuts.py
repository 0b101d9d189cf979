"""Acts in which processes live and can't reach each other for longer than a link waits."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import actorrt as art
from tests.simulation.acts import END_S, SOON_S, TIMEOUT_S, Act, Cast, end, separate, within
from tests.simulation.parts import Part, notes


async def cut_off_while_asked(cast: Cast) -> None:
    """Let nothing arrive at an actor that has calls, until it is given up; then call it again."""
    if notes.is_prompt:
        return
    actor = await Part.options(isolation="process", max_concurrency=4).spawn()
    try:
        calls = [actor.work(random.random()) for _ in range(10)]
        await asyncio.sleep(random.random() / 10)
        separate(cast, "driver", actor, random.choice((4.9 + random.random() / 5, 9.0)))
        calls += [actor.work(random.random()) for _ in range(10)]
        await within(END_S, f"calls to {actor!r} end, which is cut off", asyncio.gather(*calls, return_exceptions=True))
        await within(END_S, f"{actor!r} can be told many things again", _tell_many(actor))
    finally:
        await within(END_S, f"{actor!r} ends", actor.kill())


async def _tell_many(actor: art.ActorRef[Part]) -> None:
    while True:
        for _ in range(200):
            actor.add.tell()
        try:
            await actor.add()
            return
        except art.ActorUnavailableError:
            await asyncio.sleep(0.1)


async def cut_off_from_the_node(cast: Cast) -> None:
    """Cut a process off from the daemon, which ends it, or from another that it calls; or a moment only."""
    if notes.is_prompt:
        return
    lasting = {"restart": "permanent", "max_restarts": 1_000}
    actor = await Part.options(isolation="process", **lasting).spawn()
    try:
        calls = [actor.work(random.random()) for _ in range(3)]
        seconds = random.choice((1.0, 4.0, 20.0))
        separate(cast, "node", actor, seconds)
        await within(END_S, f"calls to {actor!r} end", asyncio.gather(*calls, return_exceptions=True))
        await asyncio.sleep(seconds + SOON_S)
        incarnation = await within(END_S, f"{actor!r} answers", actor.count_incarnations())
        is_another = seconds < 20 or incarnation > 1
        notes.check(is_another, f"{actor!r} was cut off from the node for {seconds} s, and was not restarted")
    finally:
        await within(END_S, f"{actor!r} ends", actor.kill())


async def cut_off_from_each_other(cast: Cast) -> None:
    """Cut two processes off from each other that call each other, perhaps just long enough that one gives up."""
    if notes.is_prompt:
        return
    lasting = {"isolation": "process", "max_concurrency": 8}
    one, two = await Part.options(**lasting).spawn(), await Part.options(**lasting).spawn()
    try:
        calls = [caller.try_work(called, 6.0 * random.random()) for caller, called in ((one, two), (two, one)) * 4]
        await asyncio.sleep(random.random() / 10)
        separate(cast, one, two, random.choice((4.9 + random.random() / 5, 9.0)))
        calls += [caller.try_work(called, 0.1) for caller, called in ((one, two), (two, one))]
        await within(END_S, f"calls of {one!r} and {two!r} end", asyncio.gather(*calls, return_exceptions=True))
    finally:
        await end(one, two)


async def seek_while_cut_off(cast: Cast) -> None:
    """Seek an actor whose authority can't be reached for a while: it is not dead."""
    if notes.is_prompt:
        return
    parent = await Part.options(isolation="process").spawn()
    caller = await Part.options(isolation="process").spawn()
    try:
        child = await parent.child.options(timeout_s=TIMEOUT_S)(None)
        await caller.try_child.options(timeout_s=TIMEOUT_S)(child)
        separate(cast, caller, parent, 12.0)
        ends_at = time.monotonic() + 15.0
        while time.monotonic() < ends_at:
            await asyncio.gather(caller.try_child.options(timeout_s=1.0)(child), return_exceptions=True)
            await asyncio.sleep(0.1)
        try:
            await caller.try_child.options(timeout_s=TIMEOUT_S)(child)
        except art.ActorDiedError as error:
            is_dead = not cast.world.is_running(child) or not cast.world.is_running(caller)
            notes.check(is_dead, f"{child!r} runs, and its caller is told: {error!r}")
    finally:
        await end(parent, caller)


CUTS: Final[tuple[Act, ...]] = (cut_off_while_asked, cut_off_from_the_node, cut_off_from_each_other, seek_while_cut_off)
