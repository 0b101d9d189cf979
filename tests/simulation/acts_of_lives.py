"""Acts in which actors are spawned, watched, stopped, killed and restarted."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import actorrt as art
from tests.simulation.acts import END_S, SOON_S, TIMEOUT_S, Act, Cast, all_end, kill, within
from tests.simulation.parts import Hasty, Parent, Part, Watcher, notes


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


async def reserve(cast: Cast) -> None:
    actor = await Part.options(cpus=1).spawn()
    try:
        await actor.add.options(timeout_s=TIMEOUT_S)()
    finally:
        await within(END_S, f"{actor!r} ends", random.choice((actor.stop, actor.kill))())


async def watch(cast: Cast) -> None:
    speaker = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    await cast.watcher.watch.options(timeout_s=TIMEOUT_S)(speaker)
    speaker.tell_watcher.tell(cast.watcher, random.choice((0, 1, 20, 200)))
    if random.random() < 0.3:
        await asyncio.sleep(random.random() / 20)
        speaker.fail.tell()
    await within(END_S, f"the Down of {speaker!r}", art.monitor(speaker))


async def kill_speaker(cast: Cast) -> None:
    """Watch an actor whose process dies while it speaks."""
    speaker = await Part.options(isolation="process").spawn()
    await cast.watcher.watch.options(timeout_s=TIMEOUT_S)(speaker)
    speaker.tell_watcher.tell(cast.watcher, 200)
    await asyncio.sleep(random.random() / 20)
    kill(cast, speaker)
    await within(END_S, f"the Down of {speaker!r}", art.monitor(speaker))


async def speak_to_slow_watcher(cast: Cast) -> None:
    """Stop an actor whose last messages wait for room at their receiver: they arrive."""
    watcher = await Watcher.options(isolation="process").spawn()
    speaker = await Part.options(isolation="process").spawn()
    kills_count = notes.kills_count
    try:
        watcher.dawdle.tell(0.5)
        await within(END_S, f"{speaker!r} speaks", speaker.tell_watcher(watcher, 200))
        await within(END_S, f"the Down of {speaker!r}", art.monitor(speaker))
        await asyncio.sleep(SOON_S)
        heard = await watcher.heard_of.options(timeout_s=TIMEOUT_S)(speaker)
        was_spared = notes.is_spared and notes.kills_count == kills_count
        notes.check(heard == 199 or not was_spared, f"{watcher!r} heard {heard + 1} of the 200 words of {speaker!r}")
    finally:
        await within(END_S, f"{watcher!r} ends", watcher.kill())


async def crowd_watcher(cast: Cast) -> None:
    """Give a watcher more messages than it admits: the Down comes nevertheless."""
    bounds = {"mailbox_messages": 2, "overflow": random.choice(("latest", "drop_new", "drop_old", "fail"))}
    watcher = await Watcher.options(isolation="process", **bounds).spawn()
    speaker = await Part.options(isolation="process").spawn()
    try:
        await watcher.watch.options(timeout_s=TIMEOUT_S)(speaker)
        watcher.dawdle.tell(1.0)
        for number in range(5):
            watcher.said.tell("the driver", number)
        await asyncio.sleep(random.random() / 10)
        speaker.stop()
        await asyncio.sleep(random.random() / 10)
        watcher.said.tell("the driver", 5)
        await within(END_S, f"the Down of {speaker!r}", art.monitor(speaker))
        await within(END_S, f"{watcher!r} gets the Down of {speaker!r}, full as it is", _hears(watcher, speaker))
    finally:
        await within(END_S, f"{watcher!r} ends", watcher.kill())


async def _hears(watcher: art.ActorRef[Watcher], speaker: art.ActorRef[Part]) -> None:
    while True:
        try:
            if await watcher.downs_of.options(timeout_s=TIMEOUT_S)(speaker):
                return
        except (art.MailboxFullError, art.CallTimeoutError, art.ActorUnavailableError):
            pass
        await asyncio.sleep(0.1)


async def stop_after_tells(cast: Cast) -> None:
    """Stop an actor that has messages: it handles them before its end."""
    actor = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    down, mark = art.monitor(actor), f"{cast.name} {cast.number} before the stop"
    count = random.choice((1, 20, 60))
    for _ in range(count):
        actor.mark.tell(mark)
    await within(END_S, f"{actor!r} ends", actor.stop())
    ended = await within(END_S, f"the Down of {actor!r}", down)
    if ended.reason.kind is art.ExitKind.SHUTDOWN and notes.is_prompt:
        notes.check(
            notes.marks[mark] == count, f"{actor!r} was told {count} times before its stop: {notes.marks[mark]}"
        )


async def end_with_parent(cast: Cast) -> None:
    parent = await Part.options(isolation=random.choice(("shared", "process"))).spawn()
    try:
        child = await parent.child.options(timeout_s=TIMEOUT_S)(random.choice(("shared", "process")))
    finally:
        down = art.monitor(parent)
        random.choice((parent.stop, parent.kill, parent.fail.tell))()
        await within(END_S, f"the Down of {parent!r}", down)
    await within(END_S, f"the Down of {child!r}, whose parent has ended", art.monitor(child))


async def restart_parent(cast: Cast) -> None:
    """Let a parent fail: its next incarnation begins when the children have gone."""
    lasting = {"restart": "permanent", "max_restarts": 1_000}
    parent = await Parent.options(isolation=random.choice(("shared", "process")), **lasting).spawn()
    try:
        for _ in range(3):
            await parent.child.options(timeout_s=TIMEOUT_S)(random.choice(("shared", "process", None)))
        if random.random() < 0.5:
            kill(cast, parent)
        else:
            parent.fail.tell()
        await parent.add.options(timeout_s=TIMEOUT_S)()
    finally:
        await within(END_S, f"{parent!r} ends", parent.kill())


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


async def use_hasty_group(cast: Cast) -> None:
    """Start a group whose actors fail while others still start."""
    lasting = {"restart": random.choice(("permanent", "temporary")), "max_restarts": 10}
    group = await Hasty.options(isolation="shared", **lasting).spawn_many(6, 1, 0.001)
    await within(END_S, f"{group!r} ends", group.stop())


async def use_name(cast: Cast) -> None:
    name = f"name-{random.randrange(2)}"
    exists = random.choice(("get", "get", "replace", "fail"))
    actor = await Part.options(name=name, if_exists=exists, isolation="process").spawn()
    found = await art.lookup(name)
    await found.add.options(timeout_s=TIMEOUT_S)()
    if random.random() < 0.3:
        await within(END_S, f"{actor!r} ends", actor.stop())


LIVES: Final[tuple[Act, ...]] = (
    *(spawn_and_end, spawn_and_withdraw, reserve, watch, kill_speaker, speak_to_slow_watcher, crowd_watcher),
    *(stop_after_tells, end_with_parent, restart_parent, end_with_link, end_while_asked, end_by_intensity),
    *(use_group, use_hasty_group, use_name),
)
