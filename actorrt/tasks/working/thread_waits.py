"""Lets the threads wait that user code has started beside a loop, and ends waits that would last for ever.

The loop of a worker, and that of a script in local mode, runs in the main thread between plain code and inside its
waits. So a thread that waits for a result is answered when the main thread does one of these. If the main thread waits
for that thread instead, without a time limit, it never does. What it waits for is read from its frames: a
`Thread.join`, also of an executor that is shut down, or the `result` of a future of an executor. Events, queues and
locks do not say for whom they wait.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Iterator
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final

from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError

LOOK_EVERY_S: Final = 0.1
"""How often a thread that waits looks at what the main thread waits for."""

_JOIN: Final[CodeType] = threading.Thread.join.__code__
_RESULT: Final[CodeType] = concurrent.futures.Future.result.__code__
_EXCEPTION: Final[CodeType] = concurrent.futures.Future.exception.__code__


class ThreadWaits:
    """The blocking rule of all threads of a process but its main thread.

    Args:
        main_thread: the thread that runs the loop and plain functions.
    """

    def __init__(self, main_thread: int) -> None:
        self._main_thread = main_thread

    def wait(self, completion: Completion[Any], timeout_s: float | None) -> None:
        """Wait in plain code of a thread.

        Raises:
            RuntimeStateError: the main thread waits for this thread, so that the loop never runs.
        """
        if timeout_s is not None:
            completion.block(timeout_s)
            return
        while not completion.done():
            completion.block(LOOK_EVERY_S)
            if not completion.done() and self._is_awaited(get_ident()):
                raise RuntimeStateError(
                    f"{completion!r}: this thread waits for it, and the main thread waits for this thread, so the loop "
                    "that has to complete it can't run: wait for it in the main thread, or write a coroutine and use "
                    "asyncio.to_thread"
                )

    def _is_awaited(self, thread: int) -> bool:
        """Whether the main thread waits for a thread, itself or over threads that wait for each other."""
        frames = sys._current_frames()
        waiting, seen = self._main_thread, {self._main_thread}
        while True:
            awaited = _awaited_by(waiting, frames)
            if awaited == thread:
                return True
            if awaited is None or awaited in seen:
                return False
            seen.add(awaited)
            waiting = awaited


def _awaited_by(thread: int, frames: dict[int, FrameType]) -> int | None:
    """Return the thread that another thread waits for, without a time limit; None if its frames do not say so."""
    for frame in _outwards(frames.get(thread)):
        if frame.f_code is _JOIN and frame.f_locals.get("timeout") is None:
            joined = frame.f_locals["self"].ident
            return joined if isinstance(joined, int) else None
        if frame.f_code in (_RESULT, _EXCEPTION) and frame.f_locals.get("timeout") is None:
            return _runs(frame.f_locals.get("self"), frames)
        if frame.f_globals.get("__name__") != threading.__name__:
            return None  # other code runs
    return None


def _runs(future: Any, frames: dict[int, FrameType]) -> int | None:
    """Return the thread of an executor that computes a future; None if none does."""
    for thread, innermost in frames.items():
        for frame in _outwards(innermost):
            item = frame.f_locals.get("self") if frame.f_code.co_name == "run" else None
            if getattr(item, "future", None) is future:
                return thread
    return None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
