"""Pure: counts which share of each simulator's fragments are trained on, and names simulators that are too slow."""

from __future__ import annotations

import math

COUNT_BEFORE_WARNING = 4  # fragments of a simulator


class TrainedShares:
    """The fragments of `count` simulators: how many arrived, and how many were dropped since they came too late."""

    def __init__(self, count: int) -> None:
        self._arrived, self._dropped = [0] * count, [0] * count
        self._is_told = [False] * count

    def arrived(self, index: int) -> None:
        """Count a fragment that arrived; it is trained on unless it is dropped."""
        self._arrived[index] += 1

    def dropped(self, index: int) -> None:
        """Count a fragment that arrived and was dropped."""
        self._dropped[index] += 1

    def shares(self) -> tuple[float, ...]:
        """Return the share of each simulator's fragments that are trained on; NaN before its first fragment."""
        counts = zip(self._arrived, self._dropped, strict=True)
        return tuple((arrived - dropped) / arrived if arrived else math.nan for arrived, dropped in counts)

    def newly_slow(self) -> list[tuple[int, int, int]]:
        """Return the simulators of which less than half is trained on, each once: index, dropped and arrived."""
        told = []
        for index, (arrived, dropped) in enumerate(zip(self._arrived, self._dropped, strict=True)):
            if not self._is_told[index] and arrived >= COUNT_BEFORE_WARNING and 2 * dropped > arrived:
                self._is_told[index] = True
                told.append((index, dropped, arrived))
        return told
