"""Where messages to each actor go: to a cell of this endpoint, over a link, or into a queue while it is sought.

A route is settled by what a ref last saw, and sought anew at the actor's authority when the endpoint it led to is
lost or says that the actor is not there. What is sent meanwhile waits in order, within the mailbox's bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.control import Endpoint
from actorrt.actors.credit import Window
from actorrt.actors.mailbox import Message, message_bytes
from actorrt.actors.messages import ASK, TELL, Constants
from actorrt.actors.ref import ActorRef, Sighting
from actorrt.completion import Completion
from actorrt.config import MIB
from actorrt.errors import ActorDiedError, ActorRtError
from actorrt.ids import ActorId, PeerId

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell
    from actorrt.actors.reply import Reply
    from actorrt.actors.system import System
    from actorrt.transport.protocol import Link

WAITING_MESSAGES: Final = 10_000
WAITING_BYTES: Final = 64 * MIB
"""How much of one endpoint may wait for one actor; beyond that a sender waits, or is refused."""


class Waiting:
    """Calls that can't be sent yet, first in, first out, and what they weigh together."""

    __slots__ = ("_calls", "size_bytes")

    def __init__(self) -> None:
        self._calls: deque[tuple[Reply[Any], int]] = deque()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Reply[Any]]:
        return (call for call, _ in self._calls)

    def add(self, call: Reply[Any]) -> None:
        """Put a call behind all others."""
        size_bytes = message_bytes(call.body, call.buffers)
        self._calls.append((call, size_bytes))
        self.size_bytes += size_bytes

    def take(self) -> Reply[Any]:
        """Remove and return the oldest call; there must be one."""
        call, size_bytes = self._calls.popleft()
        self.size_bytes -= size_bytes
        return call


class Route:
    """The way to one actor. At most one of `cell`, `link` and `gone` is set; none while it is sought.

    Attributes:
        newest: the newest incarnation heard of.
        window: how much may be sent over the link before the actor has caught up; a cell here tells that itself.
        waiting: in order, what can't be sent yet: while the actor is sought, or has no room.
    """

    __slots__ = (
        "actor_id",
        "authority",
        "cell",
        "emptied",
        "gone",
        "is_seeking",
        "link",
        "newest",
        "peer",
        "room",
        "seen",
        "waiting",
        "window",
    )

    def __init__(self, actor_id: ActorId, authority: Endpoint) -> None:
        self.actor_id = actor_id
        self.authority = authority
        self.newest = 0
        self.seen: Sighting | None = None
        self.cell: Cell | None = None
        self.link: Link | None = None
        self.peer: PeerId | None = None
        self.gone: ActorRtError | None = None
        self.is_seeking = False
        self.window: Window | None = None
        self.waiting: Waiting | None = None
        self.room: Completion[None] | None = None
        self.emptied: Completion[None] | None = None

    def unsettle(self) -> None:
        """Forget where the actor was."""
        self.seen = self.cell = self.link = self.peer = self.window = None

    @property
    def is_open(self) -> bool:
        """Whether a message may leave now: the actor's place is known, and it has room."""
        if self.cell is not None:
            return self.cell.has_room
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
        """Whether nothing more may wait."""
        waiting = self.waiting
        return waiting is not None and (len(waiting) >= WAITING_MESSAGES or waiting.size_bytes >= WAITING_BYTES)

    def room_comes(self) -> Completion[None]:
        """Return what ends when something more may wait; any thread may ask."""
        room = self.room
        if room is None or room.done():
            room = self.room = Completion()
        if not self.is_full:
            room.set_value(None)
        return room


class Routes:
    """All routes of one endpoint."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._routes: dict[ActorId, Route] = {}
        self._held_up: dict[Route, None] = {}  # those on which something waits

    def of(self, ref: ActorRef[Any]) -> Route:
        """Return the route to the ref's actor, settled by what the ref saw last if it is new."""
        if ref._route is not None:
            return ref._route
        route = self._routes.get(ref._actor_id)
        if route is None:
            route = self._routes[ref._actor_id] = Route(ref._actor_id, ref._authority)
            seen = ref._seen
            if seen is not None and not self._system.is_lost(seen.endpoint.peer):
                self._settle(route, seen)
        ref._route = route
        return route

    def sighting(self, actor_id: ActorId) -> Sighting | None:
        """Return where the actor was seen last, if it has a settled route."""
        route = self._routes.get(actor_id)
        return None if route is None else route.seen

    def send(self, route: Route, call: Reply[Any]) -> None:
        """Send a call on its way, or let it wait. What can't be sent fails the call."""
        cell = route.cell
        if cell is not None and route.waiting is None and call.call_id:
            mailbox = cell.mailbox
            if mailbox is None or mailbox.has_local_room:
                self._deliver(cell, call)
            else:
                self._wait(route, call)
        elif route.waiting or not route.is_open:
            self._wait(route, call)
        else:
            self._send_now(route, call)

    def _send_now(self, route: Route, call: Reply[Any]) -> None:
        link, window = route.link, route.window
        try:
            if link is not None and window is not None:
                if type(call.body) is Constants:
                    self._system.calls.make_portable(call)
                window.sent_messages += 1
                window.sent_bytes += message_bytes(call.body, call.buffers)
                deadline = call.deadline
                left = None if deadline is None else deadline - self._system.clock.now()
                call.peer = route.peer
                kind = ASK if call.call_id else TELL
                envelope = (kind, call.call_id, route.actor_id, call.method, call.body, left, call.options)
                link.send(envelope, call.buffers)
            elif route.cell is not None:
                self._deliver(route.cell, call)
        except ActorRtError as error:
            self._system.calls.fail(call, error)
        else:
            if not call.call_id:
                if call.transit is not None and call.peer is not None:
                    self._system.transits.sent(call.peer, call.transit.tokens)
                call.set_value(None)

    def _deliver(self, cell: Cell, call: Reply[Any]) -> None:
        call.peer = self._system.endpoint.peer
        caller = self._system.local_caller
        message = Message(caller, call.call_id, call.method, call.body, call.buffers, call.deadline, call.options)
        cell.deliver(message)

    def _wait(self, route: Route, call: Reply[Any]) -> None:
        if route.gone is not None:
            self._refuse(call, route.gone)
            return
        if route.waiting is None:
            route.waiting = Waiting()
            self._held_up[route] = None
        route.waiting.add(call)
        if route.cell is not None:
            route.cell.local_route = route
        elif route.link is None:
            self.seek(route)

    def _refuse(self, call: Reply[Any], gone: ActorRtError) -> None:
        """Fail a call with an error of its own: the route's stays, and would keep all frames that it was raised in."""
        self._system.calls.fail(call, copy(gone))

    def granted(self, actor_id: ActorId, messages: int, size_bytes: int) -> None:
        """The actor has caught up: send on what waits for it."""
        route = self._routes.get(actor_id)
        if route is not None and route.window is not None:
            route.window.grant(messages, size_bytes)
            self.send_waiting(route)

    def send_waiting(self, route: Route) -> None:
        """Send what waits, as far as there is room, or fail it where the actor is gone."""
        waiting = route.waiting
        while waiting and (route.gone is not None or route.is_open):
            call = waiting.take()
            if call.done():
                continue
            if route.gone is not None:
                self._refuse(call, route.gone)
            else:
                self._send_now(route, call)
        if not waiting:
            route.waiting = None
            self._held_up.pop(route, None)
            if route.cell is not None:
                route.cell.local_route = None
        if route.room is not None and not route.is_full:
            room, route.room = route.room, None
            room.set_value(None)
        if route.emptied is not None and not waiting:
            emptied, route.emptied = route.emptied, None
            emptied.set_value(None)

    async def drained(self, peer: PeerId | None = None) -> None:
        """Return when nothing waits any more for a known actor at `peer`, or at any endpoint."""
        for route in list(self._held_up):
            if route.link is not None and (peer is None or route.peer == peer):
                route.emptied = route.emptied or Completion()
                await route.emptied

    def seek(self, route: Route) -> None:
        """Ask the actor's authority where its newest incarnation runs, once at a time."""
        if route.is_seeking:
            return
        route.is_seeking = True
        request = self._system.control.request(
            route.authority, "resolve", {"actor": route.actor_id, "after": route.newest}
        )

        def resolved(_: Any) -> None:
            route.is_seeking = False
            error = request.error()
            if error is None:
                try:
                    self._settle(route, sighting_from_data(request.value()))
                except ActorRtError as unreachable:  # its process lives, and can't be spoken with
                    self._fail_waiting(route, unreachable)
            else:
                assert isinstance(error, ActorRtError)
                route.gone = error if isinstance(error, ActorDiedError) else ActorDiedError(str(error), executed="no")
            if route.seen is not None or route.gone is not None:
                self.send_waiting(route)
            elif route.waiting:
                self.seek(route)  # the place that the authority named is gone already

        request.add_callback(resolved)

    def _settle(self, route: Route, seen: Sighting) -> None:
        route.newest = seen.incarnation
        if seen.endpoint.peer == self._system.endpoint.peer:
            route.cell = self._system.host.cell(route.actor_id)
        elif not self._system.is_lost(seen.endpoint.peer):
            route.peer = seen.endpoint.peer
            route.link = self._system.transport.link(*seen.endpoint)
            route.window = Window()
        if route.cell is not None or route.link is not None:
            route.seen = seen

    def lost(self, peer: PeerId, *, is_alive: bool = False) -> None:
        """Unsettle every route that led to `peer`; what waits there is sought anew.

        Args:
            peer: the endpoint.
            is_alive: whether its actors may be there still, so that they are to be tried again.
        """
        for route in self._routes.values():
            if route.peer == peer:
                route.newest -= is_alive
                self._unsettle(route)

    def _unsettle(self, route: Route) -> None:
        """The actor is no longer where it was: seek it, if anything waits for it."""
        route.unsettle()
        if route.waiting:
            self.seek(route)

    def moved(self, call: Reply[Any]) -> None:
        """The endpoint says that the call's actor is not there: seek it, and send the call again.

        A few times only: an endpoint and an authority that contradict each other must not keep a call going round.
        """
        route = self.of(call.ref)
        if call.peer is not None:
            self.absent(call.peer, route.actor_id)
        call.moves_left -= 1
        if call.moves_left < 0:
            self._system.calls.fail(call, ActorDiedError(f"{call.label} is not where it was said to be", executed="no"))
            return
        self.send(route, call)

    def absent(self, peer: PeerId, actor_id: ActorId) -> None:
        """The actor is not at an endpoint where it was said to be: seek it, if something waits for it."""
        route = self._routes.get(actor_id)
        if route is not None and route.peer == peer:
            route.newest -= 1  # the authority may know this incarnation at another place, or as gone
            self._unsettle(route)

    def ended(self, actor_id: ActorId) -> None:
        """The actor is gone by our order: what is sent from now on hears that from its authority, and never arrives."""
        route = self._routes.get(actor_id)
        if route is not None and route.link is not None:
            self._unsettle(route)

    def forget(self, actor_id: ActorId) -> None:
        """Drop the route to an actor that left this endpoint; the next message seeks it."""
        route = self._routes.get(actor_id)
        if route is not None and route.cell is not None:
            self._unsettle(route)

    def tells_waiting_from(self, cell: Cell) -> list[Reply[Any]]:
        """Return what the cell's actor has told and its receivers have not admitted yet."""
        return [
            call
            for route in self._held_up
            for call in route.waiting or ()
            if not call.call_id and call.parent is not None and call.parent.cell is cell and not call.done()
        ]

    def waiting_before(self, call: Reply[Any]) -> int:
        """Return how many messages to the same actor leave before a call that waits here."""
        waiting = list(self.of(call.ref).waiting or ())
        return waiting.index(call) if call in waiting else 0

    def statistics(self) -> dict[str, int]:
        """Return how many routes there are, and how many messages wait on them."""
        return {"count": len(self._routes), "waiting": sum(route.waiting_count for route in self._held_up)}

    def close(self, error: ActorRtError) -> None:
        """Fail what still waits."""
        for route in self._routes.values():
            route.gone = route.gone or error
            self._fail_waiting(route, error)

    def _fail_waiting(self, route: Route, error: ActorRtError) -> None:
        while route.waiting:
            self._system.calls.fail(route.waiting.take(), error)


def sighting_from_data(data: dict[str, Any]) -> Sighting:
    """Read where an actor runs from the answer of an authority."""
    return Sighting(Endpoint(PeerId(data["peer"]), data["address"]), data["incarnation"])
