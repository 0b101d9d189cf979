"""When what was sent leaves: at the end of the drain in which it was sent, else at the end of the tick.

A flush never happens in the stack of who sends: a drain's end and the end of a tick are the transport's own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorrt.transport.links.queued_link import QueuedLink


class Flusher:
    """The links of one endpoint that were written to, until they are flushed.

    Attributes:
        is_draining: while true, whoever drains calls `flush` at the end, and no tick needs to.
    """

    __slots__ = ("_is_due", "_links", "_loop", "is_draining")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[QueuedLink] = []
        self._is_due = False
        self.is_draining = False

    def add(self, link: QueuedLink) -> None:
        """Flush the link soon. It is added once for each flush; the link sees to that."""
        self._links.append(link)
        if not self._is_due and not self.is_draining:
            self._is_due = True
            self._loop.call_soon(self._end_of_tick)

    def _end_of_tick(self) -> None:
        self._is_due = False
        self.flush()

    def flush(self) -> None:
        """Flush what was written to, now."""
        links = self._links
        if links:
            self._links = []
            for link in links:
                link.flush_now()
