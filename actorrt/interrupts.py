"""Tells Ctrl-C from a KeyboardInterrupt that user's code raises by itself.

Ctrl-C belongs to whoever runs the program, and passes through everything. A KeyboardInterrupt of a method's own is an
exception like any other: it ends its call, and nothing else on the loop.

Python runs signal handlers in the main thread only, in the middle of whatever code runs there.
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
    """Handles SIGINT as the handler before it does, and remembers what that raised."""

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
    """Whether an exception is Ctrl-C's KeyboardInterrupt; one of which that can't be known is taken for it."""
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
    """Return the code of a handler that is written in Python, such as asyncio's; None of others."""
    while isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__code__", None)  # of a function, or of a method's


def let_through(error: BaseException) -> None:
    """Raise the exception again if it is Ctrl-C's; for those who end all others where they are."""
    if is_ctrl_c(error):
        raise error


@contextmanager
def watched() -> Iterator[None]:
    """Within this, Ctrl-C is known from what user's code raises. Without effect outside the main thread."""
    is_main = threading.current_thread() is threading.main_thread()
    inner = signal.getsignal(signal.SIGINT) if is_main else None
    if not callable(inner) or isinstance(inner, _Watch):  # ignored, as in workers; or watched already
        yield
        return
    watch = _Watch(inner)
    signal.signal(signal.SIGINT, watch)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is watch:  # else somebody has taken it over meanwhile
            signal.signal(signal.SIGINT, inner)
