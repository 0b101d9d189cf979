"""Acts in which objects of the store, published values and snapshots are made and used."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import numpy as np

import actorrt as art
from tests.simulation.acts import TIMEOUT_S, Act, Cast, end, kill
from tests.simulation.parts import Part


async def pass_object(cast: Cast) -> None:
    made = cast.actor.ones.options(timeout_s=TIMEOUT_S, returns="ref")(random.choice((10, 20_000)))
    assert await cast.other.total.options(timeout_s=TIMEOUT_S)(made) in (10.0, 20_000.0)


async def share_object(cast: Cast) -> None:
    ref = await art.put_async(np.ones(random.choice((10, 20_000))))
    totals = [actor.total.options(timeout_s=TIMEOUT_S)(ref) for actor in (cast.actor, cast.other, cast.actor)]
    done, _ = await art.wait(totals, len(totals), 2 * TIMEOUT_S)
    assert len(done) == len(totals)
    assert float(np.sum(await ref)) in (10.0, 20_000.0), "an object that is held is not as it was made"


async def publish(cast: Cast) -> None:
    art.publish(cast.name, np.full(1_000, cast.number))
    newest = await art.latest(cast.name, timeout_s=TIMEOUT_S)
    assert newest.value[0] == cast.number


async def keep(cast: Cast) -> None:
    added = cast.keeper.add.options(timeout_s=TIMEOUT_S)
    await asyncio.gather(*(added() for _ in range(random.randrange(10))))
    if random.random() < 0.3:
        cast.keeper.fail.tell()


async def send_and_kill(cast: Cast) -> None:
    """Let processes die that send objects, and to which objects were sent."""
    sender = await Part.options(isolation="process").spawn()
    receiver = await Part.options(isolation="process").spawn()
    try:
        sender.pass_on.tell(receiver, random.choice((10, 20_000)))
        receiver.total.tell(await art.put_async(np.ones(random.choice((10, 20_000)))))
        await asyncio.sleep(random.random() / 200)
        kill(cast, random.choice((sender, receiver)))
    finally:
        await end(sender, receiver)


OBJECTS: Final[tuple[Act, ...]] = (pass_object, share_object, publish, keep, send_and_kill)
