"""What a client of the standard story does: one act calls actors in one way. Here: the parts of acts, and calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import actorrt as art
from actorrt.testing import World
from actorrt.testing.world.world import End
from tests.simulation.parts import Part, Watcher, notes

TIMEOUT_S: Final = 5.0
SOON_S: Final = 3.0
"""How long the news of a failure may take while every process answers."""
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


Act = Callable[[Cast], Awaitable[None]]


async def within(seconds: float, what: str, wait: Awaitable[Any]) -> Any:
    """Wait, and say what did not come."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await wait
    except TimeoutError:
        if not limit.expired():  # the call has timed out
            raise
        raise AssertionError(f"not within {seconds} s: {what}") from None


def kill(cast: Cast, actor: art.ActorRef[Any]) -> None:
    """Kill the process of an actor, if it runs in one."""
    notes.kills_count += 1
    try:
        cast.world.kill(actor)
    except ValueError:
        pass  # it runs nowhere in this moment


def separate(cast: Cast, one: art.ActorRef[Any] | End, other: art.ActorRef[Any] | End, seconds: float) -> None:
    """Separate two processes, if they are two."""
    try:
        cast.world.separate(one, other, seconds)
    except ValueError:
        pass


async def end(*actors: art.ActorRef[Any]) -> None:
    """End actors."""
    for actor, ending in [(actor, actor.kill()) for actor in actors]:
        await within(END_S, f"{actor!r} ends", ending)


async def all_end(what: str, calls: list[Awaitable[Any]]) -> None:
    """Wait for all calls, and raise the first error of one."""
    for outcome in await within(END_S, what, asyncio.gather(*calls, return_exceptions=True)):
        if isinstance(outcome, BaseException):
            raise outcome


async def until_it_is_up(actor: art.ActorRef[Part]) -> None:
    """Call an actor that restarts until it answers."""
    while True:
        try:
            await actor.add.options(timeout_s=TIMEOUT_S)()
            return
        except (art.ActorUnavailableError, art.CallTimeoutError):
            await asyncio.sleep(0.1)


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


async def ask_and_cancel_at_once(cast: Cast) -> None:
    """Withdraw a call that is under way: it may not run to its end."""
    mark, can_tell = f"{cast.name} {cast.number} withdrawn", notes.is_prompt
    reply = cast.actor.mark(mark, 3.0)
    await asyncio.sleep(random.choice((0.0, random.random() / 1_000)))
    reply.cancel()
    await asyncio.sleep(4.0)
    notes.check(not notes.marks[mark] or not can_tell, f"{mark!r} was made after its call was withdrawn")


async def cancel_queued(cast: Cast) -> None:
    """Withdraw calls that wait in a mailbox."""
    calls = [cast.actor.work(0.3) for _ in range(4)]
    await asyncio.sleep(random.random() / 10)
    for call in calls[1:3]:
        call.cancel()
    await within(END_S, f"calls to {cast.actor!r} end", asyncio.gather(*calls, return_exceptions=True))


async def ask_many(cast: Cast) -> None:
    asked = cast.actor.work.options(timeout_s=TIMEOUT_S)
    await asyncio.gather(*(asked(random.random() / 100) for _ in range(10)))


async def kill_and_hear(cast: Cast) -> None:
    """Kill a process with a call: the caller is told soon, not only when a link is given up."""
    actor = await Part.options(isolation="process", restart=random.choice(("permanent", "temporary"))).spawn()
    try:
        asked = actor.work(60.0)
        await asyncio.sleep(random.random() / 10)
        kill(cast, actor)
        await within(SOON_S if notes.is_prompt else END_S, f"a call to {actor!r} ends, whose process was killed", asked)
    finally:
        await within(END_S, f"{actor!r} ends", actor.kill())


async def ask_and_kill(cast: Cast) -> None:
    asked = cast.actor.work.options(retries=random.randrange(5))(0.1)
    await asyncio.sleep(random.random() / 10)
    kill(cast, cast.actor)
    await within(END_S, f"a call to {cast.actor!r} ends, whose process was killed", asked)


async def kill_before_deadline(cast: Cast) -> None:
    """Kill a process that runs a call with retries, shortly before the deadline of the call."""
    timeout_s = random.random() / 10
    asked = cast.actor.work.options(retries=3, timeout_s=timeout_s)(1.0)
    await asyncio.sleep(timeout_s - random.random() / 20)
    kill(cast, cast.actor)
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


async def tell_with_deadline(cast: Cast) -> None:
    """Let a tell wait in a mailbox beyond its deadline."""
    actor = await Part.options(isolation="process").spawn()
    try:
        actor.work.tell(1.0)
        actor.mark.options(timeout_s=random.random()).tell(f"{cast.name} {cast.number} in time")
        await actor.add.options(timeout_s=TIMEOUT_S)()
    finally:
        await within(END_S, f"{actor!r} ends", actor.kill())


async def relay(cast: Cast) -> None:
    if cast.actor != cast.other:
        await cast.actor.relay.options(timeout_s=TIMEOUT_S)(cast.other)


async def fail(cast: Cast) -> None:
    await cast.actor.fail.options(timeout_s=TIMEOUT_S)()


async def fail_hidden(cast: Cast) -> None:
    """Have a method raise what can't be shown: only its call ends."""
    asked = cast.actor.fail_hidden(random.choice((0.0, 0.01)))
    try:
        await within(END_S, f"a call to {cast.actor!r} ends that raises what can't be shown", asked)
    except art.RemoteActorError:
        pass


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


CALLS: Final[tuple[Act, ...]] = (
    *(ask, ask_without_timeout, ask_without_timeout_with_key, ask_with_retries, ask_with_key, ask_briefly, ask_many),
    *(ask_and_cancel, ask_and_cancel_at_once, cancel_queued, kill_and_hear, ask_and_kill, kill_before_deadline),
    *(tell_in_order, tell_many_in_order, tell_with_deadline, relay, fail, fail_hidden, tell_to_fail),
    *(read_stream, leave_stream),
)
