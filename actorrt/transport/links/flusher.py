"""When envelopes leave: at the end of the drain in which they were sent, otherwise at the end of the loop's tick.

A flush never happens in the stack of the sender: the end of a drain and the end of a tick are the transport's own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushable(Protocol):
    """A link, as the flusher knows it."""

    def flush_now(self) -> None: ...


class Flusher:
    """The links of one transport that have something to flush.

    Attributes:
        is_draining: while True, a drain calls `flush` when it ends, and the end of the tick need not.
    """

    __slots__ = ("_is_scheduled", "_links", "_loop", "is_draining")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[Flushable] = []
        self._is_scheduled = False
        self.is_draining = False

    def add(self, link: Flushable) -> None:
        """Flush the link soon. The caller adds a link once for each flush."""
        self._links.append(link)
        if not self._is_scheduled and not self.is_draining:
            self._is_scheduled = True
            self._loop.call_soon(self._end_of_tick)

    def _end_of_tick(self) -> None:
        self._is_scheduled = False
        self.flush()

    def flush(self) -> None:
        """Flush the links that were added since the last flush."""
        links = self._links
        if links:
            self._links = []
            for link in links:
                link.flush_now()
