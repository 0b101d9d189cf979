"""The seed's decisions: one generator for each subject, so that one subject's draws do not move another's."""

from __future__ import annotations

import random

from actorrt.ids import ID_BYTES, IdSource


class Chance:
    """Draws for one subject.

    Args:
        seed: the run's seed.
        subject: what is decided.
    """

    def __init__(self, seed: int, subject: str) -> None:
        self._generator = random.Random(f"{subject} {seed}")
        self.random = self._generator.random
        self.choice = self._generator.choice
        self.bytes = self._generator.randbytes

    def between(self, least: float, most: float) -> float:
        """Return a number between the two."""
        return least + (most - least) * self.random()

    def until_next(self, rate_hz: float) -> float:
        """Return the seconds to the next event of those that come at this rate, independently of each other."""
        return self._generator.expovariate(rate_hz)


class SeededIds(IdSource):
    """Identities from the seed.

    Args:
        chance: the source.
    """

    def __init__(self, chance: Chance) -> None:
        self._bytes = chance.bytes

    def _random(self, count: int = 1) -> bytes:
        return self._bytes(ID_BYTES * count)
