"""Task ownership: every task belongs to a `Scope`, which ends the tasks that it started.

This is the only module that creates tasks. When a task or a timer of a scope raises, the scope cancels the others,
accepts no more, and tells its owner. So no failure goes unnoticed, and no other task of the scope runs on after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Scope:
    """Owns tasks on the loop that it is made on.

    Args:
        name: the purpose of the scope; the names of its tasks begin with it.
        on_crash: called once, with the first exception that left a task or a timer, or that was given to `fail`. The
            other tasks have been told to cancel by then.
    """

    def __init__(self, name: str, on_crash: Callable[[BaseException], None]) -> None:
        self.name = name
        self._on_crash = on_crash
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self.loop = asyncio.get_running_loop()
        self._is_closed = False
        self._failure: BaseException | None = None

    def start(self, coroutine: Coroutine[Any, Any, T], name: str, *, context: Context | None = None) -> asyncio.Task[T]:
        """Run `coroutine` as a task of this scope.

        Raises:
            RuntimeError: the scope is closed; the coroutine is closed and never runs.
        """
        if self._is_closed:
            coroutine.close()
            raise RuntimeError(f"scope {self.name!r} is closed: {name!r} was not started")
        task = self.loop.create_task(coroutine, name=f"{self.name}/{name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def after(self, delay_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on the loop after `delay_s` seconds, unless the scope is closed by then.

        Returns:
            A function that cancels the timer.
        """

        def due() -> None:
            self._timers.discard(timer)
            try:
                callback()
            except Exception as error:  # a timer that raises ends the scope, as a task does
                self.fail(error)

        timer = self.loop.call_later(delay_s, due)
        self._timers.add(timer)

        def cancel() -> None:
            timer.cancel()
            self._timers.discard(timer)

        return cancel

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, KeyboardInterrupt):
            return  # the loop has raised it to its runner, which handles Ctrl-C
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End this scope because of a defect: accept no more tasks, cancel the running ones, tell the owner.

        The owner is told of the first defect only. A later one, or one that occurs while the scope closes, is logged.
        """
        if self._is_closed:
            if error is not self._failure:
                logger.error("a defect in scope %r, which is closed", self.name, exc_info=error)
            return
        self._is_closed = True
        self._failure = error
        self._cancel_all()
        self._on_crash(error)

    def _cancel_all(self) -> None:
        own = _current_task()
        for task in self._tasks:
            if task is not own:
                task.cancel()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended. Idempotent; a task may close its own scope."""
        self._is_closed = True
        self._cancel_all()
        own = _current_task()
        while others := [task for task in self._tasks if task is not own]:
            await asyncio.wait(others)
            self._cancel_all()

    @property
    def is_closed(self) -> bool:
        """Whether no more tasks can be started."""
        return self._is_closed

    def __len__(self) -> int:
        return len(self._tasks)


async def parts_of(items: Sequence[T], size: int) -> AsyncIterator[Sequence[T]]:
    """Yield `items` in parts of at most `size`; the loop runs other callbacks between two parts."""
    for first in range(0, len(items), size):
        if first:
            await asyncio.sleep(0)
        yield items[first : first + size]


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # in a callback of a loop that is closed
        return None
