"""Pure: the bounded queue of an actor's messages: how much each sender may put in, and what happens when it is full.

It counts messages and bytes. It returns the messages that it refuses or displaces, so that their senders can be told:
no message disappears in here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from actorrt.actors.policy.options import Overflow
from actorrt.actors.refs.message import Caller, Message, Signal, Tick
from actorrt.actors.wire.credit import Grant, Ledgers


class _Withdrawn:
    """Finds queued calls, and knows those that were withdrawn: they keep their places in the queue for a while.

    It is made by the first withdrawal and lasts until the queue is empty, so each message is looked at once at most.
    """

    __slots__ = ("by_call", "messages")

    def __init__(self, queue: Iterable[Message]) -> None:
        self.by_call = {(message.caller, message.call_id): message for message in queue if message.call_id}
        self.messages: set[Message] = set()


class Mailbox:
    """First in, first out, within bounds.

    Invariant: the oldest in `queue` is not withdrawn.

    Args:
        most_messages: bound on the count.
        most_bytes: bound on the sum of the messages' sizes.
        overflow: what to do at the bound.
        local_caller: the actor's own process as a caller.

    Attributes:
        queue: the messages, oldest first, for reading; some of them may be withdrawn: see `waiting`.
        dropped_count: how many messages were refused or displaced.
    """

    __slots__ = (
        "_foreign_bytes",
        "_foreign_count",
        "_ledgers",
        "_local_caller",
        "_most_bytes",
        "_most_messages",
        "_overflow",
        "_queued_bytes",
        "_signal_count",
        "_withdrawn",
        "dropped_count",
        "queue",
    )

    def __init__(self, most_messages: int, most_bytes: int, overflow: Overflow, local_caller: Caller) -> None:
        self.queue: deque[Message] = deque()
        self._local_caller = local_caller
        self._ledgers: Ledgers[Caller] | None = None  # once somebody else sends, or this process has to wait
        self._queued_bytes = 0
        self._foreign_count = 0  # places in the queue that are not taken by messages of this process
        self._foreign_bytes = 0
        self._signal_count = 0
        self._withdrawn: _Withdrawn | None = None
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._overflow = overflow
        self.dropped_count = 0

    def __len__(self) -> int:
        return len(self.queue) - (0 if self._withdrawn is None else len(self._withdrawn.messages))

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    @property
    def is_blank(self) -> bool:
        """Whether a new mailbox could replace it: it is empty, and has no counts to keep."""
        return not self.queue and not self.dropped_count and self._ledgers is None

    def waiting(self) -> Iterator[Message]:
        """Yield the messages that wait, oldest first."""
        if self._withdrawn is None:
            return iter(self.queue)
        withdrawn = self._withdrawn.messages
        return (message for message in self.queue if message not in withdrawn)

    # In and out

    def offer(self, message: Message) -> Sequence[Message]:
        """Add a message; return the messages that are refused or displaced: none, this message, or older ones.

        A mailbox that blocks refuses nothing. Credit and `has_local_room` bound its messages, except the first ones of
        a sender that has no credit yet.
        """
        displaced: Sequence[Message] = ()
        if self._overflow is not Overflow.BLOCK and type(message) is not Signal:
            if not self._can_make_room(message):
                self.dropped_count += 1
                return (message,)
            displaced = self._make_room(message)
            self.dropped_count += len(displaced)
        self.queue.append(message)
        self._queued_bytes += message.size_bytes
        if message.caller is not self._local_caller:
            self._foreign_came(message)
        if self._withdrawn is not None and message.call_id:
            self._withdrawn.by_call[message.caller, message.call_id] = message
        return displaced

    def take(self) -> Message:
        """Remove and return the oldest message; there must be one."""
        message = self.queue.popleft()
        self._queued_bytes -= message.size_bytes
        if message.caller is not self._local_caller:
            self._foreign_left(message)
        if self._withdrawn is not None:
            self._withdrawn.by_call.pop((message.caller, message.call_id), None)
            self._skip_withdrawn(self._withdrawn)
        return message

    def _foreign_came(self, message: Message) -> None:
        self._foreign_count += 1
        self._foreign_bytes += message.size_bytes
        if type(message) is Signal:
            self._signal_count += 1
        elif type(message) is Tick:
            message.is_waiting = True

    def _foreign_left(self, message: Message) -> None:
        self._foreign_count -= 1
        self._foreign_bytes -= message.size_bytes
        if type(message) is Signal:
            self._signal_count -= 1
        elif type(message) is Tick:
            message.is_waiting = False

    def _is_over(self, size_bytes: int) -> bool:
        """Whether a message of that size would exceed the bounds."""
        messages_count = len(self) - self._signal_count
        return messages_count >= self._most_messages or self._queued_bytes + size_bytes > self._most_bytes

    def _can_make_room(self, message: Message) -> bool:
        if self._overflow is Overflow.LATEST or not self._is_over(message.size_bytes):
            return True
        return self._overflow is Overflow.DROP_OLD and message.size_bytes <= self._most_bytes

    def _make_room(self, message: Message) -> Sequence[Message]:
        """Remove the oldest messages until this one fits; signals keep their places."""
        displaced: list[Message] = []
        signals: list[Message] = []
        is_latest = self._overflow is Overflow.LATEST
        while len(self) > self._signal_count and (is_latest or self._is_over(message.size_bytes)):
            oldest = self.take()
            (signals if type(oldest) is Signal else displaced).append(oldest)
        self.queue.extendleft(reversed(signals))
        self._foreign_count += len(signals)
        self._signal_count += len(signals)
        return displaced

    def take_all(self) -> Sequence[Message]:
        """Remove and return everything, oldest first."""
        messages = []
        while self.queue:
            messages.append(self.take())
        return messages

    # Withdrawals

    def find(self, caller: Caller | None, call_id: int) -> Message | None:
        """Return the message of one call, if it is queued."""
        if not self.queue:
            return None
        if self._withdrawn is None:
            self._withdrawn = _Withdrawn(self.queue)
        return self._withdrawn.by_call.get((caller, call_id))

    def withdraw(self, caller: Caller, call_id: int) -> Message | None:
        """Remove and return the message of one call, if it is still queued; its arguments are gone."""
        message, withdrawn = self.find(caller, call_id), self._withdrawn
        if message is None or withdrawn is None:
            return None
        del withdrawn.by_call[caller, call_id]
        withdrawn.messages.add(message)
        self._queued_bytes -= message.size_bytes
        if caller is self._local_caller:
            self._foreign_count += 1  # its place is nobody's
        else:
            self._foreign_bytes -= message.size_bytes
        message.body = message.buffers = ()
        if 2 * len(withdrawn.messages) > len(self.queue):
            self._close_ranks(withdrawn)
        self._skip_withdrawn(withdrawn)
        return message

    def _close_ranks(self, withdrawn: _Withdrawn) -> None:
        """Remove the withdrawn messages from the queue: they are more than those that wait."""
        kept = list(self.waiting())
        self.queue.clear()  # in place: the execution holds a reference to it
        self.queue.extend(kept)
        self._foreign_count -= len(withdrawn.messages)
        withdrawn.messages.clear()

    def _skip_withdrawn(self, withdrawn: _Withdrawn) -> None:
        queue = self.queue
        while queue and queue[0] in withdrawn.messages:
            withdrawn.messages.remove(queue.popleft())
            self._foreign_count -= 1
        if not queue:
            self._withdrawn = None

    def withdraw_all(self, caller: Caller) -> None:
        """Remove every call of a caller that is gone; its tells are handled nevertheless, without a caller."""
        if self._ledgers is not None:
            self._ledgers.forget(caller)
        for message in list(self.waiting()):
            if message.caller is not caller:
                continue
            if message.call_id:
                self.withdraw(caller, message.call_id)
            else:
                message.caller = None

    # Shares

    @property
    def has_local_room(self) -> bool:
        """Whether a message from this process may come in now, rather than wait at its sender.

        It has a share as other senders have, so that none of them can keep it out.
        """
        count, size_bytes = len(self.queue) - self._foreign_count, self._queued_bytes - self._foreign_bytes
        shares = self._ledgers
        if shares is None:
            is_open = count < self._most_messages and size_bytes < self._most_bytes
        else:
            is_open = count < shares.local_messages and size_bytes < shares.local_bytes
        return is_open or self._overflow is not Overflow.BLOCK

    def share_here(self) -> None:
        """Called when this process waits for room: from now on it has a share of the mailbox."""
        self._shares().share_here()

    def credit(self, sender: Caller, size_bytes: int) -> Grant | None:
        """Called when a message of another process has left: return the totals to grant its sender now, if any."""
        return self._shares().take(sender, size_bytes)

    def settle(self, sender: Caller, settlement: int) -> Grant:
        """Called when another process counts its messages anew, as in `Ledgers.settle`; return the new totals."""
        sizes_bytes = [message.size_bytes for message in self.waiting() if message.caller is sender]
        return self._shares().settle(sender, settlement, len(sizes_bytes), sum(sizes_bytes))

    def _shares(self) -> Ledgers[Caller]:
        if self._ledgers is None:
            self._ledgers = Ledgers(self._most_messages, self._most_bytes)
        return self._ledgers

    def creditors(self) -> Sequence[Caller]:
        """Return the senders of other processes that have a share of it."""
        return [] if self._ledgers is None else self._ledgers.senders()

    def check_credit(self) -> None:
        """Raise AssertionError if what a sender was granted disagrees with what is queued of it; for tests."""
        if self._ledgers is not None:
            for sender in self._ledgers.senders():
                sizes_bytes = [message.size_bytes for message in self.waiting() if message.caller is sender]
                self._ledgers.check_invariants(sender, len(sizes_bytes), sum(sizes_bytes))

    def contradictions(self) -> Iterator[str]:
        """Yield what disagrees with what is queued; for tests, since it looks at everything."""
        waiting, withdrawn = list(self.waiting()), self._withdrawn
        foreign = [message for message in waiting if message.caller is not self._local_caller]
        gone_count = len(self.queue) - len(waiting)
        facts = {
            "queued_bytes": (self._queued_bytes, sum(message.size_bytes for message in waiting)),
            "foreign_bytes": (self._foreign_bytes, sum(message.size_bytes for message in foreign)),
            "foreign_count": (self._foreign_count, len(foreign) + gone_count),
            "signal_count": (self._signal_count, sum(type(message) is Signal for message in waiting)),
            "count": (len(self), len(waiting)),
        }
        for name, (told, counted) in facts.items():
            if told != counted:
                yield f"{name} is {told}, and should be {counted}"
        if withdrawn is not None:
            if self.queue and self.queue[0] in withdrawn.messages:
                yield "the oldest is withdrawn"
            if withdrawn.by_call != _Withdrawn(waiting).by_call:
                yield "the calls that can be found are not those that wait"
