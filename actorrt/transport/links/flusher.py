"""Flushes links: at the end of the drain in which envelopes were sent, otherwise at the end of the loop's tick.

A drain is the delivery of all messages that have arrived together. A flush never happens in the stack of a sender.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushable(Protocol):
    """The part of a link that the flusher uses."""

    def flush_now(self) -> None: ...


class Flusher:
    """The links of one transport that have envelopes to flush.

    Attributes:
        is_draining: True during a drain. The end of the drain calls `flush`, so the end of the tick need not.
    """

    __slots__ = ("_is_scheduled", "_links", "_loop", "is_draining")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[Flushable] = []
        self._is_scheduled = False
        self.is_draining = False

    def add(self, link: Flushable) -> None:
        """Flush the link soon. The caller must not add a link twice before it is flushed."""
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
