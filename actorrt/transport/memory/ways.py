"""How messages pass from one address of a `MemoryNetwork` to another: at once, late, not yet, or not at all.

    open ── cut ──▶ cut: connections that were made this way break, and none can be made
      ├──── stall ─▶ stalled: nothing arrives, nothing breaks, as where the process there is stopped
      └──── delay ─▶ open, and each message takes its time
    any of them ── heal ──▶ open: what was kept back arrives

A way is one direction. What goes back over a connection, acknowledgements and notices, passes the way back of that
connection, and is kept by a stall of it; only the way that the connection was made on decides whether it stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Way:
    """One direction between two addresses. What passes keeps its order, whatever befalls the way."""

    def __init__(self) -> None:
        self.is_cut = False
        self._is_stalled = False
        self._delay_s = 0.0
        self._under_way: deque[tuple[float, Callable[[], None]]] = deque()  # when it is due, and what is to be done
        self._timer: asyncio.Handle | None = None

    def carry(self, loop: asyncio.AbstractEventLoop, arrive: Callable[[], None]) -> None:
        """Call `arrive` when the message has passed; never in this stack."""
        if not self._delay_s and not self._is_stalled and not self._under_way:
            loop.call_soon(arrive)
            return
        self._under_way.append((loop.time() + self._delay_s, arrive))
        self._wait(loop)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._under_way and not self._is_stalled:
            self._timer = loop.call_at(self._under_way[0][0], self._due, loop)

    def _due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._under_way and self._under_way[0][0] <= loop.time() and not self._is_stalled:
            self._under_way.popleft()[1]()
        self._wait(loop)

    def stall(self) -> None:
        """Let nothing pass until `heal`."""
        self._is_stalled = True

    def delay(self, delay_s: float) -> None:
        """Let each message take so long from now on."""
        self._delay_s = delay_s

    def heal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let everything pass; what was kept back arrives first."""
        self.is_cut = self._is_stalled = False
        self._delay_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kept, self._under_way = self._under_way, deque()
        for _, arrive in kept:
            loop.call_soon(arrive)
