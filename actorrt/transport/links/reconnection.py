"""Pure: decides when a broken connection is replaced, and when the link stops trying."""

from __future__ import annotations

from typing import Final

RECONNECT_MIN_S: Final = 0.05
RECONNECT_MAX_S: Final = 2.0
MAX_FAILED_CONNECTIONS_COUNT: Final = 10
"""If this many connections in a row break without progress, the peer counts as unreachable."""


class Reconnection:
    """Counts the connections of one link that broke in a row without progress.

    A connection makes progress if it stands for `stable_s`, or if a frame is acknowledged while it stands.

    Args:
        first: the number of the link's first frame.
        stable_s: the time after which a connection counts as progress by itself.
        gives_up: whether the link stops trying in the end.
    """

    __slots__ = ("_acknowledged", "_connected_at", "_failed_count", "_gives_up", "_stable_s")

    def __init__(self, first: int, stable_s: float, *, gives_up: bool = True) -> None:
        self._acknowledged = first
        self._stable_s = stable_s
        self._gives_up = gives_up
        self._connected_at = 0.0
        self._failed_count = 0

    def connected(self, now: float) -> None:
        """Note that a connection was made."""
        self._connected_at = now

    def lost(self, now: float, acknowledged: int) -> None:
        """Note that the connection is gone, and that frames below `acknowledged` are acknowledged."""
        if acknowledged > self._acknowledged or now - self._connected_at > self._stable_s:
            self._failed_count = 0
        self._acknowledged = acknowledged

    def next_delay_s(self) -> float | None:
        """Return how long to wait before the next attempt; None if the link must stop trying.

        To be called once for each connection that broke or could not be made.
        """
        self._failed_count += 1
        if self._failed_count > MAX_FAILED_CONNECTIONS_COUNT:
            return None if self._gives_up else RECONNECT_MAX_S
        if self._failed_count == 1:
            return 0.0
        return min(RECONNECT_MAX_S, RECONNECT_MIN_S * 2.0 ** (self._failed_count - 2))
