"""Pure: how long a message to a peer and its acknowledgement take, from samples.

The mean and the deviation are smoothed as in RFC 6298. An acknowledgement waits for a frame that carries it, for up to
10 ms, so the time is generous; it serves for times of grace.
"""

from __future__ import annotations

from typing import Final

_GAIN: Final = 1 / 8
_DEVIATION_GAIN: Final = 1 / 4


class RoundTrip:
    """The round trip to one peer, over all links to it."""

    __slots__ = ("_deviation_s", "_mean_s")

    def __init__(self) -> None:
        self._mean_s = self._deviation_s = 0.0

    @property
    def expected_s(self) -> float:
        """The time within which nearly every acknowledgement comes; 0 before the first sample."""
        return self._mean_s + 4 * self._deviation_s

    def add(self, sample_s: float) -> None:
        """Take a sample."""
        if not self._mean_s:
            self._mean_s, self._deviation_s = sample_s, sample_s / 2
            return
        self._deviation_s += _DEVIATION_GAIN * (abs(sample_s - self._mean_s) - self._deviation_s)
        self._mean_s += _GAIN * (sample_s - self._mean_s)
