"""Task ownership: every task belongs to a `Scope`, which ends what it started.

This is the only module that creates tasks. A task that fails is told to the scope's owner at once, and the scope
takes no more tasks: no failure passes unseen, and nothing runs on beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


class Scope:
    """Owns tasks on one loop.

    Args:
        name: what the scope is for; it begins its tasks' names.
        on_crash: called once, with the first error that a task of this scope let through; the other tasks are
            being cancelled by then.
    """

    def __init__(self, name: str, on_crash: Callable[[BaseException], None]) -> None:
        self.name = name
        self._on_crash = on_crash
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def start(self, coroutine: Coroutine[Any, Any, T], name: str, *, context: Context | None = None) -> asyncio.Task[T]:
        """Run `coroutine` as a task of this scope, on the running loop.

        Raises:
            RuntimeError: the scope is closed; the coroutine is closed unrun.
        """
        if self._is_closed:
            coroutine.close()
            raise RuntimeError(f"scope {self.name!r} is closed: {name!r} was not started")
        task = asyncio.get_running_loop().create_task(coroutine, name=f"{self.name}/{name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._is_closed:
            self._is_closed = True
            self._cancel_all()
            self._on_crash(error)

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended. Idempotent; a task may close its own scope."""
        self._is_closed = True
        own = asyncio.current_task()
        while others := [task for task in self._tasks if task is not own]:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    def __len__(self) -> int:
        return len(self._tasks)
