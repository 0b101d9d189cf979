"""The reply to a call, which the caller holds until it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from actorrt.actors.refs import current
from actorrt.actors.refs.message_waits import waiter_of
from actorrt.actors.wire.payload import ReplySentError
from actorrt.completion import OPEN, Completion, Waiter
from actorrt.errors import ActorRtError
from actorrt.ids import PeerId
from actorrt.protocol.envelopes import Body

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.wire.transits import Transit

T = TypeVar("T")


class CallOwner(Protocol):
    """Has the calls until they end."""

    def cancel(self, call: Reply[Any]) -> None:
        """Withdraw a call, from any thread."""

    def fail(self, call: Reply[Any], error: BaseException) -> None:
        """End a call, or a tell, with an error that arose here."""


class Reply(Completion[T]):
    """The reply to one call; `await` it, or take its `result()` in plain code.

    Cancelling the only coroutine that awaits it cancels the call. Dropping it does not.
    """

    sequence: int
    """The number of the frame that it was put into, where `peer` is another endpoint: it tells whether it has left."""

    __slots__ = (
        "attempts_left",
        "body",
        "buffers",
        "call_id",
        "calls",
        "deadline",
        "is_repeated",
        "method",
        "moves_left",
        "options",
        "parent",
        "peer",
        "ref",
        "sequence",
        "timer",
        "transit",
    )

    def __init__(
        self,
        calls: CallOwner,
        ref: ActorRef[Any],
        method: str,
        body: Body,
        buffers: Sequence[bytes],
        transit: Transit | None,
        deadline: float | None,
        options: dict[str, Any] | None,
        retries: int,
        parent: Message | None,
    ) -> None:
        # Completion's fields are set here and not by super(), which costs a call for each reply.
        self._is_done = False
        self._value = None
        self._error = None
        self._callbacks = [OPEN]
        self.calls = calls
        self.ref = ref
        self.method = method
        self.body = body
        self.buffers = buffers
        self.transit = transit  # the tokens by which the store keeps its arguments until they are opened
        self.deadline = deadline
        self.options = options
        self.parent = parent  # the message that its caller was handling
        self.attempts_left = retries
        self.is_repeated = False  # sent again: an earlier copy may have run
        self.moves_left = 3
        self.call_id = 0
        self.peer: PeerId | None = None  # the endpoint that has it
        self.timer: asyncio.TimerHandle | None = None

    @property
    def label(self) -> str:
        """The actor's name, for people."""
        return self.ref._label

    @property
    def has_retries(self) -> bool:
        """Whether it is sent again if its actor dies during it."""
        return self.options is not None and "retry" in self.options

    @property
    def _subject(self) -> str:  # type: ignore[override]
        return f"{self.label}.{self.method}()"

    def cancel(self) -> None:
        """Withdraw the call: it is dropped if it is queued, and cancelled if it runs as a coroutine.

        The reply ends with `CallCancelledError`. Without effect if the call has ended.
        """
        if not self._is_done:
            self.calls.cancel(self)

    def _waiter(self) -> Waiter:
        message = current.message.get()
        runner = None if message is None else waiter_of(message, self)
        return runner or super()._waiter()

    def _abandoned(self) -> None:
        self.cancel()

    def __repr__(self) -> str:
        state = "pending" if not self._is_done else "failed" if self._error is not None else "done"
        return f"<Reply of {self.label}.{self.method}(): {state}>"

    def __reduce__(self) -> Any:
        raise ReplySentError(
            f"the reply of {self.label}.{self.method}() can't be sent; await it first, or call with "
            f".options(returns='ref') and pass on the ObjectRef"
        )


def forget_arguments(call: Reply[Any]) -> None:
    """Called when a call is over, or a tell has left: drop the arguments, as the reply may be kept for long."""
    call.body = call.buffers = ()


def release(call: Reply[Any]) -> None:
    """Called when a call is over: release what the store keeps for it, and drop the arguments."""
    assert call.transit is not None
    error = call.error()
    was_opened = error is None or not isinstance(error, ActorRtError) or getattr(error, "executed", "no") == "yes"
    call.ref._endpoint.transits.call_ended(call.peer, call.transit, call.call_id, was_opened=was_opened)
    call.body = call.buffers = ()


def release_tell(message: Reply[None]) -> None:
    """Called when a tell is over: drop its arguments. If it has left, the store keeps them for the receiver."""
    assert message.transit is not None
    if message.error() is not None:
        release(message)
    else:
        message.transit.held = ()
        message.body = message.buffers = ()
