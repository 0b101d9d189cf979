"""Pure: the clocks of one simulated machine, beside the time of the whole run.

A monotonic clock begins anywhere and may run a little too fast or too slow; the wall clock may be wrong by any time.
"""

from __future__ import annotations


class MachineClock:
    """The clocks of one machine.

    Args:
        started_at: the time of the run to which `shows` belongs.
        shows: what the monotonic clock shows then, in seconds.
        rate: how many seconds it goes on in a second of the run.

    Attributes:
        wall_skew_s: how far the wall clock is ahead, beside what it gains since the start.
    """

    def __init__(self, started_at: float, shows: float, rate: float = 1.0) -> None:
        self._since = started_at
        self._shows = shows
        self._rate = rate
        self.wall_skew_s = 0.0

    def read(self, now: float) -> float:
        """Return what the monotonic clock shows at a time of the run."""
        return self._shows + self._rate * (now - self._since)

    def run_time(self, shows: float) -> float:
        """Return the time of the run at which the monotonic clock shows this."""
        return self._since + (shows - self._shows) / self._rate

    def wall_error_s(self, now: float) -> float:
        """Return how far the wall clock is ahead at a time of the run."""
        return self.wall_skew_s + (self._rate - 1.0) * (now - self._since)

    def run_at(self, rate: float, now: float) -> None:
        """Change the rate from a time of the run on; the clocks do not jump.

        Raises:
            ValueError: the rate is not above 0.
        """
        if not 0.0 < rate < float("inf"):
            raise ValueError(f"rate={rate!r}: a clock goes forward, by so many seconds in a second")
        self.wall_skew_s = self.wall_error_s(now)
        self._shows, self._since, self._rate = self.read(now), now, rate
