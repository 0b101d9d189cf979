"""Pure: how long a failed child waits before it is started again.

An incarnation that handled a message, or lived for `healthy_s`, proves that starting works: the next incarnation starts
at once, and the count of failures begins at 0. A delay follows a start that fails, and the second of two incarnations
in a row that die before their first message. Each delay is longer than the one before, so that a broken child costs its
supervisor little. `intensity` decides how many failures are too many.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

_MOST_DOUBLINGS: Final = 64  # far past any cap; keeps the power finite however long a child fails


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays with jitter before the cap, so that no delay is longer than `max_s`.

    Attributes:
        first_s: the first delay.
        max_s: the longest delay.
        factor: each delay is the delay before, multiplied by this factor; at least 1.
        jitter: the share of a delay, 0 to 1, that is added at random, to spread the restarts of children that failed
            together.
        healthy_s: an incarnation that lived this long, or handled a message, ends the series of failures.

    Raises:
        ValueError: a value outside its range.
    """

    first_s: float = 0.1
    max_s: float = 10.0
    factor: float = 2.0
    jitter: float = 0.25
    healthy_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.max_s:
            raise ValueError(f"Backoff(first_s={self.first_s}, max_s={self.max_s}): give 0 < first_s <= max_s")
        if not 1 <= self.factor <= 100:
            raise ValueError(f"Backoff(factor={self.factor}): give a factor from 1 to 100")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"Backoff(jitter={self.jitter}): give a share from 0 to 1")
        if not self.healthy_s > 0:
            raise ValueError(f"Backoff(healthy_s={self.healthy_s}): give a number of seconds above 0")

    def delay_s(self, failure_count: int, random: float) -> float:
        """Return the delay after `failure_count` failures in a row; `random` is from [0, 1)."""
        if failure_count == 0:
            return 0.0
        plain_s = self.first_s * self.factor ** min(failure_count - 1, _MOST_DOUBLINGS)
        return min(self.max_s, plain_s * (1 + self.jitter * random))

    def to_data(self) -> dict[str, Any]:
        """Return the delays as plain data for the wire."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Rebuild the delays from the result of `to_data`."""
        return cls(**data)


DEFAULT_BACKOFF: Final = Backoff()


class RestartPace:
    """Counts one child's failures in a row and tells the delay of each restart."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failure_count = 0
        self._started_at = 0.0

    def started(self, now: float) -> None:
        """Called when an incarnation has started."""
        self._started_at = now

    def start_failed(self, random: float) -> float:
        """Return the delay, in seconds, after a start that failed: never 0, so that retries cannot spin."""
        self._failure_count += 1
        return self._backoff.delay_s(self._failure_count, random)

    def exited(self, now: float, had_handled_message: bool, random: float) -> float:
        """Return the delay, in seconds, after the exit of an incarnation that had started."""
        if had_handled_message or now - self._started_at >= self._backoff.healthy_s:
            self._failure_count = 0
            return 0.0
        delay_s = self._backoff.delay_s(self._failure_count, random)
        self._failure_count += 1
        return delay_s
