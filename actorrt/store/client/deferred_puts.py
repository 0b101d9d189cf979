"""Values that are put later, by a thread: the loop that made them can't wait until there is room.

They are copied meanwhile, into memory of the process. How much that may be is bounded: beyond, `put` fails at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from actorrt.config import MIB

if TYPE_CHECKING:
    from actorrt.store.values.encoding import Encoded

_MAX_BYTES: Final = 64 * MIB


class DeferredPuts:
    """One process's values that wait for room in its store. The thread starts with the first one."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    def copy(self, encoded: Encoded) -> memoryview | None:
        """Return the bytes of an object, which count as waiting; None where as many wait as may. One always may."""
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + encoded.length_bytes > _MAX_BYTES:
                return None
            self._waiting_bytes += encoded.length_bytes
        target = np.empty(encoded.length_bytes, np.uint8).data
        encoded.write(target)
        return target.toreadonly()

    def start(self, copy: memoryview, put: Callable[[], None]) -> None:
        """Have the thread put what was copied, after those that wait already."""
        length_bytes = copy.nbytes
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="actorrt-putting")
            putting = self._executor.submit(put)
        putting.add_done_callback(lambda done: self._ended(done, length_bytes))

    def _ended(self, _: Future[None], length_bytes: int) -> None:
        with self._lock:
            self._waiting_bytes -= length_bytes

    def close(self) -> None:
        """Give up what waits; the store has ended for this process. Idempotent."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def abandon_after_fork(self) -> None:
        """In a forked child: the thread, and who may have held the lock, are the parent's."""
        self._executor = None
        self._lock = threading.Lock()
