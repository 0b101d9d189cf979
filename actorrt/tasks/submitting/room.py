"""Bounds how many tasks, and how many bytes of arguments, wait at one submitter."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Final

from actorrt.completion import Completion
from actorrt.config import MIB
from actorrt.errors import MailboxFullError

if TYPE_CHECKING:
    from actorrt.actors.refs.loop_thread import LoopThread

MAX_TASKS_COUNT: Final = 1_000_000
MAX_ARGUMENTS_BYTES: Final = 256 * MIB


class Room:
    """The room for tasks at one submitter. Several threads take of it, so the bounds hold up to one task for each.

    Args:
        threads: tell which thread is the loop's, which must not block.
    """

    def __init__(self, threads: LoopThread) -> None:
        self._threads = threads
        self._count = 0
        self._size_bytes = 0
        self._more: Completion[None] | None = None  # while a thread waits

    @property
    def is_full(self) -> bool:
        """Whether one of the bounds is reached."""
        return self._count >= MAX_TASKS_COUNT or self._size_bytes >= MAX_ARGUMENTS_BYTES

    def take(self, name: str, size_bytes: int) -> None:
        """Take the room of a task. A plain thread waits until there is some.

        Raises:
            MailboxFullError: there is none, and this is the loop's thread.
        """
        while self.is_full:
            if get_ident() == self._threads.thread:
                raise MailboxFullError(
                    f"{name}.submit(): {self._count} tasks with {self._size_bytes} bytes of arguments wait here "
                    "already: await some of them first"
                )
            more = self._more = self._more or Completion()
            if self.is_full:  # still: a task may have ended between the two looks
                more.result()
        self._count += 1
        self._size_bytes += size_bytes

    def check_invariants(self, tasks_count: int) -> None:
        """Raise BrokenInvariantError if there is less in it than the tasks that have not ended."""
        assert self._count >= tasks_count, f"{tasks_count} tasks have room for {self._count}: one has left it twice"
        assert self._size_bytes >= 0, f"tasks have {self._size_bytes} bytes of arguments"

    def take_at_once(self, size_bytes: int) -> None:
        """Take the room of a task that runs again, whether or not there is some."""
        self._count += 1
        self._size_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Called when a task has ended."""
        self._count -= 1
        self._size_bytes -= size_bytes
        more = self._more
        if more is not None:
            self._more = None
            more.set_value(None)
