"""Pure: how many failures are too many: the sliding window of OTP's `add_restart`.

https://www.erlang.org/doc/system/sup_princ.html#maximum-restart-intensity
"""

from __future__ import annotations

from collections.abc import Hashable


class RestartWindow:
    """The failures of the last `period_s` seconds.

    Args:
        max_restarts: how many failures the window may hold; 0 lets the first one escalate, None never gives up.
        period_s: how far back the window reaches, its end included.

    Unlike OTP's, failures that share a cause count once: a lost node is one event, however many actors it held.
    """

    def __init__(self, max_restarts: int | None, period_s: float) -> None:
        self.max_restarts = max_restarts
        self.period_s = period_s
        self._failures: list[tuple[float, Hashable]] = []

    def admits(self, now: float, cause: Hashable = None) -> bool:
        """Count a failure; return whether the window still holds no more than it may."""
        if self.max_restarts is None:
            return True
        self._failures = [(t, c) for t, c in self._failures if t >= now - self.period_s]
        if cause is None or all(c != cause for _, c in self._failures):
            self._failures.append((now, cause))
        return len(self._failures) <= self.max_restarts

    def __len__(self) -> int:
        return len(self._failures)
