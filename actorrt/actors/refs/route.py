"""The way to one actor: where it runs, as far as that is known, and the messages that wait until they may leave.

`actorrt.actors.calling.routes` settles and unsettles routes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt.actors.refs.message import message_bytes
from actorrt.actors.wire.credit import Window
from actorrt.completion import Completion
from actorrt.config import MIB
from actorrt.errors import ActorRtError
from actorrt.ids import ActorId, PeerAddress, PeerId, short
from actorrt.protocol.authorities import Sighting

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message
    from actorrt.actors.refs.reply import Reply
    from actorrt.transport.interfaces import Link

WAITING_MESSAGES: Final = 10_000
WAITING_BYTES: Final = 64 * MIB
"""How much of one endpoint may wait for one actor. Beyond that a sender waits, or is refused."""


class LocalRoom(Protocol):
    """The room for messages of this process in the mailbox of an actor."""

    @property
    def has_local_room(self) -> bool:
        """Whether a message of this process may come in now, rather than wait at its sender."""


class Inbox(Protocol):
    """An actor of this endpoint, for those who send to it here.

    Attributes:
        local_route: the route of this process on which messages wait for room, if any do.
    """

    local_route: Route | None

    @property
    def mailbox(self) -> LocalRoom | None:
        """None while nothing waits in it, so that there is room."""

    @property
    def has_room(self) -> bool:
        """Whether a message of this process may come in now, rather than wait on its route."""

    def deliver(self, message: Message) -> None:
        """Take a message in; it is handled in a later step of the loop, never in this stack."""

    def await_room(self, route: Route) -> None:
        """Messages wait on the route to this actor: have them sent as soon as there is room."""


class WaitingCalls:
    """Calls that can't be sent yet, first in, first out, and their size."""

    __slots__ = ("_calls", "size_bytes")

    def __init__(self) -> None:
        self._calls: deque[tuple[Reply[Any], int]] = deque()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Reply[Any]]:
        return (call for call, _ in self._calls)

    def add(self, call: Reply[Any]) -> None:
        """Add a call behind all others."""
        size_bytes = message_bytes(call.body, call.buffers)
        self._calls.append((call, size_bytes))
        self.size_bytes += size_bytes

    def take(self) -> Reply[Any]:
        """Remove and return the oldest call; there must be one."""
        call, size_bytes = self._calls.popleft()
        self.size_bytes -= size_bytes
        return call

    def check_invariants(self) -> None:
        """Raise AssertionError if the sizes do not add up."""
        size_bytes = sum(size_bytes for _, size_bytes in self._calls)
        assert size_bytes == self.size_bytes, f"{size_bytes} bytes wait, and {self.size_bytes} are counted"


class Route:
    """The way to one actor. At most one of `inbox`, `link` and `gone` is set; none while it is sought.

    Attributes:
        newest: the newest incarnation that is known.
        window: how much may be sent over the link before the actor has caught up. An actor here tells that itself.
        waiting: the messages that can't be sent yet, in order: the actor is sought, or has no room.
        gone: what its authority said of an actor that is dead.
        absent_count: how often in a row the actor was not where its authority said that it was.
    """

    __slots__ = (
        "__weakref__",
        "absent_count",
        "actor_id",
        "authority",
        "emptied",
        "gone",
        "inbox",
        "is_seeking",
        "link",
        "newest",
        "peer",
        "room",
        "seen",
        "waiting",
        "window",
    )

    def __init__(self, actor_id: ActorId, authority: PeerAddress) -> None:
        self.actor_id = actor_id
        self.authority = authority
        self.newest = 0
        self.absent_count = 0
        self.seen: Sighting | None = None
        self.inbox: Inbox | None = None
        self.link: Link | None = None
        self.peer: PeerId | None = None
        self.gone: ActorRtError | None = None
        self.is_seeking = False
        self.window: Window | None = None
        self.waiting: WaitingCalls | None = None
        self.room: Completion[None] | None = None
        self.emptied: Completion[None] | None = None

    def unsettle(self) -> None:
        """Forget where the actor was."""
        self.seen = self.inbox = self.link = self.peer = self.window = None

    @property
    def is_open(self) -> bool:
        """Whether a message may leave now: the actor's place is known, and it has room."""
        if self.inbox is not None:
            return self.inbox.has_room
        window = self.window
        return (
            window is not None
            and window.sent_messages < window.granted_messages
            and window.sent_bytes < window.granted_bytes
        )

    @property
    def waiting_count(self) -> int:
        return 0 if self.waiting is None else len(self.waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more messages may wait."""
        waiting = self.waiting
        return waiting is not None and (len(waiting) >= WAITING_MESSAGES or waiting.size_bytes >= WAITING_BYTES)

    def check_invariants(self) -> None:
        """Raise AssertionError, with the route, if it contradicts itself."""
        assert (self.inbox is not None) + (self.link is not None) + (self.gone is not None) <= 1, f"two ways: {self}"
        assert (self.link is None) == (self.peer is None) == (self.window is None), f"half a link: {self}"
        assert self.waiting is None or self.is_settled or self.is_seeking, f"messages wait for nothing: {self}"
        if self.window is not None:
            self.window.check_invariants()
        if self.waiting is not None:
            self.waiting.check_invariants()

    @property
    def is_settled(self) -> bool:
        """Whether it is known where the actor is, or that it is gone."""
        return self.inbox is not None or self.link is not None or self.gone is not None

    def __repr__(self) -> str:
        place = "gone" if self.gone is not None else "here" if self.inbox is not None else "sought"
        place = place if self.peer is None else f"at {short(self.peer)}"
        return (
            f"<Route to {short(self.actor_id)}, {place}, incarnation {self.newest}, "
            f"{self.waiting_count} waiting, {self.window}>"
        )

    def room_comes(self) -> Completion[None]:
        """Return what ends when more messages may wait; any thread may ask."""
        room = self.room
        if room is None or room.done():
            room = self.room = Completion()
        if not self.is_full:
            room.set_value(None)
        return room
