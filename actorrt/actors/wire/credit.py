"""Pure: how much one endpoint may send to one actor before the actor has caught up.

A sender begins with a small window, which the receiver need not grant. The receiver widens it to the sender's share
of the mailbox as it takes messages out. So a mailbox holds its bound, and at most `FIRST_MESSAGES` more for each
sender that it has not heard of yet.

Both sides count from the same *settlement*: the moment when the sender's route came to lead to the actor. A grant is a
total since the settlement, so a grant that is repeated or overtaken does no harm, and a grant of an earlier settlement
is ignored. A sender that settles its route anew may have lost messages on the way, so it can't continue its count. Nor
does it begin with the small window, which would let each settlement add so many messages to the mailbox. It announces
the settlement before its first message, with a window that is shut. The receiver answers with the sender's share, less
the sender's messages that are in the mailbox.

    taken (receiver) ≤ sent (sender) ≤ granted (sender) ≤ granted (receiver) ≤ max(first window, taken + share)
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

C = TypeVar("C")

FIRST_MESSAGES: Final = 64
FIRST_BYTES: Final = 1 << 20
STEP_SHIFT: Final = 4
"""A sender is granted more when it has used up a sixteenth of its share. Small steps avoid bursts, which would make the
memory use on both sides rise and fall."""
STRANGERS_SETTLEMENT: Final = 0
"""The settlement of a sender that has announced none, since it has never sent to the actor before."""


class Grant(NamedTuple):
    """How much a sender may have sent since its settlement, in all."""

    messages: int
    size_bytes: int
    settlement: int = STRANGERS_SETTLEMENT


class Window:
    """The sender's side. It is open while both counts are below the grant; the last message may be of any size.

    Args:
        settlement: its number, which is announced to the receiver. By default that of a new sender, which begins open.
    """

    __slots__ = ("granted_bytes", "granted_messages", "sent_bytes", "sent_messages", "settlement")

    def __init__(self, settlement: int = STRANGERS_SETTLEMENT) -> None:
        is_strange = settlement == STRANGERS_SETTLEMENT
        self.settlement = settlement
        self.granted_messages = FIRST_MESSAGES if is_strange else 0
        self.granted_bytes = FIRST_BYTES if is_strange else 0
        self.sent_messages = 0
        self.sent_bytes = 0

    def grant(self, messages: int, size_bytes: int, settlement: int = STRANGERS_SETTLEMENT) -> None:
        """Called with the totals that the receiver grants. Grants of another settlement have no effect."""
        if settlement == self.settlement:
            self.granted_messages = max(self.granted_messages, messages)
            self.granted_bytes = max(self.granted_bytes, size_bytes)

    def check_invariants(self) -> None:
        """Raise AssertionError, with the counts, if more was sent than granted."""
        assert self.granted_messages >= self.sent_messages >= 0, f"more was sent than granted: {self}"
        assert self.sent_bytes >= 0, f"bytes are missing: {self}"

    def __repr__(self) -> str:
        return (
            f"<Window of settlement {self.settlement}: {self.sent_messages} of {self.granted_messages} messages, "
            f"{self.sent_bytes} of {self.granted_bytes} bytes>"
        )


class Ledger:
    """The receiver's side, for one sender.

    Attributes:
        settlement: the one that the sender has announced last.
        taken_messages, taken_bytes: how much has left the mailbox since. They begin below 0, by what was in the mailbox
            when the sender settled anew, so that `taken` and what is in the mailbox add up to what has arrived since.
    """

    __slots__ = (
        "granted_bytes",
        "granted_messages",
        "settlement",
        "share_bytes",
        "share_messages",
        "taken_bytes",
        "taken_messages",
    )

    def __init__(self) -> None:
        self.settlement = STRANGERS_SETTLEMENT
        self.granted_messages = FIRST_MESSAGES
        self.granted_bytes = FIRST_BYTES
        self.taken_messages = 0
        self.taken_bytes = 0
        self.share(0, 0)

    def share(self, messages: int, size_bytes: int) -> None:
        """Set how much of the mailbox this sender may fill, at least one message."""
        self.share_messages = max(1, messages)
        self.share_bytes = max(1, size_bytes)

    def settle(self, settlement: int, queued_messages: int, queued_bytes: int) -> Grant:
        """Called when the sender counts anew, from nothing; return how much it may send."""
        self.settlement = settlement
        self.taken_messages, self.taken_bytes = -queued_messages, -queued_bytes
        self.granted_messages = max(0, self.share_messages - queued_messages)
        self.granted_bytes = max(0, self.share_bytes - queued_bytes)
        return Grant(self.granted_messages, self.granted_bytes, settlement)

    def take(self, size_bytes: int) -> Grant | None:
        """Called when a message of this sender has left the mailbox.

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
        return Grant(self.granted_messages, self.granted_bytes, self.settlement)

    def check_invariants(self, queued_messages: int, queued_bytes: int) -> None:
        """Raise AssertionError, with the counts, if they contradict what lies in the mailbox of this sender.

        Args:
            queued_messages, queued_bytes: what lies there.
        """
        arrived = self.taken_messages + queued_messages
        assert 0 <= arrived <= max(self.granted_messages, FIRST_MESSAGES), f"{arrived} have arrived: {self}"
        assert self.taken_bytes + queued_bytes >= 0, f"bytes are missing: {self}"

    def __repr__(self) -> str:
        return (
            f"<Ledger of settlement {self.settlement}: {self.taken_messages} taken of {self.granted_messages} messages "
            f"(share {self.share_messages}), {self.taken_bytes} of {self.granted_bytes} bytes "
            f"(share {self.share_bytes})>"
        )


class Ledgers(Generic[C]):
    """The ledgers of all senders to one actor, which share its mailbox equally.

    The actor's own process sends without a ledger: the mailbox counts its messages. It has a share from the moment when
    it first has to wait for room.

    Args:
        most_messages, most_bytes: the mailbox's bounds.

    Attributes:
        local_messages, local_bytes: the share of the actor's own process.
    """

    __slots__ = ("_is_shared_here", "_ledgers", "_most_bytes", "_most_messages", "local_bytes", "local_messages")

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        self._most_messages = self.local_messages = most_messages
        self._most_bytes = self.local_bytes = most_bytes
        self._ledgers: dict[C, Ledger] = {}
        self._is_shared_here = False

    def take(self, sender: C, size_bytes: int) -> Grant | None:
        """Called when a message of the sender has left the mailbox; return the totals to grant now, if any."""
        ledger = self._ledgers.get(sender)
        if ledger is None:
            ledger = self._begin(sender)
        return ledger.take(size_bytes)

    def settle(self, sender: C, settlement: int, queued_messages: int, queued_bytes: int) -> Grant:
        """Called when the sender has settled its route anew; return how much it may send. See `Ledger.settle`."""
        ledger = self._ledgers.get(sender) or self._begin(sender)
        return ledger.settle(settlement, queued_messages, queued_bytes)

    def _begin(self, sender: C) -> Ledger:
        ledger = self._ledgers[sender] = Ledger()
        self._share()
        return ledger

    def forget(self, sender: C) -> None:
        """Called when the sender is gone: the others get its share."""
        if self._ledgers.pop(sender, None) is not None:
            self._share()

    def share_here(self) -> None:
        """Called when the actor's own process has to wait for room: it has a share from now on."""
        if not self._is_shared_here:
            self._is_shared_here = True
            self._share()

    def check_invariants(self, sender: C, queued_messages: int, queued_bytes: int) -> None:
        """Raise AssertionError if the ledger of a sender contradicts its messages in the mailbox."""
        if sender in self._ledgers:
            self._ledgers[sender].check_invariants(queued_messages, queued_bytes)

    def senders(self) -> list[C]:
        """Return the senders that have a ledger."""
        return list(self._ledgers)

    def _share(self) -> None:
        others_count = len(self._ledgers)
        count = max(1, others_count + self._is_shared_here)
        for ledger in self._ledgers.values():
            ledger.share(self._most_messages // count, self._most_bytes // count)
        self.local_messages = max(1, self._most_messages // (others_count + 1))
        self.local_bytes = max(1, self._most_bytes // (others_count + 1))
