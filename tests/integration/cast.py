"""Actors that tests of the whole runtime use."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import actorrt as art


class Counter(art.Actor):
    """Counts with a plain method and with an async one."""

    def __init__(self, start: int = 0) -> None:
        self.n = start

    def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    async def add_async(self, by: int = 1) -> int:
        self.n += by
        return self.n

    def value(self) -> int:
        return self.n

    def pid(self) -> int:
        return os.getpid()

    def incarnation(self) -> int:
        return self.context.incarnation


class Refusal(Exception):
    """An exception with an attribute that is not among its arguments."""

    def __init__(self, code: int, *, why: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.why = why


class Unpicklable(Exception):
    """An exception that can't be pickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")

    def __reduce__(self) -> Any:
        return Unpicklable, (threading.Lock(),)


class Faulty(art.Actor):
    """Fails on demand."""

    def raise_value_error(self) -> None:
        raise ValueError("no such thing")

    async def raise_refusal(self) -> None:
        refusal = Refusal(7)
        refusal.why = "because"
        raise refusal

    def raise_unpicklable(self) -> None:
        raise Unpicklable(1, 2)

    def raise_chain(self) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    def exit(self, status: Any = 3) -> None:
        raise SystemExit(status)

    def exit_process(self, status: int) -> None:
        os._exit(status)

    def abort(self) -> None:
        os.abort()

    def return_lock(self) -> Any:
        return {"a": [threading.Lock()]}

    def tolerate(self) -> str:
        return "alive"

    def pid(self) -> int:
        return os.getpid()

    def incarnation(self) -> int:
        return self.context.incarnation


class Recorder(art.Actor):
    """Keeps the items that it receives, in order."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def note(self, item: Any) -> None:
        self.items.append(item)

    async def note_async(self, item: Any) -> None:
        self.items.append(item)

    def all(self) -> list[Any]:
        return self.items

    def pid(self) -> int:
        return os.getpid()


class Gate(art.Actor):
    """Holds calls of `wait` until its method `open` is called, or until they are cancelled."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = 0
        self.cancelled = 0
        self.inside = 0
        self.peak = 0

    async def wait(self) -> str:
        self.entered += 1
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.inside -= 1
        return "open"

    async def wait_within(self, seconds: float) -> str:
        async with asyncio.timeout(seconds):
            return await self.wait()

    async def peak_count(self) -> int:
        return self.peak

    async def open(self) -> None:
        self.opened.set()

    async def counts(self) -> tuple[int, int]:
        return self.entered, self.cancelled

    def pid(self) -> int:
        return os.getpid()


class Echo(art.Actor):
    """Returns or describes the values that it receives."""

    def echo(self, value: Any) -> Any:
        return value

    def describe(self, value: Any) -> str:
        return f"{type(value).__name__} {value!r}"

    def describe_keyword(self, *, value: Any) -> str:
        return f"{type(value).__name__} {value!r}"

    def total(self, array: Any) -> float:
        return float(array.sum())

    def is_writable(self, array: Any) -> bool:
        return bool(array.flags.writeable)

    def ones(self, count: int) -> Any:
        import numpy as np

        return np.ones(count)

    def pid(self) -> int:
        return os.getpid()


class Parent(art.Actor):
    """Spawns children while it starts and from its methods."""

    def __init__(self, early_count: int = 0, **child_options: Any) -> None:
        self.early_count = early_count
        self.child_options = child_options
        self.children: list[art.ActorRef[Counter]] = []

    async def on_start(self) -> None:
        for n in range(self.early_count):
            self.children.append(await Counter.options(**self.child_options).spawn(n))

    async def spawn_child(self, **options: Any) -> art.ActorRef[Counter]:
        child = await Counter.options(**options).spawn()
        self.children.append(child)
        return child

    async def known_children(self) -> list[art.ActorRef[Counter]]:
        return self.children

    def finish(self) -> None:
        self.context.stop()

    def fail(self) -> None:
        raise SystemExit("on purpose")

    def pid(self) -> int:
        return os.getpid()


class Source(art.Actor):
    """Has streaming methods, and counts the items that it made and the streams that were closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0

    async def numbers(self, count: int) -> AsyncIterator[int]:
        try:
            for n in range(count):
                self.made += 1
                yield n
        finally:
            self.closed += 1

    def plain_numbers(self, count: int) -> Iterator[int]:
        try:
            for n in range(count):
                self.made += 1
                yield n
        finally:
            self.closed += 1

    async def breaking(self, after: int) -> AsyncIterator[int]:
        for n in range(after):
            yield n
        raise ValueError(f"broken after {after}")

    async def state(self) -> tuple[int, int]:
        return self.made, self.closed
