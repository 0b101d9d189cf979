"""Distinguishes Ctrl-C from a KeyboardInterrupt that users' code raises itself.

Ctrl-C must end the program, so every handler lets it through. A KeyboardInterrupt that a method raises itself is an
exception like any other: it ends the method's call, and nothing else on the loop.

Python runs signal handlers in the main thread only, between two instructions of the code that runs there.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


class _Watch:
    """A SIGINT handler that calls the former handler, and remembers the exception that this raised."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.raised: BaseException | None = None

    def __call__(self, number: int, frame: Any) -> None:
        try:
            self._inner(number, frame)
        except BaseException as error:
            self.raised = error
            raise


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an exception is the KeyboardInterrupt of Ctrl-C; also True if that can't be known."""
    if not issubclass(type(error), KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, _Watch):
        return handler.raised is error
    if handler is signal.SIG_IGN:  # as in workers
        return False
    code = _code_of(handler)
    return code is None or code in [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]


def _code_of(handler: Any) -> Any:
    """Return the code object of a handler that is written in Python, such as asyncio's; None for other handlers."""
    while isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__code__", None)  # a function's, or a method's


def let_through(error: BaseException) -> None:
    """Raise the exception again if it is from Ctrl-C. Called by handlers that catch every other exception."""
    if is_ctrl_c(error):
        raise error


@contextmanager
def watched() -> Iterator[None]:
    """Make `is_ctrl_c` exact within this context. Has no effect outside the main thread."""
    is_main = threading.current_thread() is threading.main_thread()
    inner = signal.getsignal(signal.SIGINT) if is_main else None
    if not callable(inner) or isinstance(inner, _Watch):  # it is ignored, as in workers, or watched by an outer context
        yield
        return
    watch = _Watch(inner)
    signal.signal(signal.SIGINT, watch)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is watch:  # otherwise other code has replaced it in the meantime
            signal.signal(signal.SIGINT, inner)
