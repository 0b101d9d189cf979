"""Dead letters: messages that were not handled and have no caller to tell, kept for inspection.

They are counted, and the last ones are kept. A line is logged at most every `LOG_EVERY_S` seconds: the first dead
letter is logged at once, and those that follow as one line with their number.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from actorrt.background import in_background
from actorrt.machine.clock import Clock

logger = logging.getLogger(__name__)

KEPT_COUNT: Final = 100
LOG_EVERY_S: Final = 5.0


class DeadLetters:
    """The dead letters of one endpoint.

    Args:
        clock: tells when each was added.
        after: calls a function in so many seconds.

    Attributes:
        count: how many there were.
    """

    def __init__(self, clock: Clock, after: Callable[[float, Callable[[], None]], object]) -> None:
        self._clock = clock
        self._after = after
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_COUNT)
        self._is_paused = False  # something was logged a short while ago
        self._unlogged_count = 0
        self.count = 0

    def add(self, actor: str, method: str, why: str) -> None:
        """Add a message that was not handled, and whose failure has no caller."""
        self.count += 1
        self._kept.append({"actor": actor, "method": method, "why": why, "at": self._clock.now()})
        if self._is_paused:
            self._unlogged_count += 1
            return
        logger.warning("dead letter: %s.%s(): %s", actor, method, why)
        self._pause_logging()

    def _pause_logging(self) -> None:
        self._is_paused = True
        in_background(self._after, LOG_EVERY_S, self._log_rest)

    def _log_rest(self) -> None:
        self._is_paused = False
        if self._unlogged_count:
            last = self._kept[-1]
            more = self._unlogged_count
            self._unlogged_count = 0
            logger.warning(
                "%d more dead letters, the last: %s.%s(): %s", more, last["actor"], last["method"], last["why"]
            )
            self._pause_logging()

    def kept(self) -> list[dict[str, Any]]:
        """Return the last ones, oldest first: `actor`, `method`, `why`, and `at`, a `time.monotonic()` value."""
        return list(self._kept)
