"""A simulated process: the callbacks that wait for the loop, and what a crash, a freeze and a thaw do to them.

    alive ── freeze ──▶ frozen ── thaw ──▶ alive
      └──── crash ────▶ dead ◀── crash ──┘

A crash is what SIGKILL is: no callback runs any more, so no `finally` and no message of farewell. The tasks of a dead
process are kept until the end of the run, because Python would run their `finally` blocks when it frees them.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final
from weakref import ref

from actorrt.background import IS_BACKGROUND
from actorrt.testing.virtual.clocks import MachineClock

_SPARE_COUNT: Final = 64
MAX_AWAITS_COUNT: Final = 100
"""How many awaits in `finally` blocks of one dead task are ended, at most."""

STOPPED: Final = "T"
WAITING: Final = "S"
COMPUTING: Final = "R"
"""The kernel's letters for the state of a process (proc(5)): a signal has stopped it, it waits, it computes."""

ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class SimulatedProcess:
    """One process of a simulation.

    Args:
        name: its name in stories.
        number: its number in the digest; also its process id.
        host: the number of its machine.
        clock: the clock of its machine; None: that shows the time of the run.

    Attributes:
        context: the context variables of its first callback.
        ready: its callbacks that can run, in order.
        is_queued: whether the loop will choose it.
        state: the kernel's letter for its state.
        exception_handler: the handler that `set_exception_handler` was given in this process.
        endpoint: what serves its code that belongs to no actor; opaque here.
        on_crash: called when it has crashed, in the order in which they were added.
        doom: what happens to it after so many more of its callbacks; None: nothing.
        thawed_at: when it was frozen last, by its clock; infinity while it is.
    """

    def __init__(self, name: str, number: int, host: int = 0, clock: MachineClock | None = None) -> None:
        self.name = name
        self.number = number
        self.host = host
        self.clock = clock
        self.context = copy_context()
        self.context.run(PROCESS.set, self)
        self.context.run(IS_BACKGROUND.set, False)
        self.ready: deque[asyncio.Handle] = deque()
        self.is_queued = False
        self.is_frozen = False
        self.state = WAITING
        self.is_alive = True
        self._tasks: list[ref[asyncio.Task[Any]]] = []
        self._most_tasks_count = _SPARE_COUNT
        self.exception_handler: ExceptionHandler | None = None
        self.endpoint: Any = None
        self.on_crash: list[Callable[[], None]] = []
        self.doom: tuple[int, Callable[[], None]] | None = None
        self.thawed_at = float("-inf")
        self._remains: list[Any] = []

    def new_context(self, is_background: bool) -> Context:
        """Return the context of a callback that another process causes here."""
        context = self.context.copy()
        if is_background:
            context.run(IS_BACKGROUND.set, True)
        return context

    def was_frozen_since(self, when: float) -> bool:
        """Whether it was frozen at some moment after that time."""
        return self.thawed_at > when

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take a new task, also one that the last callback of a dead process makes."""
        if self.is_alive:
            self._tasks.append(ref(task))
            if len(self._tasks) > self._most_tasks_count:
                self._tasks = [known for known in self._tasks if known() is not None]
                self._most_tasks_count = 2 * len(self._tasks) + _SPARE_COUNT
        else:
            self._remains.append(task)

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return its tasks, oldest first; some may have ended."""
        return [task for known in self._tasks if (task := known()) is not None]

    def crash(self) -> None:
        """End the process at once: nothing of it runs any more. Idempotent."""
        if self.is_alive:
            self.is_alive = False
            self._remains += [*self.tasks(), *self.ready]
            self.ready.clear()
            for callback in self.on_crash:
                callback()

    def bury(self) -> None:
        """Close the coroutines of a dead process; what their `finally` blocks do has no effect."""
        for remains in self._remains:
            if isinstance(remains, asyncio.Task):
                remains._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(remains)
        self._remains.clear()
        self.on_crash.clear()
        self.endpoint = self.exception_handler = self.doom = None

    def __repr__(self) -> str:
        return f"<process {self.name}>"


@contextmanager
def buried_silently() -> Iterator[None]:
    """Say nothing of coroutines that dead processes have left, and that Python frees while the body runs."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        sys.unraisablehook = hook


def _close(task: asyncio.Task[Any]) -> None:
    coroutine: Any = task.get_coro()
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        for argument in inspect.getcoroutinelocals(coroutine).values():
            if inspect.iscoroutine(argument):  # it will never be awaited
                argument.close()
    for _ in range(MAX_AWAITS_COUNT):  # a `finally` block may await; each of its awaits is ended in turn
        try:
            coroutine.close()
            return
        except (Exception, asyncio.CancelledError):
            continue  # user code that fails while it is torn down, in a process that is dead


PROCESS: Final[ContextVar[SimulatedProcess]] = ContextVar("actorrt_simulated_process")
"""The process that a callback belongs to."""
