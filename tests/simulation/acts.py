"""What a client of the standard story does: one act calls actors in one way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import numpy as np

import actorrt as art
from actorrt.testing import World
from tests.simulation.parts import Part, Watcher, notes

TIMEOUT_S: Final = 5.0
END_S: Final = 90.0
"""How long the news of an end may take while processes stand still or are cut off, for some seconds at a time."""


class Cast(NamedTuple):
    """Who takes part in an act: two actors, watchers and keepers, the client's name, and the number of its act."""

    world: World
    actor: art.ActorRef[Part]
    other: art.ActorRef[Part]
    watcher: art.ActorRef[Watcher]
    keeper: art.ActorRef[Any]
    name: str
    number: int


async def within(seconds: float, what: str, wait: Awaitable[Any]) -> Any:
    """Wait, and say what did not come."""
    try:
        async with asyncio.timeout(seconds):
            return await wait
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


async def all_end(what: str, calls: list[Awaitable[Any]]) -> None:
    """Wait for all calls, and raise the first error of one."""
    for outcome in await within(END_S, what, asyncio.gather(*calls, return_exceptions=True)):
        if isinstance(outcome, BaseException):
            raise outcome


async def ask(cast: Cast) -> None:
    await cast.actor.add.options(timeout_s=TIMEOUT_S)()


async def ask_without_timeout(cast: Cast) -> None:
    await within(END_S, f"a call to {cast.actor!r} ends", cast.actor.work(random.random() / 10))


async def ask_without_timeout_with_key(cast: Cast) -> None:
    key = f"{cast.name} {cast.number}"
    asked = cast.actor.once.options(key=key)
    await all_end(f"calls to {cast.actor!r} with the key {key!r} end", [asked(key) for _ in range(3)])


async def ask_with_retries(cast: Cast) -> None:
    await cast.actor.work.options(timeout_s=TIMEOUT_S, retries=2)(random.random() / 10)


async def ask_with_key(cast: Cast) -> None:
    key = f"{cast.name} {cast.number}"
    asked = cast.actor.once.options(timeout_s=TIMEOUT_S, key=key, retries=random.randrange(3))
    await asyncio.gather(*(asked(key) for _ in range(3)))


async def ask_briefly(cast: Cast) -> None:
    await cast.actor.work.options(timeout_s=random.random() / 10)(random.random() / 10)


async def ask_and_cancel(cast: Cast) -> None:
    reply = cast.actor.work(1.0)
    await asyncio.sleep(random.random() / 10)
    reply.cancel()


async def ask_many(cast: Cast) -> None:
    asked = cast.actor.work.options(timeout_s=TIMEOUT_S)
    await asyncio.gather(*(asked(random.random() / 100) for _ in range(10)))


async def ask_and_kill(cast: Cast) -> None:
    asked = cast.actor.work.options(retries=random.randrange(5))(0.1)
    await asyncio.sleep(random.random() / 10)
    try:
        cast.world.kill(cast.actor)
    except ValueError:
        pass  # it runs nowhere in this moment
    await within(END_S, f"a call to {cast.actor!r} ends, whose process was killed", asked)


async def tell_in_order(cast: Cast) -> None:
    for step in range(5):
        cast.actor.in_order.tell(cast.name, 10 * cast.number + step)
    await cast.actor.in_order.options(timeout_s=TIMEOUT_S)(cast.name, 10 * cast.number + 9)


async def tell_many_in_order(cast: Cast) -> None:
    """Send more than an actor admits from a new sender, so that some messages wait for credit."""
    for step in range(200):
        cast.actor.in_order.tell(f"{cast.name}, many", 1_000 * cast.number + step)
    last = cast.actor.in_order(f"{cast.name}, many", 1_000 * cast.number + 999)
    await within(END_S, f"the last of many messages to {cast.actor!r} is handled", last)


async def relay(cast: Cast) -> None:
    if cast.actor != cast.other:
        await cast.actor.relay.options(timeout_s=TIMEOUT_S)(cast.other)


async def fail(cast: Cast) -> None:
    await cast.actor.fail.options(timeout_s=TIMEOUT_S)()


async def tell_to_fail(cast: Cast) -> None:
    cast.actor.fail.tell()


async def read_stream(cast: Cast) -> None:
    count = random.randrange(100)
    seen = [item async for item in cast.actor.items.options(timeout_s=TIMEOUT_S)(count)]
    assert seen == list(range(count)), f"a stream of {count} items brought {seen}"


async def leave_stream(cast: Cast) -> None:
    async for item in cast.actor.items.options(timeout_s=TIMEOUT_S)(100):
        if item == 5:
            return


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


async def spawn_and_end(cast: Cast) -> None:
    actor = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    try:
        await actor.add.options(timeout_s=TIMEOUT_S)()
    finally:
        down = art.monitor(actor)
        await within(END_S, f"{actor!r} ends", random.choice((actor.stop, actor.kill))())
        ended = await within(END_S, f"the Down of {actor!r}", down)
        notes.check(ended.ref == actor, f"{actor!r} was monitored, and the Down is of {ended.ref!r}")


async def spawn_and_withdraw(cast: Cast) -> None:
    spawning = asyncio.ensure_future(_spawn(cast.name))
    await asyncio.sleep(random.random() / 20)
    spawning.cancel()
    await asyncio.wait([spawning])


async def _spawn(name: str) -> None:
    await Part.options(isolation="process").spawn()


async def watch(cast: Cast) -> None:
    speaker = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    await cast.watcher.watch.options(timeout_s=TIMEOUT_S)(speaker)
    speaker.tell_watcher.tell(cast.watcher, random.choice((0, 1, 20, 200)))
    if random.random() < 0.3:
        await asyncio.sleep(random.random() / 20)
        speaker.fail.tell()
    await within(END_S, f"the Down of {speaker!r}", art.monitor(speaker))


async def end_with_parent(cast: Cast) -> None:
    parent = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    try:
        child = await parent.child.options(timeout_s=TIMEOUT_S)(random.choice(("shared", "process")))
    finally:
        down = art.monitor(parent)
        random.choice((parent.stop, parent.kill, parent.fail.tell))()
        await within(END_S, f"the Down of {parent!r}", down)
    await within(END_S, f"the Down of {child!r}, whose parent has ended", art.monitor(child))


async def end_with_link(cast: Cast) -> None:
    one, two = await Part.spawn(), await Part.options(isolation="process").spawn()
    try:
        await one.link_to.options(timeout_s=TIMEOUT_S)(two)
    except BaseException:
        one.kill(), two.kill()
        raise
    two.fail.tell()
    await within(END_S, f"the Down of {two!r}", art.monitor(two))
    await within(END_S, f"the Down of {one!r}, which is linked", art.monitor(one))


async def end_while_asked(cast: Cast) -> None:
    """End an actor that has calls in hand and calls in its mailbox, with and without a restart."""
    lasting = {"restart": random.choice(("permanent", "temporary")), "max_restarts": 1_000, "max_concurrency": 2}
    actor = await Part.options(isolation=random.choice(("shared", "process")), **lasting).spawn()
    try:
        calls = [actor.work(random.random() / 2) for _ in range(4)]
        await asyncio.sleep(random.random() / 10)
        random.choice((actor.fail.tell, actor.kill))()
        await all_end(f"the calls to {actor!r}, which ends, end", calls)
    finally:
        await within(END_S, f"{actor!r} ends", actor.kill())


async def end_by_intensity(cast: Cast) -> None:
    lasting = {"restart": "permanent", "max_restarts": 2, "period_s": 1_000.0}
    actor = await Part.options(isolation=random.choice(("shared", "process")), **lasting).spawn()
    down = art.monitor(actor)

    async def fail_until_the_end() -> None:
        while not down.done():
            actor.fail.tell()
            await asyncio.sleep(0.5)

    await within(END_S, f"{actor!r} ends, since it fails too often", fail_until_the_end())


async def use_group(cast: Cast) -> None:
    group = await Part.options(isolation=random.choice(("shared", "process"))).spawn_many(3)
    downs = [art.monitor(actor) for actor in group]
    try:
        await group.add.options(timeout_s=TIMEOUT_S)()
    finally:
        random.choice((group.stop, group.kill))()
        await within(END_S, f"the Downs of {group!r}", asyncio.gather(*downs))


async def use_name(cast: Cast) -> None:
    name = f"name-{random.randrange(2)}"
    exists = random.choice(("get", "get", "replace", "fail"))
    actor = await Part.options(name=name, if_exists=exists, isolation="process").spawn()
    found = await art.lookup(name)
    await found.add.options(timeout_s=TIMEOUT_S)()
    if random.random() < 0.3:
        await within(END_S, f"{actor!r} ends", actor.stop())


Act = Callable[[Cast], Awaitable[None]]
ACTS: Final[tuple[Act, ...]] = (
    *(
        ask,
        ask_without_timeout,
        ask_without_timeout_with_key,
        tell_many_in_order,
        end_by_intensity,
        ask_with_retries,
        ask_with_key,
        ask_briefly,
        ask_and_cancel,
        ask_many,
        ask_and_kill,
        tell_in_order,
        relay,
    ),
    *(fail, tell_to_fail, read_stream, leave_stream, pass_object, share_object, publish, keep, spawn_and_end),
    *(spawn_and_withdraw, watch, end_with_parent, end_with_link, use_group, use_name),
)
