"""The actors of the standard story, which note what the runtime may not do.

All processes of a World share Python's modules, so the test sees what an actor notes in a global list. Nothing that the
runtime decides depends on it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import actorrt as art
from actorrt.testing import World

LOST_SNAPSHOTS_COUNT = 8
"""How many snapshots of an actor may not have been kept when its process is killed. Writing the disk may fail, too."""


class Failure(Exception):
    """An exception of a method."""


class HiddenFailure(Failure):
    """An exception that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("this text can't be had")


class Notes:
    """What actors have noted in one run.

    Attributes:
        broken: the promises that were broken, in words.
        is_prompt: whether every process answers within a second, so that no Down gives up waiting for last messages.
        is_spared: whether processes are killed by acts only.
        kills_count: how many processes acts have killed, or were about to.
        runs: how often a key ran in an incarnation without an error.
        marks: how often each mark was made.
        failed_at: when a hasty part has failed last.
        children: what the incarnations of each parent have spawned.
        world: the world, as long as it is there.
        taken: how many snapshots an actor has returned.
        restored: the newest snapshot that each actor was given.
    """

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.is_prompt = False
        self.is_spared = False
        self.kills_count = 0
        self.runs: Counter[tuple[str, int, str]] = Counter()
        self.marks: Counter[str] = Counter()
        self.failed_at: dict[str, float] = {}
        self.children: dict[str, list[art.ActorRef[Part]]] = {}
        self.world: Callable[[], World | None] = lambda: None
        self.taken: Counter[str] = Counter()
        self.restored: dict[str, int] = {}

    def check(self, is_kept: bool, promise: str) -> None:
        """Note a promise that is broken."""
        if not is_kept:
            self.broken.append(promise)

    def is_running(self, actor: art.ActorRef[Any]) -> bool:
        """Whether an actor runs now."""
        world = self.world()
        return world is not None and world.is_running(actor)


notes = Notes()


def begin_notes() -> Notes:
    """Forget what was noted in former runs."""
    notes.__init__()  # type: ignore[misc]
    return notes


class Part(art.Actor):
    """One actor of the story."""

    def __init__(self) -> None:
        self.count = 0
        self.last: dict[str, int] = {}

    def add(self) -> int:
        self.count += 1
        return self.count

    async def work(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return self.add()

    async def mark(self, mark: str, seconds: float = 0.0) -> None:
        """Make a mark after some seconds, unless the call is withdrawn before. No call begins after its deadline."""
        deadline = self.context.deadline
        notes.check(deadline is None or time.monotonic() < deadline, f"{mark!r} began after its deadline")
        await asyncio.sleep(seconds)
        notes.marks[mark] += 1

    async def once(self, key: str) -> int:
        """Run once for a key, while this incarnation lives and nobody withdraws the call."""
        await asyncio.sleep(0.01)
        here = (repr(self.context.ref), self.context.incarnation, key)
        notes.runs[here] += 1
        notes.check(notes.runs[here] == 1, f"{here} ran {notes.runs[here]} times")
        return self.add()

    def in_order(self, sender: str, number: int) -> None:
        """Take the numbers of one sender, which must grow while this incarnation lives."""
        last = self.last.get(sender, 0)
        notes.check(number > last, f"{self.context.ref!r} got {number} of {sender} after {last}")
        self.last[sender] = number

    async def relay(self, other: art.ActorRef[Part]) -> int:
        return await other.add()

    def fail(self) -> None:
        raise Failure("this one fails")

    async def fail_hidden(self, seconds: float) -> None:
        """Raise an exception that can't be shown, after having waited or not."""
        if seconds:
            await asyncio.sleep(seconds)
        raise HiddenFailure

    async def items(self, count: int) -> Any:
        for number in range(count):
            await asyncio.sleep(0.001)
            yield number

    def total(self, values: Any) -> float:
        return float(np.sum(values))

    def ones(self, length: int) -> np.ndarray:
        return np.ones(length)

    async def child(self, isolation: str | None) -> art.ActorRef[Part]:
        """Spawn a child; without an isolation it is on this actor's loop."""
        child = await Part.options(isolation=isolation, max_concurrency=4).spawn()
        notes.children.setdefault(repr(self.context.ref), []).append(child)
        return child

    async def pass_on(self, other: art.ActorRef[Part], length: int) -> None:
        """Tell another actor of an object, with and without being asked whether it has arrived."""
        ref = await art.put_async(np.ones(length))
        other.total.tell(ref)
        await other.total(ref)

    async def try_child(self, child: art.ActorRef[Part]) -> int:
        return await child.add()

    async def try_work(self, other: art.ActorRef[Part], seconds: float) -> int:
        return await other.work(seconds)

    def count_incarnations(self) -> int:
        return self.context.incarnation

    def link_to(self, other: art.ActorRef[Part]) -> None:
        self.context.link(other)

    async def tell_watcher(self, watcher: art.ActorRef[Watcher], count: int) -> None:
        """Tell a watcher some numbers, the last of them in the moment in which this ends."""
        for number in range(count):
            watcher.said.tell(repr(self.context.ref), number)
            if number % 3 == 0:
                await asyncio.sleep(0.001)
        self.context.stop()


class Parent(Part):
    """A part whose next incarnation begins when the children of the one before have gone."""

    def on_start(self) -> None:
        for child in notes.children.pop(repr(self.context.ref), ()):
            notes.check(not notes.is_running(child), f"{self.context.ref!r} begins, and {child!r} of before still runs")


class Hasty(Part):
    """A part whose first incarnations fail as soon as they have started, or a moment later.

    Args:
        count: how many incarnations fail.
        moment_s: how long they live.
    """

    def __init__(self, count: int = 1, moment_s: float = 0.0) -> None:
        super().__init__()
        self.failing_count = count
        self.moment_s = moment_s

    async def on_start(self) -> None:
        if self.context.incarnation > self.failing_count:
            return
        if self.moment_s:
            await asyncio.sleep(random.random() / 50)
            self.context.after(self.moment_s, "fail_at_first")
        else:
            self.context.ref.fail_at_first.tell()

    def fail_at_first(self) -> None:
        notes.failed_at[repr(self.context.ref)] = time.monotonic()
        raise Failure("the first incarnations fail")


class Needy(Part):
    """A part that is made of something else.

    Args:
        need: what it needs.
    """

    def __init__(self, need: Any) -> None:
        super().__init__()
        self.need = need


class Watcher(art.Actor):
    """Watches others: a Down comes once, after everything that the other has said."""

    def __init__(self) -> None:
        self.heard: dict[str, int] = {}
        self.downs: Counter[str] = Counter()

    async def dawdle(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def watch(self, other: art.ActorRef[Any]) -> None:
        self.context.monitor(other)

    def said(self, name: str, number: int) -> None:
        last = self.heard.get(name, -1)
        notes.check(number > last, f"{self.context.ref!r} heard {number} of {name} after {last}")
        is_first = not notes.is_prompt or name not in self.downs
        notes.check(is_first, f"{self.context.ref!r} heard {number} of {name} after its Down")
        self.heard[name] = number

    def on_down(self, down: art.Down) -> None:
        self.downs[repr(down.ref)] += 1
        notes.check(self.downs[repr(down.ref)] == 1, f"{self.context.ref!r} got a second Down of {down.ref!r}")

    def heard_of(self, other: art.ActorRef[Any]) -> int:
        return self.heard.get(repr(other), -1)

    def downs_of(self, other: art.ActorRef[Any]) -> int:
        return self.downs[repr(other)]


class Keeper(art.Actor):
    """Keeps a number over restarts, in snapshots."""

    def __init__(self) -> None:
        self.number = 0

    def add(self) -> int:
        self.number += 1
        return self.number

    def fail(self) -> None:
        raise Failure("this one fails")

    def snapshot(self) -> dict[str, Any]:
        name = repr(self.context.ref)
        notes.taken[name] += 1
        return {"serial": notes.taken[name], "number": self.number, "ballast": np.zeros(2_000)}

    def restore(self, state: dict[str, Any]) -> None:
        name, serial = repr(self.context.ref), state["serial"]
        last = notes.restored.get(name, 0)
        notes.check(serial >= last, f"{name} is given snapshot {serial} after snapshot {last}")
        is_new = notes.taken[name] - serial <= LOST_SNAPSHOTS_COUNT or not notes.is_prompt
        notes.check(is_new, f"{name} is given snapshot {serial}, and took {notes.taken[name]}")
        notes.restored[name] = serial
        self.number = state["number"]


class Team(art.Supervisor):
    """Restarts each child alone."""

    max_restarts = 1_000

    def children(self) -> list[art.Child]:
        own = [art.Child(Part, id=f"own-{number}", isolation="process") for number in range(2)]
        return [*own, *(art.Child(Part, id=f"light-{number}", max_concurrency=4) for number in range(4))]


class Chain(Team):
    """Restarts a child and those after it."""

    strategy = "rest_for_one"


class All(Team):
    """Restarts all children together."""

    strategy = "one_for_all"


class Crew(art.Supervisor):
    """Has children that fail in ways of their own.

    Args:
        names: the ids of its first children, which share a process.
    """

    max_restarts = 3
    period_s = 1_000.0

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names

    def children(self) -> list[art.Child]:
        return [art.Child(Part, id=name, max_concurrency=2) for name in self.names]

    async def add_child_that_can_not_be_sent(self) -> None:
        await self.start_child(art.Child(Needy, (number for number in ()), id="needy"))

    async def add_hasty_child(self) -> art.ActorRef[Part]:
        return await self.start_child(art.Child(Hasty, id="hasty"))

    async def add_patient_child(self) -> art.ActorRef[Part]:
        backoff = art.Backoff(first_s=8.0, max_s=8.0)
        return await self.start_child(art.Child(Hasty, 2, 0.05, id="patient", backoff=backoff, max_concurrency=2))
