"""Warms the segments that a process will write next, in a thread, while the process does other work.

The first write to a page costs the writer more than the copy itself: the kernel clears the page and maps it. The
thread starts with the first segment that is offered, and ends with the client.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Final

from actorrt.config import MIB
from actorrt.machine.threads import Threads
from actorrt.store.memory.mappings import SegmentMaps

_STEP_BYTES: Final = 4 * MIB


class Warmer:
    """One process's thread for warming.

    Args:
        maps: the mapped segments; a segment that is unmapped meanwhile is skipped.
        threads: makes the thread.
    """

    def __init__(self, maps: SegmentMaps, threads: Threads) -> None:
        self._maps = maps
        self._threads = threads
        self._executor: Executor | None = None
        self._is_over = False

    def warm(self, segment_id: int, offset: int = 0, length_bytes: int | None = None) -> None:
        """Begin to warm a segment, or a range of it; returns at once."""
        if self._is_over:
            return
        if self._executor is None:
            self._executor = self._threads.pool("actorrt-warming")
        end = self._maps.size_bytes(segment_id) if length_bytes is None else offset + length_bytes
        self._executor.submit(self._warm, segment_id, offset, end)

    def _warm(self, segment_id: int, start: int, end: int) -> None:
        for offset in range(start, end, _STEP_BYTES):
            if self._is_over:
                return
            self._maps.warm(segment_id, offset, min(_STEP_BYTES, end - offset))

    def close(self) -> None:
        """Stop after the step in progress. Idempotent."""
        self._is_over = True
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
