"""Waits for the first of some replies, for a wakeup, or for a time; there may be no reply to wait for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import actorrt as art


class Wakeup:
    """An item that can be waited for like a reply; `wake` ends the wait, from any thread."""

    def __init__(self) -> None:
        self._is_awake = False
        self._waiting: list[Callable[[Any], None]] = []

    def wake(self) -> None:
        """End the wait under way, or else the next one."""
        self._is_awake = True
        for callback in list(self._waiting):
            self._call(callback)

    def _call(self, callback: Callable[[Any], None]) -> None:
        if self._take(callback):
            callback(self)

    def _take(self, callback: Callable[[Any], None]) -> bool:
        """Remove a callback; return whether it was still there, and no other thread removed it."""
        try:
            self._waiting.remove(callback)
        except ValueError:
            return False
        return True

    def clear(self) -> None:
        """Forget the last call of `wake`."""
        self._is_awake = False

    def done(self) -> bool:
        """Whether `wake` was called."""
        return self._is_awake

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(self)` when `wake` is called; at once if it was."""
        self._waiting.append(callback)
        if self._is_awake:
            self._call(callback)

    def remove_callback(self, callback: Callable[[Any], None]) -> None:
        """Forget a callback that was not called."""
        self._take(callback)


def wait_for_first(replies: Collection[Any], timeout_s: float | None, wakeup: Wakeup | None = None) -> Any:
    """Return an operation that ends with two lists, as `art.wait` does: the replies that have arrived, and the others.

    Args:
        replies: what to wait for. With none of them, only the wakeup and the time end the waiting.
        timeout_s: the longest wait; None waits for a reply, and does not wait if there is neither reply nor wakeup.
        wakeup: ends the waiting, too; it is in one of the lists.
    """
    if not replies and wakeup is None and timeout_s is None:
        timeout_s = 0.0
    return art.wait([*replies, wakeup or Wakeup()], count=1, timeout_s=timeout_s)
