"""Turns an interrupt (Ctrl-C) during a wait into a function call, instead of an exception at an arbitrary place.

In local mode the waiting thread runs the actors and the runtime itself. An exception between any two of its steps would
leave both in an inconsistent state, and no checkpoint could be made.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def calling(react: Callable[[], None]) -> Iterator[None]:
    """Within the block, the first interrupt calls `react`; `KeyboardInterrupt` is raised when the block ends.

    A second interrupt raises at once. The block has no effect outside the main thread, or if another handler of
    interrupts is installed, which stays.

    Raises:
        KeyboardInterrupt: at the end of the block, if there was an interrupt and no other error.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    was_interrupted = False

    def interrupted(_: int, __: FrameType | None) -> None:
        nonlocal was_interrupted
        was_interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        react()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if was_interrupted:
        raise KeyboardInterrupt
