"""The limiters of replay tables, which decide when items may be inserted and taken.

The rule is that of Reverb (Cassirer et al. 2021, "Reverb: a framework for experience replay"; `rate_limiter.cc`). A
table counts its inserts I, its samples S and its deletions D since it was made, those by use and by eviction too. Then

* k items may be inserted if I + k - D <= min_size, or (I + k) samples_per_insert - S <= highest;
* k items may be taken if I - D >= min_size, and I samples_per_insert - S - k >= lowest.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from actorrt.rl.foundation.checks import require_number, require_whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limiter:
    """When items may be inserted and taken; `MinSize`, `SampleToInsertRatio`, `Queue` and `Stack` make the usual ones.

    Attributes:
        samples_per_insert: how often an item is taken, on average.
        min_size: the smallest number of items from which any may be taken.
        lowest, highest: bounds on inserts x samples_per_insert - samples.

    Raises:
        ValueError: a number is out of range, or a table with this limiter could never go on.
        TypeError: one is no number.
    """

    samples_per_insert: float
    min_size: int
    lowest: float
    highest: float

    def __post_init__(self) -> None:
        require_number("samples_per_insert", self.samples_per_insert, is_positive=True)
        require_whole("min_size", self.min_size, 1)
        if self.lowest > self.samples_per_insert * self.min_size:
            raise ValueError(
                f"nothing could ever be taken: the lowest difference, {self.lowest:g}, is more than "
                f"samples_per_insert x min_size = {self.samples_per_insert * self.min_size:g}"
            )

    def allowed_inserts(self, counts: Counts) -> float:
        """Return how many items may be inserted now; infinity if there is no limit."""
        if math.isinf(self.highest):
            return math.inf
        free = self.min_size + counts.deletions - counts.inserts
        paced = math.floor((self.highest + counts.samples) / self.samples_per_insert) - counts.inserts
        return max(0, free, paced)

    def allowed_samples(self, counts: Counts) -> float:
        """Return how many items may be taken now; infinity if there is no limit."""
        if counts.inserts - counts.deletions < self.min_size:
            return 0
        left = counts.inserts * self.samples_per_insert - counts.samples - self.lowest
        return left if math.isinf(left) else max(0, math.floor(left))


@dataclass(slots=True)
class Counts:
    """What has happened to a table since it was made: inserts, samples, and deletions for any reason."""

    inserts: int = 0
    samples: int = 0
    deletions: int = 0


def MinSize(count: int) -> Limiter:
    """Return a limiter that lets items be taken from so many on, and sets no other limit.

    Raises:
        ValueError: `count` is less than 1.
    """
    return Limiter(samples_per_insert=1.0, min_size=count, lowest=-math.inf, highest=math.inf)


def SampleToInsertRatio(samples_per_insert: float, min_size: int, error_buffer: float | tuple[float, float]) -> Limiter:
    """Return a limiter that keeps the number of samples for each insert near a ratio.

    Args:
        samples_per_insert: how often an item is taken, on average.
        min_size: the smallest number of items from which any may be taken.
        error_buffer: how far inserts x samples_per_insert - samples may be from its value at `min_size`, up and down;
            a pair has the lowest and the highest difference themselves.

    Raises:
        ValueError: the buffer is too small for one insert or sample, or nothing could ever be taken.
    """
    require_number("samples_per_insert", samples_per_insert, is_positive=True)
    require_whole("min_size", min_size, 1)
    offset = samples_per_insert * min_size
    if isinstance(error_buffer, tuple):
        lowest, highest = error_buffer
    else:
        require_number("error_buffer", error_buffer, is_positive=True)
        lowest, highest = offset - error_buffer, offset + error_buffer
    smallest = 2.0 * max(1.0, samples_per_insert)
    if highest - lowest < smallest:
        raise ValueError(
            f"error_buffer={error_buffer!r} leaves inserts and samples no room: the highest difference is at least "
            f"{smallest:g} more than the lowest"
        )
    if highest < offset:
        logger.warning(
            "a limiter whose highest difference, %g, is below samples_per_insert x min_size = %g stops inserts before "
            "anything can be taken, if one loop does both",
            highest,
            offset,
        )
    return Limiter(samples_per_insert=samples_per_insert, min_size=min_size, lowest=lowest, highest=highest)


def Queue(size: int) -> Limiter:
    """Return the limiter of a queue of so many items; its table takes `Fifo` twice, and `max_times_sampled=1`."""
    require_whole("size", size, 1)
    return Limiter(samples_per_insert=1.0, min_size=1, lowest=0.0, highest=float(size))


def Stack(size: int) -> Limiter:
    """Return the limiter of a stack of so many items; its table takes `Lifo` twice, and `max_times_sampled=1`."""
    return Queue(size)
