"""Pure: the published rules of restarts, in a few lines that are easy to compare with `docs/supervision.md`.

The property tests compare whole steps of the real supervision with it, and a world compares the decisions of every
supervisor in it.
"""

from __future__ import annotations

from collections.abc import Hashable

from actorrt.actors.policy.options import RestartType
from actorrt.reasons import NORMAL, SHUTDOWN, ExitReason


def is_normal(reason: ExitReason) -> bool:
    """Whether a transient child that ended so is not started again."""
    return reason.kind in (NORMAL.kind, SHUTDOWN.kind)


def is_restarted(restart: RestartType, reason: ExitReason) -> bool:
    """Whether a child that ended by itself is started again, so that its end counts as a failure."""
    if restart is RestartType.TRANSIENT:
        return not is_normal(reason)
    return restart is RestartType.PERMANENT


class Intensity:
    """The failures of one supervisor.

    Args:
        max_restarts: how many failures a period may have; None: any number.
        period_s: the period, in seconds.

    Attributes:
        failures: the times of all failures, with their causes; None is a cause of its own.
    """

    def __init__(self, max_restarts: int | None, period_s: float) -> None:
        self.max_restarts = max_restarts
        self.period_s = period_s
        self.failures: list[tuple[float, Hashable]] = []

    def is_exceeded_by(self, now: float, cause: Hashable = None) -> bool:
        """Count a failure; return whether there have been too many in the period that ends now."""
        recent = [(when, other) for when, other in self.failures if when >= now - self.period_s]
        if cause is None or all(other != cause for _, other in recent):
            recent.append((now, cause))
        self.failures = recent
        return self.max_restarts is not None and len(recent) > self.max_restarts
