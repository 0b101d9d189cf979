"""Clocks that callers pass in. Deadlines are times of a monotonic clock, never of the wall clock.

Pure modules take `now` as an argument; the shells around them ask a `Clock`.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock, in seconds from an arbitrary start."""

    def now(self) -> float: ...


class MonotonicClock:
    """The machine's monotonic clock, which is the same for all processes of the machine."""

    now = staticmethod(time.monotonic)


class ManualClock:
    """A clock that moves only when told to, for tests."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Move the clock forward; return the new time."""
        if seconds < 0:
            raise ValueError(f"a clock does not run backwards: advance({seconds})")
        self._now += seconds
        return self._now
