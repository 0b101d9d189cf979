"""Carries messages from one address of a `MemoryNetwork` to another; a test can cut, stall and delay it.

    open ── cut ───▶ cut: connections that were made in this direction break, and none can be made
      ├──── stall ─▶ stalled: no message arrives and no connection breaks, as if the target process were stopped
      └──── delay ─▶ open, and each message takes some time
    any of them ── heal ──▶ open: held messages arrive

Acknowledgements and notices travel back over a connection. They pass in the opposite direction, and are held if that is
stalled. A cut breaks only the connections that were made in the direction that is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Direction:
    """The direction from one address to another. Messages always keep their order."""

    def __init__(self) -> None:
        self.is_cut = False
        self._is_stalled = False
        self._delay_s = 0.0
        self._under_way: deque[tuple[float, Callable[[], None]]] = deque()
        """The messages under way: the time at which each is due, and the function that delivers it."""
        self._timer: asyncio.Handle | None = None

    def carry(self, loop: asyncio.AbstractEventLoop, arrive: Callable[[], None]) -> None:
        """Call `arrive` when the message arrives; never in the caller's stack."""
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
        """Hold all messages until `heal`."""
        self._is_stalled = True

    def delay(self, delay_s: float) -> None:
        """Delay each message by this time from now on."""
        self._delay_s = delay_s

    def heal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Return to the open state; held messages arrive before later ones."""
        self.is_cut = self._is_stalled = False
        self._delay_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._under_way = self._under_way, deque()
        for _, arrive in held:
            loop.call_soon(arrive)
