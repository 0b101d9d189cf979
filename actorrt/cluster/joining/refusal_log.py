"""Pure: counts refusals by their reasons, and decides which are logged: each reason once for a host, within limits."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

from actorrt.cluster.security.refusals import Reason

REMEMBERED_COUNT: Final = 1_024
LINES_PER_PERIOD: Final = 60
PERIOD_S: Final = 60.0


class RefusalLog:
    """The refusals of a node.

    Attributes:
        counts: how many there were, by reason.
        unlogged_count: how many of them were not logged.
    """

    def __init__(self) -> None:
        self.counts: Counter[Reason] = Counter()
        self.unlogged_count = 0
        self._logged: OrderedDict[tuple[str, Reason], None] = OrderedDict()
        self._period_ends = float("-inf")
        self._lines_left = 0

    def note(self, host: str, reason: Reason, now: float) -> bool:
        """Count a refusal; return whether it is to be logged. `now` is the monotonic time in seconds."""
        self.counts[reason] += 1
        if (host, reason) in self._logged or not self._has_line(now):
            self.unlogged_count += 1
            return False
        self._logged[host, reason] = None
        if len(self._logged) > REMEMBERED_COUNT:
            self._logged.popitem(last=False)
        return True

    def _has_line(self, now: float) -> bool:
        if now >= self._period_ends:
            self._period_ends, self._lines_left = now + PERIOD_S, LINES_PER_PERIOD
        self._lines_left -= 1
        return self._lines_left >= 0
