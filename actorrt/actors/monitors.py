"""What a monitor says when an actor ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actorrt.actors import current
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.ref import ActorRef
    from actorrt.actors.reply import Operation


@dataclass(frozen=True, slots=True)
class Down:
    """An actor ended.

    Attributes:
        ref: the actor.
        reason: why its last incarnation ended, or why it was given up.
        incarnation: the incarnation that ended.
        is_final: whether the actor is gone for good.
    """

    ref: ActorRef[Any]
    reason: ExitReason
    incarnation: int
    is_final: bool = True

    @property
    def detail(self) -> str:
        """The reason in words, with the traceback or stack it left behind, if any."""
        return f"{self.reason}\n{self.reason.traceback}" if self.reason.traceback else str(self.reason)


def monitor(ref: ActorRef[Any], *, restarts: bool = False) -> Operation[Down]:
    """Return what ends with a `Down` when the actor is gone for good; at once if it is gone already.

    Args:
        ref: the actor to watch.
        restarts: end also when an incarnation ends and another follows.

    The Down comes after every reply of the actor that was on its way, and when its name is free again.
    """
    return current.system().monitor(ref, restarts)
