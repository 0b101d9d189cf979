"""Keeps Python's cycle collector from walking a large population of idle actors again and again.

A full collection visits every object of the process. With a million actors it blocks the loop for a second, even if
there is no garbage. So the objects that survive a long collection are frozen (`gc.freeze`), and are collected again
when half of the population is gone. Frozen objects are still freed by reference counting; only cycles wait.
"""

from __future__ import annotations

import gc
from collections.abc import Sized
from typing import Any, Final

from actorrt.machine.clock import Clock

LARGE_COUNT: Final = 10_000
"""Fewer actors are left to the collector."""
LONG_S: Final = 0.02


class GcFreezer:
    """Watches the collections of this process on behalf of one endpoint.

    Args:
        members: the actors.
        clock: measures collections.
    """

    def __init__(self, members: Sized, clock: Clock) -> None:
        self._members = members
        self._clock = clock
        self._began_at = 0.0
        self._frozen_count = 0
        gc.callbacks.append(self._collecting)

    def _collecting(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != 2:
            return
        now = self._clock.now()
        if phase == "start":
            self._began_at = now
        elif now - self._began_at > LONG_S and len(self._members) >= LARGE_COUNT:
            gc.freeze()
            self._frozen_count = len(self._members)

    def shrunk(self) -> None:
        """Called when a member is gone."""
        if len(self._members) < self._frozen_count // 2:
            self._thaw()

    def close(self) -> None:
        """Watch no more. Idempotent."""
        if self._collecting in gc.callbacks:
            gc.callbacks.remove(self._collecting)
            self._thaw()

    def _thaw(self) -> None:
        if self._frozen_count:
            self._frozen_count = 0
            gc.unfreeze()
