"""What is told of the end of an actor: a `Down` by a monitor, an `Exit` by a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.refs.ref import ActorRef


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
        return self.reason.in_full


@dataclass(frozen=True, slots=True)
class Exit:
    """An actor that this one is linked to is gone for good.

    Attributes:
        ref: the actor.
        reason: why it ended.
        incarnation: its last one.
    """

    ref: ActorRef[Any]
    reason: ExitReason
    incarnation: int

    @property
    def detail(self) -> str:
        """The reason in words, with the traceback or stack it left behind, if any."""
        return self.reason.in_full
