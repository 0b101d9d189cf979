"""Waits for the first of some replies or for a time, also where there is no reply to wait for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import actorrt as art


def arrival(replies: Collection[Any], timeout_s: float | None) -> Any:
    """Return what ends with two lists, replies that have come and others, as `art.wait` does.

    Args:
        replies: what to wait for. With none of them, only the time is waited for.
        timeout_s: how long at the most; None waits for a reply, and where there is none, not at all.
    """
    if not replies and timeout_s is None:
        timeout_s = 0.0
    return art.wait(list(replies) or [_Nothing()], count=1, timeout_s=timeout_s)


class _Nothing:
    """What can be waited for and never comes, so that the time is what ends the waiting."""

    def done(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Forget it: it is never called."""

    def remove_callback(self, callback: Callable[[Any], None]) -> None:
        """There is none."""
