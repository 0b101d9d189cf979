"""Dead letters: messages that nobody could be told about, kept for those who look for them.

They are counted, the last ones are kept, and a line is logged at most every `LOG_EVERY_S` seconds.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final

from actorrt.clock import Clock

logger = logging.getLogger(__name__)

KEPT_COUNT: Final = 100
LOG_EVERY_S: Final = 5.0


class DeadLetters:
    """The dead letters of one endpoint.

    Args:
        clock: when they came.

    Attributes:
        count: how many there were.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_COUNT)
        self._logged_at = -LOG_EVERY_S
        self._unlogged_count = 0
        self.count = 0

    def add(self, actor: str, method: str, why: str) -> None:
        """Take in a message that ended without anybody being told."""
        now = self._clock.now()
        self.count += 1
        self._unlogged_count += 1
        self._kept.append({"actor": actor, "method": method, "why": why, "at": now})
        if now - self._logged_at >= LOG_EVERY_S:
            more = f" ({self._unlogged_count - 1} more since the last report)" if self._unlogged_count > 1 else ""
            logger.warning("dead letter: %s.%s(): %s%s", actor, method, why, more)
            self._logged_at = now
            self._unlogged_count = 0

    def kept(self) -> list[dict[str, Any]]:
        """Return the last ones, oldest first: `actor`, `method`, `why`, and `at`, a `time.monotonic()` value."""
        return list(self._kept)
