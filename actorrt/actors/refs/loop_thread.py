"""The thread whose loop does an endpoint's work, and what other threads hand over to it.

A call from any thread reaches the endpoint through `on_loop`. The callbacks of one thread run on the loop in that
thread's order. A callback that raises does not keep the others from running: its exception is a defect, which the loop
reports.
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
    """Takes callbacks over from other threads, for one loop.

    Attributes:
        thread: the thread in which the loop runs; None while it does not run.
        closed_by: the error of the operations that were under way when the endpoint was closed; None until then.
        why_closed: what the error says of everything that is asked after the end.
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
        """Called when the loop runs in this thread from now on, until `leave`."""
        self.thread = get_ident()

    def leave(self) -> None:
        """Called when the loop stops for a while: every thread hands over until it runs again."""
        self.thread = None

    def __len__(self) -> int:
        """How many callbacks of other threads the loop has not begun."""
        return len(self._handed_over)

    def on_loop(self, callback: Callable[[], Any]) -> None:
        """Run `callback` on the loop: at once if this is its thread, otherwise when the loop takes it over.

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
            except RuntimeError:  # the loop is closed; the next caller is told so, too
                self._is_waking = False
                self._handed_over.clear()
                raise self.refusal() from None

    def refusal(self) -> RuntimeStateError:
        """Return the error of everything that is asked after the end."""
        return RuntimeStateError(self.why_closed)

    def _take_over(self) -> None:
        """Run the callbacks that were handed over so far; those that come meanwhile wait for another turn."""
        self._is_waking = False
        try:
            for _ in range(len(self._handed_over)):
                self._handed_over.popleft()()
        finally:
            if self._handed_over and not self._is_waking:
                self._is_waking = True
                self.loop.call_soon(self._take_over)

    def operate(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> Operation[T]:
        """Run a coroutine function on the loop; return an operation that ends with it."""
        operation: Operation[T] = Operation(what)

        def ended(_: asyncio.Task[None]) -> None:
            if not operation.done():  # its task was cancelled, maybe before its first step
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
