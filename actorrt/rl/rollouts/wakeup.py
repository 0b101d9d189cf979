"""Waits for the first of some replies, for a wakeup, or for a time, also where there is no reply to wait for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import actorrt as art


class Wakeup:
    """Can be waited for as replies can; ends the waiting when it is rung, from any thread."""

    def __init__(self) -> None:
        self._is_awake = False
        self._waiting: list[Callable[[Any], None]] = []

    def wake(self) -> None:
        """End the waiting under way, or else the next."""
        self._is_awake = True
        for callback in list(self._waiting):
            self._call(callback)

    def _call(self, callback: Callable[[Any], None]) -> None:
        if self._take(callback):
            callback(self)

    def _take(self, callback: Callable[[Any], None]) -> bool:
        """Take a callback out; return whether it was still there, and no other thread took it."""
        try:
            self._waiting.remove(callback)
        except ValueError:
            return False
        return True

    def clear(self) -> None:
        """Begin anew, once it has been heard."""
        self._is_awake = False

    def done(self) -> bool:
        """Whether it was rung."""
        return self._is_awake

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(self)` when it rings; at once where it has."""
        self._waiting.append(callback)
        if self._is_awake:
            self._call(callback)

    def remove_callback(self, callback: Callable[[Any], None]) -> None:
        """Forget a callback that was not called."""
        self._take(callback)


def wait_for_first(replies: Collection[Any], timeout_s: float | None, wakeup: Wakeup | None = None) -> Any:
    """Return what ends with two lists, replies that have come and others, as `art.wait` does.

    Args:
        replies: what to wait for. With none of them, only the wakeup and the time end the waiting.
        timeout_s: the longest wait; None waits for a reply, and does not wait if there is neither reply nor wakeup.
        wakeup: ends the waiting, too; it is in one of the lists.
    """
    if not replies and wakeup is None and timeout_s is None:
        timeout_s = 0.0
    return art.wait([*replies, wakeup or Wakeup()], count=1, timeout_s=timeout_s)
