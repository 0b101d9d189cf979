"""The actors of the standard story, which note what the runtime may not do.

All processes of a World share Python's modules, so the test sees what an actor notes in a global list. Nothing that the
runtime decides depends on it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np

import actorrt as art


class Failure(Exception):
    """An exception of a method."""


class Notes:
    """What actors have noted in one run.

    Attributes:
        broken: the promises that were broken, in words.
        is_prompt: whether every process answers within a second, so that no Down gives up waiting for last messages.
        runs: how often a key ran in an incarnation without an error.
        taken: how many snapshots an actor has returned.
        restored: the newest snapshot that each actor was given.
    """

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.is_prompt = False
        self.runs: Counter[tuple[str, int, str]] = Counter()
        self.taken: Counter[str] = Counter()
        self.restored: dict[str, int] = {}

    def check(self, is_kept: bool, promise: str) -> None:
        """Note a promise that is broken."""
        if not is_kept:
            self.broken.append(promise)


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

    async def items(self, count: int) -> Any:
        for number in range(count):
            await asyncio.sleep(0.001)
            yield number

    def total(self, values: Any) -> float:
        return float(np.sum(values))

    def ones(self, length: int) -> np.ndarray:
        return np.ones(length)

    async def child(self, isolation: str) -> art.ActorRef[Part]:
        return await Part.options(isolation=isolation).spawn()

    def link_to(self, other: art.ActorRef[Part]) -> None:
        self.context.link(other)

    async def tell_watcher(self, watcher: art.ActorRef[Watcher], count: int) -> None:
        """Tell a watcher some numbers, the last of them in the moment in which this ends."""
        for number in range(count):
            watcher.said.tell(repr(self.context.ref), number)
            if number % 3 == 0:
                await asyncio.sleep(0.001)
        self.context.stop()


class Watcher(art.Actor):
    """Watches others: a Down comes once, after everything that the other has said."""

    def __init__(self) -> None:
        self.heard: dict[str, int] = {}
        self.downs: Counter[str] = Counter()

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
