"""Values that a thread puts later, because the loop that made them can't wait for memory of the store.

They are copied into memory of the process until then. The copies are bounded: beyond the bound, `put` fails at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Final

import numpy as np

from actorrt.config import MIB
from actorrt.machine.threads import Threads

if TYPE_CHECKING:
    from actorrt.store.values.encoding import Encoded

_MAX_BYTES: Final = 64 * MIB


class DeferredPuts:
    """The values of one process that wait for memory. The thread starts with the first one.

    Args:
        threads: makes the thread.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._executor: Executor | None = None
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    @property
    def are_waiting(self) -> bool:
        """Whether a value waits."""
        return self._waiting_bytes > 0

    def copy(self, encoded: Encoded) -> memoryview | None:
        """Return a copy of an object's bytes, which waits from now on; None if too many bytes wait already."""
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + encoded.length_bytes > _MAX_BYTES:
                return None
            self._waiting_bytes += encoded.length_bytes
        target = np.empty(encoded.length_bytes, np.uint8).data
        encoded.write(target)
        return target.toreadonly()

    def start(self, copy: memoryview, put: Callable[[], None]) -> None:
        """Have the thread put a copy, after those that wait already."""
        length_bytes = copy.nbytes
        with self._lock:
            if self._executor is None:
                self._executor = self._threads.pool("actorrt-putting")
            putting = self._executor.submit(put)
        putting.add_done_callback(lambda done: self._ended(done, length_bytes))

    def _ended(self, _: Future[None], length_bytes: int) -> None:
        with self._lock:
            self._waiting_bytes -= length_bytes

    def close(self) -> None:
        """Drop the values that wait, because the client ends. Idempotent."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def abandon_after_fork(self) -> None:
        """In a forked child: the thread is the parent's, and another thread may have held the lock."""
        self._executor = None
        self._lock = threading.Lock()
