"""Watches futures that have a deadline: a test fails if a future is still pending 5 s after its deadline.

The runtime promises that a call ends by its deadline. A test that waits for a call that does not end would hang, and a
test that drops the call would not notice. So deadlines are recorded where futures get them, and a thread checks them.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from typing import Any

from actorrt.actors.calling.streams import Streams
from actorrt.actors.refs.reply import Reply
from actorrt.completion import Completion
from actorrt.testing.virtual.loop import VirtualLoop

OVERDUE_S = 5.0
LOOK_EVERY_S = 0.5


class Watchdog:
    """Records deadlines of this process's futures, and fails the futures that outlive them.

    Args:
        overdue_s: how long a future may be pending after its deadline.
        look_every_s: the time between two checks.
    """

    def __init__(self, overdue_s: float = OVERDUE_S, look_every_s: float = LOOK_EVERY_S) -> None:
        self._overdue_s = overdue_s
        self._look_every_s = look_every_s
        self._due: weakref.WeakKeyDictionary[Completion[Any], float] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._found: list[str] = []
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def note(self, future: Completion[Any], deadline: float) -> None:
        """Record the time, a `time.monotonic()` value, by which the future must end."""
        with self._lock:
            self._due[future] = deadline

    def look(self, now: float) -> None:
        """Fail overdue futures, so that their waiters continue; `take` returns a text for each of them."""
        with self._lock:
            ended = [future for future in self._due if future.done()]
            late = [(future, now - due) for future, due in self._due.items() if now - due > self._overdue_s]
            for future in ended + [future for future, _ in late]:
                self._due.pop(future, None)
        for future, late_s in late:
            if not future.done():
                words = f"{future!r} is still pending {late_s:.1f} s after its deadline"
                self._found.append(words)
                future.set_error(AssertionError(words))

    def take(self) -> list[str]:
        """Return the texts about overdue futures since the last call."""
        found, self._found = self._found, []
        return found

    def _watch(self) -> None:
        while not self._is_ended.wait(self._look_every_s):
            self.look(time.monotonic())

    def start(self) -> None:
        """Record the deadlines of calls and of streams' items from now on, and check them in a thread."""
        make, limit = Reply.__init__, Streams.limit

        def note(future: Completion[Any], deadline: float) -> None:
            # A World checks the deadlines of its calls. A deadline that was over long before its future was made is a
            # time of a test's own clock, which begins at 0.
            is_of_another_clock = time.monotonic() - deadline > self._overdue_s
            if not (is_of_another_clock or isinstance(asyncio._get_running_loop(), VirtualLoop)):
                self.note(future, deadline)

        def made(reply: Reply[Any], *args: Any, **kwargs: Any) -> None:
            make(reply, *args, **kwargs)
            if reply.deadline is not None:
                note(reply, reply.deadline)

        def limited(streams: Streams, reply: Reply[None], arrival: Completion[None], timeout_s: float) -> None:
            note(arrival, time.monotonic() + timeout_s)
            limit(streams, reply, arrival, timeout_s)

        Reply.__init__, Streams.limit = made, limited  # type: ignore[method-assign]
        self._restore = make, limit
        self._thread.start()

    def end(self) -> None:
        """Stop recording and checking."""
        Reply.__init__, Streams.limit = self._restore  # type: ignore[method-assign]
        self._is_ended.set()
        self._thread.join()
