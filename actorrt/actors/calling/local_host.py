"""What the calling side asks of its own endpoint's actors. It knows nothing else of the hosting side."""

from __future__ import annotations

from typing import Protocol

from actorrt.actors.refs.message import Caller
from actorrt.actors.refs.route import Inbox
from actorrt.ids import ActorId


class ItemGrants(Protocol):
    """The streams that are served on this endpoint."""

    def granted(self, caller: Caller, call_id: int, count: int) -> None:
        """Called when the caller of a stream takes `count` more items."""


class LocalHost(Protocol):
    """The actors of this endpoint."""

    @property
    def local_caller(self) -> Caller:
        """This endpoint, as a caller of its own actors."""

    @property
    def serving(self) -> ItemGrants: ...

    def cell(self, actor_id: ActorId) -> Inbox | None:
        """Return the inbox of an actor; None if the actor is not here."""

    def withdraw(self, caller: Caller, actor_id: ActorId, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call of an actor; return whether it was here."""
