"""Pure: how much one endpoint may send to one actor before the actor has caught up.

Both sides count from the start of the actor's incarnation, so a grant that is repeated or overtaken does no harm.
A sender begins with a small window, which needs no word from the receiver; the receiver widens it to the sender's
share of the mailbox as it takes messages out. So a mailbox holds its bound, and at most `FIRST_MESSAGES` more for
each sender that it has not heard of yet.
"""

from __future__ import annotations

from typing import Final

FIRST_MESSAGES: Final = 64
FIRST_BYTES: Final = 1 << 20


class Window:
    """The sender's side."""

    __slots__ = ("granted_bytes", "granted_messages", "sent_bytes", "sent_messages")

    def __init__(self) -> None:
        self.granted_messages = FIRST_MESSAGES
        self.granted_bytes = FIRST_BYTES
        self.sent_messages = 0
        self.sent_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether one more message may be sent; the last one may be as large as it is."""
        return self.sent_messages < self.granted_messages and self.sent_bytes < self.granted_bytes

    def grant(self, messages: int, size_bytes: int) -> None:
        """Take in the totals that the receiver grants since the start."""
        self.granted_messages = max(self.granted_messages, messages)
        self.granted_bytes = max(self.granted_bytes, size_bytes)


class Ledger:
    """The receiver's side, for one sender."""

    __slots__ = ("granted_bytes", "granted_messages", "taken_bytes", "taken_messages")

    def __init__(self) -> None:
        self.granted_messages = FIRST_MESSAGES
        self.granted_bytes = FIRST_BYTES
        self.taken_messages = 0
        self.taken_bytes = 0

    def taken(self, size_bytes: int) -> None:
        """A message of this sender has left the mailbox."""
        self.taken_messages += 1
        self.taken_bytes += size_bytes

    def due(self, share_messages: int, share_bytes: int) -> tuple[int, int] | None:
        """Return the totals to grant now, or None while the sender has at least half of its share left.

        Args:
            share_messages, share_bytes: how much of the mailbox this sender may fill.
        """
        messages = self.taken_messages + max(1, share_messages)
        size_bytes = self.taken_bytes + max(1, share_bytes)
        is_low = self.granted_messages - self.taken_messages <= max(1, share_messages) // 2
        is_low = is_low or self.granted_bytes - self.taken_bytes <= max(1, share_bytes) // 2
        if not is_low or (messages <= self.granted_messages and size_bytes <= self.granted_bytes):
            return None
        self.granted_messages = max(messages, self.granted_messages)
        self.granted_bytes = max(size_bytes, self.granted_bytes)
        return self.granted_messages, self.granted_bytes
