"""The thread whose loop does an endpoint's work, and what other threads hand over to it.

A call from any thread reaches the endpoint through `on_loop`. What one thread hands over runs in that thread's order,
on the loop, and a callback that raises holds up none behind it: its exception is a defect, which the loop reports.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from threading import get_ident
from typing import Any, TypeVar

from actorrt import forks
from actorrt.actors.refs.operation import Operation
from actorrt.completion import Completion
from actorrt.errors import ActorRtError, CallCancelledError, RuntimeStateError
from actorrt.forks import abandoned
from actorrt.scopes import Scope

T = TypeVar("T")


class LoopThread:
    """Takes over work for one loop.

    Attributes:
        thread: the thread in which the loop runs; None while it does not run.
        closed_by: what ended the operations that were under way, where something did.
        why_closed: what whoever asks for more after the end is told.
        loop: the loop.
        scope: owns the operations.
        call_later: as of the loop, whose thread alone may call it.
    """

    def __init__(self) -> None:
        self.thread: int | None = None
        self.closed_by: ActorRtError | None = None
        self.why_closed = "the runtime was shut down: call actorrt.init() again"
        self._handed_over: deque[Callable[[], Any]] = deque()
        self._is_waking = False

    def begin(self, loop: asyncio.AbstractEventLoop, scope: Scope) -> None:
        """Serve `loop`, which runs in this thread. `scope` owns the operations."""
        self.loop = loop
        self.scope = scope
        self.call_later = loop.call_later
        self.enter()

    def enter(self) -> None:
        """The loop runs in this thread from now on; `leave` says when it does not."""
        self.thread = get_ident()

    def leave(self) -> None:
        """The loop does not run: whoever calls hands over until it does."""
        self.thread = None

    def __len__(self) -> int:
        """How much other threads have handed over that the loop has not begun."""
        return len(self._handed_over)

    def on_loop(self, callback: Callable[[], Any]) -> None:
        """Run `callback` on the loop: at once if this is its thread, else handed over in order.

        Raises:
            RuntimeStateError: the runtime was shut down, or this is a forked child.
        """
        if get_ident() == self.thread:
            callback()
            return
        if abandoned:
            forks.check()
        self._handed_over.append(callback)
        if not self._is_waking:
            self._is_waking = True
            try:
                self.loop.call_soon_threadsafe(self._take_over)
            except RuntimeError:  # the loop is closed; the next one is to be told so, too
                self._is_waking = False
                self._handed_over.clear()
                raise self.refusal() from None

    def refusal(self) -> RuntimeStateError:
        """Return what is raised by whatever is asked after the end."""
        return RuntimeStateError(self.why_closed)

    def _take_over(self) -> None:
        """Run what other threads have handed over so far; what they hand over meanwhile waits for another turn."""
        self._is_waking = False
        try:
            for _ in range(len(self._handed_over)):
                self._handed_over.popleft()()
        finally:
            if self._handed_over and not self._is_waking:
                self._is_waking = True
                self.loop.call_soon(self._take_over)

    def operate(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> Operation[T]:
        """Run a coroutine function on the loop; what is returned ends with it."""
        operation: Operation[T] = Operation(what)

        def ended(_: asyncio.Task[None]) -> None:
            if not operation.done():  # its task was cancelled, before its first step maybe
                operation.set_error(self.closed_by or CallCancelledError(f"{what} was cancelled"))

        async def run() -> None:
            try:
                operation.set_value(await work())
            except Exception as error:
                operation.set_error(error)

        def begin() -> None:
            if self.scope.is_closed:
                operation.set_error(self.refusal())
                return
            task = self.scope.start(run(), what, context=Context())
            task.add_done_callback(ended)
            operation.on_cancel(lambda: self.on_loop(task.cancel))

        self.on_loop(begin)
        return operation

    def limit(self, completion: Completion[Any], seconds: float, late: Callable[[], Any]) -> None:
        """Have `late` called on the loop in `seconds` seconds, unless `completion` is done by then; from any thread."""

        def due() -> None:
            if not completion.done():
                late()

        def begin() -> None:
            timer = self.call_later(max(0.0, seconds), due)
            completion.add_callback(lambda _: self.on_loop(timer.cancel))

        self.on_loop(begin)
