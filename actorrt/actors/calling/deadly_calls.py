"""Calls that kill: a call with `retries=` that has ended its actor too often is set aside and not sent again.

A death counts for the calls that were in hand when the actor failed, or its process died, and not for those that
waited in the mailbox. The host says which those were, or the notes that the process left (`crash_notes`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.refs import current
from actorrt.errors import ObjectLostError
from actorrt.protocol.envelopes import Body
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.refs.reply import Reply

DEADLY_COUNT: Final = 3
KEPT_COUNT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Poison:
    """A call that was set aside.

    Attributes:
        ref: the actor that it killed.
        method: the method that was called.
        body: its arguments as they travelled: plain values, pickled bytes, or their place in the store.
        buffers: the arrays that travelled beside them.
        reason: how the actor ended the last time, with the stack or traceback that it left.
    """

    ref: ActorRef[Any]
    method: str
    body: Body
    buffers: Sequence[bytes]
    reason: ExitReason

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return `(args, kwargs)`, unpickled here and now.

        Raises:
            ObjectLostError: they were large and went through the store, which deleted them with the call.
        """
        if isinstance(self.body, dict):
            raise ObjectLostError(
                f"the arguments of {self.method}() went through the store, and were deleted with the call"
            )
        return current.endpoint().payloads.open_call(self.body, self.buffers)


class DeathCounter:
    """Counts the deaths that the calls of one endpoint have caused, and keeps the calls that caused too many.

    Attributes:
        set_aside: the calls that caused too many, oldest first.
    """

    def __init__(self) -> None:
        self._deaths: dict[Reply[Any], int] = {}
        self.set_aside: deque[Poison] = deque(maxlen=KEPT_COUNT)

    def is_deadly(self, call: Reply[Any], reason: ExitReason) -> bool:
        """Count one death. If the call has caused too many, set it aside and return True."""
        count = self._deaths.get(call, 0) + 1
        if count == 1:
            call.add_callback(self._ended)
        self._deaths[call] = count
        if count < DEADLY_COUNT:
            return False
        body = dict(call.body) if isinstance(call.body, dict) else call.body  # without the sender's views
        self.set_aside.append(Poison(call.ref, call.method, body, call.buffers, reason))
        return True

    def _ended(self, call: Reply[Any]) -> None:
        del self._deaths[call]
