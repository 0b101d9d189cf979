"""A loop whose time moves only when the test advances it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class LoopClock:
    """The time of a loop, as a clock.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time


class FakeTimer:
    """The timer that `call_later` of a `FakeLoop` returns."""

    def __init__(self, loop: FakeLoop, due: float, callback: Callable[[], Any]) -> None:
        self._loop = loop
        self.due = due
        self.callback = callback

    def cancel(self) -> None:
        if self in self._loop.timers:
            self._loop.timers.remove(self)


class FakeLoop(asyncio.AbstractEventLoop):
    """Keeps callbacks until the test runs them: `tick` runs those of one tick, `advance` the timers that are due.

    Attributes:
        timers: the timers that have neither run nor been cancelled.
        readers, writers: the callbacks by descriptor; the test calls them.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: list[Callable[[], Any]] = []
        self.timers: list[FakeTimer] = []
        self.readers: dict[int, Callable[[], Any]] = {}
        self.writers: dict[int, Callable[[], Any]] = {}

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., Any], *args: Any, **_: Any) -> Any:
        self._ready.append(lambda: callback(*args))

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **_: Any) -> Any:
        timer = FakeTimer(self, self._now + delay, lambda: callback(*args))
        self.timers.append(timer)
        return timer

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        self.readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        return self.readers.pop(fd, None) is not None

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        self.writers[fd] = lambda: callback(*args)

    def remove_writer(self, fd: Any) -> bool:
        return self.writers.pop(fd, None) is not None

    def tick(self) -> int:
        """Run the callbacks of this tick; return how many there were."""
        ready, self._ready = self._ready, []
        for callback in ready:
            callback()
        return len(ready)

    def advance(self, seconds: float) -> None:
        """Move the time forward, and run each timer at the time that it is due."""
        end = self._now + seconds
        while due := sorted((timer for timer in self.timers if timer.due <= end), key=lambda timer: timer.due):
            self._now = due[0].due
            self.timers.remove(due[0])
            due[0].callback()
        self._now = end
