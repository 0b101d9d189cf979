"""Pure: how much one endpoint may send to one actor before the actor has caught up.

Both sides count from the start of the actor's incarnation, so a grant that is repeated or overtaken does no harm.
A sender begins with a small window, which needs no word from the receiver; the receiver widens it to the sender's
share of the mailbox as it takes messages out. So a mailbox holds its bound, and at most `FIRST_MESSAGES` more for
each sender that it has not heard of yet.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

C = TypeVar("C")

FIRST_MESSAGES: Final = 64
FIRST_BYTES: Final = 1 << 20
STEP_SHIFT: Final = 4
"""A sender is granted more when it has used up a sixteenth of its share: little at a time, or what waits would leave in
bursts, and the memory of who sends and of who takes go up and down by as much."""


class Window:
    """The sender's side: open while both counts are below what is granted; the last message may be of any size."""

    __slots__ = ("granted_bytes", "granted_messages", "sent_bytes", "sent_messages")

    def __init__(self) -> None:
        self.granted_messages = FIRST_MESSAGES
        self.granted_bytes = FIRST_BYTES
        self.sent_messages = 0
        self.sent_bytes = 0

    def grant(self, messages: int, size_bytes: int) -> None:
        """Take in the totals that the receiver grants since the start."""
        self.granted_messages = max(self.granted_messages, messages)
        self.granted_bytes = max(self.granted_bytes, size_bytes)


class Ledger:
    """The receiver's side, for one sender."""

    __slots__ = ("granted_bytes", "granted_messages", "share_bytes", "share_messages", "taken_bytes", "taken_messages")

    def __init__(self) -> None:
        self.granted_messages = FIRST_MESSAGES
        self.granted_bytes = FIRST_BYTES
        self.taken_messages = 0
        self.taken_bytes = 0
        self.share(0, 0)

    def share(self, messages: int, size_bytes: int) -> None:
        """Say how much of the mailbox this sender may fill, at least one message."""
        self.share_messages = max(1, messages)
        self.share_bytes = max(1, size_bytes)

    def take(self, size_bytes: int) -> tuple[int, int] | None:
        """A message of this sender has left the mailbox.

        Returns:
            The totals to grant now, or None while the sender has most of its share left.
        """
        self.taken_messages += 1
        self.taken_bytes += size_bytes
        if self.granted_messages - self.taken_messages > self.share_messages - (
            self.share_messages >> STEP_SHIFT
        ) and self.granted_bytes - self.taken_bytes > self.share_bytes - (self.share_bytes >> STEP_SHIFT):
            return None
        self.granted_messages = max(self.granted_messages, self.taken_messages + self.share_messages)
        self.granted_bytes = max(self.granted_bytes, self.taken_bytes + self.share_bytes)
        return self.granted_messages, self.granted_bytes


class Ledgers(Generic[C]):
    """The ledgers of all senders to one actor, who share its mailbox.

    Args:
        most_messages, most_bytes: the mailbox's bounds.
    """

    __slots__ = ("_ledgers", "_most_bytes", "_most_messages")

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._ledgers: dict[C, Ledger] = {}

    def take(self, sender: C, size_bytes: int) -> tuple[int, int] | None:
        """A message of the sender has left the mailbox; return the totals to grant it now, if any."""
        ledger = self._ledgers.get(sender)
        if ledger is None:
            ledger = self._ledgers[sender] = Ledger()
            self._share()
        return ledger.take(size_bytes)

    def forget(self, sender: C) -> None:
        """The sender is gone: its share is the others'."""
        if self._ledgers.pop(sender, None) is not None:
            self._share()

    def _share(self) -> None:
        count = max(1, len(self._ledgers))
        for ledger in self._ledgers.values():
            ledger.share(self._most_messages // count, self._most_bytes // count)
