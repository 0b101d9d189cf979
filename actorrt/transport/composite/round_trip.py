"""Pure: how long a message to a peer and its acknowledgement take, from samples.

The smallest of the last samples counts, since a busy peer acknowledges late, and the network is meant. An
acknowledgement waits for a frame that carries it, for up to 10 ms, so the time is generous. It serves for times of
grace.
"""

from __future__ import annotations

import math
from typing import Final

WINDOW_COUNT: Final = 32
"""A sample counts for this many further samples, up to twice as many."""
MAX_S: Final = 2.0
"""No network between nodes that work together takes longer; a peer that was busy for all samples may."""


class RoundTrip:
    """The round trip to one peer, over all links to it."""

    __slots__ = ("_before_s", "_count", "_smallest_s")

    def __init__(self) -> None:
        self._smallest_s = self._before_s = math.inf  # of this window of samples, and of the one before
        self._count = 0

    @property
    def expected_s(self) -> float:
        """The time of a round trip; 0 before the first sample."""
        smallest_s = min(self._smallest_s, self._before_s)
        return 0.0 if smallest_s == math.inf else min(smallest_s, MAX_S)

    def add(self, sample_s: float) -> None:
        """Take a sample."""
        if self._count == WINDOW_COUNT:
            self._count, self._before_s, self._smallest_s = 0, self._smallest_s, math.inf
        self._count += 1
        self._smallest_s = min(self._smallest_s, sample_s)
