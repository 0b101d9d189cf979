"""A message to an actor, and the caller that its outcome goes to.

`message_waits` tells for which calls a message waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt.actors.wire.plain_values import Constants
from actorrt.errors import CallError, Executed
from actorrt.ids import ActorId
from actorrt.protocol.envelopes import Body

if TYPE_CHECKING:
    from actorrt.actors.refs.message_waits import TaskWaiter

PLAIN_MESSAGE_BYTES: Final = 64
SIGNAL_PREFIX: Final = "!"
"""Begins the method of a message that calls a hook."""


def message_bytes(body: Body, buffers: Sequence[Any]) -> int:
    """Return the size of a message, the same on either side of a link: its strings, its bytes and its buffers."""
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
    """The endpoint that sent a message, near or far: the outcome goes there."""

    @property
    def is_far(self) -> bool:
        """Whether it is on another node."""

    def succeed(self, call_id: int, value: Any) -> None:
        """Send the result; raise the error that makes that impossible."""

    def fail(self, call_id: int, error: BaseException, where: str, executed: Executed) -> None:
        """Send the exception that the method raised, or that kept it from running; `where` names the method."""

    def refuse(self, call_id: int, error: CallError) -> None:
        """Send an error of the runtime."""

    def grant(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        """Let the caller's endpoint send to the actor, up to these totals."""

    def item(self, call_id: int, value: Any) -> None:
        """Send one item of a stream; raise the error that makes that impossible."""


class Message:
    """One message on its way through a mailbox.

    `call_id` is 0 if nobody waits for the outcome. `caller` is None if the runtime itself sent the message.
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
        "runner",
        "size_bytes",
        "timer",
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
        self.size_bytes = message_bytes(body, buffers) if body or type(body) is not tuple else PLAIN_MESSAGE_BYTES
        self.began_at = 0.0  # when its coroutine began to run
        self.is_over = False  # it was handled; tasks that it left behind run on without its deadline
        self.cell: Any = None  # the cell that it was delivered to
        self.runner: TaskWaiter | None = None  # drives it, if it is a coroutine
        self.timer: Any = None  # of its deadline, while it waits for something
        self.withdrawal: CallError | None = None  # why it was cancelled while it ran


class Signal(Message):
    """A message of the runtime that calls a hook of the actor: a `Down` or an exit.

    There is one for each monitor and each link, so signals need no bound. They are never refused nor displaced, and
    take no room from messages. Their arguments never left this process.
    """

    __slots__ = ()

    def __init__(self, hook: str, args: tuple[Any, ...]) -> None:
        super().__init__(None, 0, SIGNAL_PREFIX + hook, args, (), None, None)
        self.size_bytes = 0


class Tick(Message):
    """The message that a timer of the actor sends."""

    __slots__ = ("is_waiting",)

    def __init__(self, method: str, args: tuple[Any, ...]) -> None:
        super().__init__(None, 0, method, args, (), None, None)
        self.is_waiting = False  # in the mailbox
