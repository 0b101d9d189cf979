"""Pure: the bounded queue in front of an actor, and what happens when it is full.

It counts messages and bytes. What it refuses or displaces it hands back, so that whoever delivers can say so:
nothing disappears in here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol
from weakref import ReferenceType

from actorrt.actors.messages import Body, Constants
from actorrt.actors.options import Overflow
from actorrt.errors import CallError, Executed
from actorrt.ids import ActorId

PLAIN_MESSAGE_BYTES: Final = 64


def message_bytes(body: Body, buffers: Sequence[Any]) -> int:
    """Return what a message weighs, the same on either side of a link: its strings and bytes, and its buffers."""
    kind = type(body)
    if kind is bytes:
        size = len(body)
    else:
        size = PLAIN_MESSAGE_BYTES
        if kind is list or kind is tuple:
            for item in body:
                if type(item) is bytes or type(item) is str:
                    size += len(item)
        elif isinstance(body, Constants):
            size += body.size_bytes
    for buffer in buffers:
        size += len(buffer)
    return size


class Caller(Protocol):
    """Who asked, near or far: where the outcome of a message goes."""

    @property
    def is_far(self) -> bool:
        """Whether it is on another node."""

    def succeed(self, call_id: int, value: Any) -> None:
        """Give the result; raises what makes it impossible to send."""

    def fail(self, call_id: int, error: BaseException, where: str, executed: Executed) -> None:
        """Give the exception that the method raised, or that kept it from running; `where` names the method."""

    def refuse(self, call_id: int, error: CallError) -> None:
        """Give the runtime's own error."""

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        """Let the caller's endpoint have sent so much to the actor in all."""

    def item(self, call_id: int, value: Any) -> None:
        """Give one item of a stream; raises what makes it impossible to send."""


class Message:
    """One message on its way through a mailbox.

    `call_id` is 0 where nobody waits for the outcome. `caller` is None for what the runtime itself sends.
    """

    __slots__ = (
        "began_at",
        "body",
        "buffers",
        "call_id",
        "caller",
        "cell",
        "deadline",
        "is_over",
        "method",
        "options",
        "size_bytes",
        "task",
        "waits",
        "withdrawal",
    )

    def __init__(
        self,
        caller: Caller | None,
        call_id: int,
        method: str,
        body: Body,
        buffers: Sequence[Any],
        deadline: float | None,
        options: dict[str, Any] | None,
    ) -> None:
        self.caller = caller
        self.call_id = call_id
        self.method = method
        self.body = body
        self.buffers = buffers
        self.deadline = deadline
        self.options = options
        self.size_bytes = message_bytes(body, buffers)
        self.began_at = 0.0  # when its coroutine began to run
        self.is_over = False  # handled; tasks that it left behind go on without its deadline
        self.cell: Any = None  # the cell that handles it, from when it is in hand
        self.task: Any = None  # the task that runs it, where it is a coroutine
        self.waits: list[ReferenceType[Any]] | None = None  # what its tasks awaited last; see `deadlock`
        self.withdrawal: CallError | None = None  # why it was cancelled while it ran


class Mailbox:
    """First in, first out, within bounds.

    Args:
        most_messages: bound on the count.
        most_bytes: bound on the sum of the messages' sizes.
        overflow: what to do at the bound.

    Attributes:
        queue: what waits, oldest first; for reading.
    """

    __slots__ = (
        "_local_bytes",
        "_local_messages",
        "_most_bytes",
        "_most_messages",
        "_overflow",
        "_queued_bytes",
        "dropped_count",
        "queue",
    )

    def __init__(self, most_messages: int, most_bytes: int, overflow: Overflow) -> None:
        self.queue: deque[Message] = deque()
        self._local_messages, self._local_bytes = most_messages, most_bytes
        self._queued_bytes = 0
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._overflow = overflow
        self.dropped_count = 0

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    def offer(self, message: Message) -> Sequence[Message]:
        """Take the message in, and return what had to go instead: nothing, the message itself, or older ones."""
        size = message.size_bytes
        displaced: Sequence[Message] = ()
        if self._overflow is Overflow.LATEST:
            displaced = self.take_all()
        elif self._overflow is Overflow.BLOCK:
            pass  # credit bounds what comes; a sender that has heard of none yet may send its first messages
        elif len(self.queue) < self._most_messages and self._queued_bytes + size <= self._most_bytes:
            pass
        elif self._overflow is Overflow.DROP_OLD and size <= self._most_bytes:
            displaced = self._make_room(size)
        else:
            self.dropped_count += 1
            return (message,)
        self.dropped_count += len(displaced)
        self.queue.append(message)
        self._queued_bytes += size
        return displaced

    def _make_room(self, size: int) -> Sequence[Message]:
        displaced = []
        while self.queue and (len(self.queue) >= self._most_messages or self._queued_bytes + size > self._most_bytes):
            displaced.append(self.take())
        return displaced

    def take(self) -> Message:
        """Remove and return the oldest message; there must be one."""
        message = self.queue.popleft()
        self._queued_bytes -= message.size_bytes
        return message

    @property
    def has_local_room(self) -> bool:
        """Whether a message from this process may come in now, rather than wait at its sender."""
        if len(self.queue) < self._local_messages and self._queued_bytes < self._local_bytes:
            return True
        return not self.queue or self._overflow is not Overflow.BLOCK

    def share_with_others(self) -> None:
        """Messages come from other processes, too, which have credit for all of it: leave half of it to them."""
        self._local_messages, self._local_bytes = self._most_messages // 2, self._most_bytes // 2

    def held_for(self, caller: Caller) -> tuple[int, int]:
        """Return how many messages of one caller wait here, and their bytes."""
        sizes_bytes = [message.size_bytes for message in self.queue if message.caller is caller]
        return len(sizes_bytes), sum(sizes_bytes)

    def take_all(self) -> Sequence[Message]:
        """Remove and return everything, oldest first."""
        messages = list(self.queue)
        self.queue.clear()
        self._queued_bytes = 0
        return messages

    def withdraw(self, caller: Caller, call_id: int) -> Message | None:
        """Remove and return the message of one call, if it is still queued."""
        for message in self.queue:
            if message.call_id == call_id and message.caller is caller:
                self.queue.remove(message)
                self._queued_bytes -= message.size_bytes
                return message
        return None

    def withdraw_all(self, caller: Caller) -> None:
        """Remove every call of a caller that is gone; what it told is handled nevertheless, as nobody's."""
        kept = [message for message in self.queue if message.caller is not caller or not message.call_id]
        for message in kept:
            message.caller = None if message.caller is caller else message.caller
        self.queue.clear()  # in place: whoever takes from it has it in hand
        self.queue.extend(kept)
        self._queued_bytes = sum(message.size_bytes for message in kept)
