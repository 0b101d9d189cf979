"""Pure: the attempts that a worker has accepted and not begun."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """The part of an attempt that the inbox reads."""

    is_withdrawn: bool


A = TypeVar("A", bound=Queued)


class Inbox(Generic[A]):
    """The accepted attempts of one worker, first in first out; those that a task here waits for come first."""

    def __init__(self) -> None:
        self._queued: deque[A] = deque()

    def __len__(self) -> int:
        """How many are queued, those that were withdrawn included."""
        return len(self._queued)

    def came(self, attempt: A, *, is_next: bool = False) -> None:
        """Called when an attempt was accepted."""
        if is_next:
            self._queued.appendleft(attempt)
        else:
            self._queued.append(attempt)

    def next(self) -> A | None:
        """Remove and return the attempt to begin now; None if there is none."""
        while self._queued:
            attempt = self._queued.popleft()
            if not attempt.is_withdrawn:
                return attempt
        return None

    def peek(self) -> A | None:
        """Return the attempt that is to begin next, and leave it."""
        while self._queued and self._queued[0].is_withdrawn:
            self._queued.popleft()
        return self._queued[0] if self._queued else None

    def give_back(self) -> list[A]:
        """Remove and return all that are queued, newest first: each is put in front of its submitter's queue again."""
        queued = [attempt for attempt in reversed(self._queued) if not attempt.is_withdrawn]
        self._queued.clear()
        return queued
