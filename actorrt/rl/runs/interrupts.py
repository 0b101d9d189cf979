"""Turns an interrupt (Ctrl-C) during a wait into a call, rather than an exception anywhere in whatever runs then.

In local mode the waiting thread runs actors and the runtime itself; an exception between any two of its steps would
leave both in no state to go on, and a checkpoint could not be made.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def calling(react: Callable[[], None]) -> Iterator[None]:
    """Within this, the first interrupt calls `react`, and ends in `KeyboardInterrupt` when the block does.

    A second one is an exception at once. Without effect outside the main thread, and where somebody handles
    interrupts in another way: that goes on as it was.

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
