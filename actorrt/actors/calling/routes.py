"""Where messages to each actor go: to an inbox of this endpoint, over a link, or into a queue while it is sought.

A route is settled by the place where a ref last saw its actor. When the endpoint that it leads to is lost, or says that
the actor is not there, the actor's authority is asked again. Messages wait meanwhile, in order and within a bound.

    sought ── the authority names a place ──▶ settled ── the place is lost, or has no such actor ──▶ sought
       ├───── the authority says that the actor is dead ──▶ gone
       ├───── its node or its authority's is undecided ──▶ gone, until that is over (`undecided`)
       └───── the authority can't be asked ──▶ the messages that wait fail, and the next message seeks again

Only its authority can say that an actor is dead. A failure on the way to the actor or back does not.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.calling.captures import make_portable
from actorrt.actors.calling.local_host import LocalHost
from actorrt.actors.calling.route_table import RouteTable
from actorrt.actors.calling.undecided import UndecidedNodes, node_of
from actorrt.actors.calling.verdicts import verdict
from actorrt.actors.refs.message import Message, message_bytes
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.refs.route import Inbox, Route, WaitingCalls
from actorrt.actors.wire.control import Answer, Control
from actorrt.actors.wire.credit import STRANGERS_SETTLEMENT, Window
from actorrt.actors.wire.payload import Payloads
from actorrt.actors.wire.peers import Peers
from actorrt.actors.wire.plain_values import Constants
from actorrt.actors.wire.transits import Transits
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorRtError, ActorUnavailableError
from actorrt.ids import ActorId, NodeId, PeerId
from actorrt.invariants import about
from actorrt.machine.clock import Clock
from actorrt.protocol.authorities import Resolve, Sighting
from actorrt.protocol.envelopes import ASK, CANCEL, MORE, SETTLE, TELL, CancelEnvelope, MoreEnvelope, SettleEnvelope

if TYPE_CHECKING:
    from actorrt.actors.refs.reply import Reply
    from actorrt.transport.interfaces import Link

MOST_ABSENT_COUNT: Final = 3
"""How often in a row an actor may be missing where its authority says that it is, before the messages for it fail."""
NOT_WHERE_SAID: Final = "it is not where its authority says that it is"


class Routes:
    """All routes of one endpoint.

    Args:
        peers: the endpoints that they lead to.
        control: asks authorities where actors are.
        clock: the time; a call says how many seconds it has left.
        payloads: pickle the arguments of calls whose actor has left this endpoint.
        transits: remember what tells carry.

    Attributes:
        here: the actors of this endpoint; it must be set before the first message.
        own_peer: this endpoint.
        undecided: the nodes to which nothing is sent.
    """

    here: LocalHost

    def __init__(self, peers: Peers, control: Control, clock: Clock, payloads: Payloads, transits: Transits) -> None:
        self._peers = peers
        self._control = control
        self._clock = clock
        self._payloads = payloads
        self._transits = transits
        self._table = RouteTable(peers.is_lost)
        self._held_up: dict[Route, None] = {}  # those that messages wait on
        self.own_peer = peers.own_peer
        self.undecided = UndecidedNodes()
        self._settlements_count = STRANGERS_SETTLEMENT

    def of(self, ref: ActorRef[Any]) -> Route:
        """Return the route to the ref's actor; a new route is settled by the place where the ref last saw the actor."""
        if ref._route is not None:
            return ref._route
        route = self._table.get(ref._actor_id)
        if route is None:
            route = Route(ref._actor_id, ref._authority)
            self._table.add(route)
            seen = ref._seen
            if seen is not None and not self._peers.is_lost(seen.peer_address.peer):
                self._settle(route, seen)  # if that fails, the hint was wrong: the authority is asked
        ref._route = route
        return route

    def sighting(self, actor_id: ActorId) -> Sighting | None:
        """Return where the actor was seen last, if it has a settled route."""
        route = self._table.get(actor_id)
        return None if route is None else route.seen

    def send(self, route: Route, call: Reply[Any]) -> None:
        """Send a call, or let it wait. An error of the sending fails the call."""
        inbox = route.inbox
        if inbox is not None and route.waiting is None and call.call_id:
            mailbox = inbox.mailbox
            if mailbox is None or mailbox.has_local_room:
                self._deliver(inbox, call)
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
                    make_portable(call, self._payloads)
                window.sent_messages += 1
                window.sent_bytes += message_bytes(call.body, call.buffers)
                deadline = call.deadline
                left = None if deadline is None else deadline - self._clock.now()
                call.peer = route.peer
                kind = ASK if call.call_id else TELL
                envelope = (kind, call.call_id, route.actor_id, call.method, call.body, left, call.options)
                call.sequence = link.send(envelope, call.buffers)
            elif route.inbox is not None:
                self._deliver(route.inbox, call)
        except Exception as error:  # a message ends here: whatever keeps it from being sent is its error
            call.peer = None
            call.calls.fail(call, error)
        else:
            if call.transit is not None and call.peer is not None:
                self._transits.left(call.peer, call.transit, call.call_id)
            if not call.call_id:
                call.set_value(None)

    def _deliver(self, inbox: Inbox, call: Reply[Any]) -> None:
        call.peer = self.own_peer
        caller = self.here.local_caller
        message = Message(caller, call.call_id, call.method, call.body, call.buffers, call.deadline, call.options)
        inbox.deliver(message)

    def _wait(self, route: Route, call: Reply[Any]) -> None:
        if route.gone is not None:
            self._refuse(call, route.gone)
            return
        if route.waiting is None:
            route.waiting = WaitingCalls()
            self._held_up[route] = None
        route.waiting.add(call)
        if route.inbox is not None:
            route.inbox.await_room(route)
        elif route.link is None:
            self.seek(route)

    def _refuse(self, call: Reply[Any], gone: ActorRtError) -> None:
        """Fail a call with a copy of the route's error, which would otherwise keep all frames that it was raised in."""
        call.calls.fail(call, copy(gone))

    def granted(self, actor_id: ActorId, messages: int, size_bytes: int, settlement: int) -> None:
        """Called when the actor has caught up: send the messages that wait for it."""
        route = self._table.get(actor_id)
        if route is not None and route.window is not None:
            route.absent_count = 0
            route.window.grant(messages, size_bytes, settlement)
            self.send_waiting(route)

    def send_waiting(self, route: Route) -> None:
        """Send the messages that wait, as far as there is room; fail them if the actor is gone."""
        waiting = route.waiting
        while waiting and (route.gone is not None or route.is_open):
            call = waiting.take()
            if call.done():
                continue
            if route.gone is not None:
                self._refuse(call, route.gone)
            else:
                self._send_now(route, call)
        if waiting and route.inbox is not None:
            route.inbox.await_room(route)
        self._woken(route)

    def _woken(self, route: Route) -> None:
        """Called when fewer messages wait on the route, or none: wake those who wait for that."""
        waiting = route.waiting
        if not waiting:
            route.waiting = None
            self._held_up.pop(route, None)
            if route.inbox is not None:
                route.inbox.local_route = None
        if route.room is not None and not route.is_full:
            room, route.room = route.room, None
            room.set_value(None)
        if route.emptied is not None and not waiting:
            emptied, route.emptied = route.emptied, None
            emptied.set_value(None)

    def _fail_waiting(self, route: Route, error: Callable[[Reply[Any]], ActorRtError]) -> None:
        """Fail the messages that wait. Messages that are sent by callbacks of these failures are not among them."""
        waiting, route.waiting = route.waiting, None
        self._woken(route)
        while waiting:
            call = waiting.take()
            call.calls.fail(call, error(call))

    async def drained(self, peer: PeerId | None = None) -> None:
        """Return when no more messages wait for an actor that is known to be at `peer`; None: at any endpoint."""
        for route in list(self._held_up):
            if route.link is not None and (peer is None or route.peer == peer):
                route.emptied = route.emptied or Completion()
                await route.emptied

    def seek(self, route: Route) -> None:
        """Ask the actor's authority where its newest incarnation runs, once at a time."""
        if route.is_seeking:
            return
        route.gone = self.undecided.error_at(route.authority)
        if route.gone is not None:
            self.send_waiting(route)
            return
        route.is_seeking = True
        answer = self._control.request(route.authority, Resolve(actor=route.actor_id, after=route.newest))
        answer.add_callback(lambda _: self._resolved(route, answer))

    def _resolved(self, route: Route, answer: Answer[Sighting]) -> None:
        """Called when the authority has answered, or can't."""
        route.is_seeking = False
        if route.gone is not None:
            return  # it was refused meanwhile
        error = verdict(self._peers, route.authority, answer.error())
        if error is None:
            error = self._settle(route, answer.value())
        if isinstance(error, ActorDiedError):
            route.gone = copy(error)
            route.gone.executed = "no"  # the messages that wait here, and later ones, never leave
        elif error is not None:
            self._fail_waiting(route, partial(_not_found, why=error))
        if route.is_settled:
            self.send_waiting(route)
        elif route.waiting:
            self.seek(route)  # the endpoint that the authority named is gone already

    def _settle(self, route: Route, seen: Sighting) -> Exception | None:
        """Let the route lead to where the actor was seen, unless that endpoint is gone already.

        Returns:
            The error if the endpoint lives and can't be reached; the route leads nowhere then.
        """
        route.gone = self.undecided.error_at(seen.peer_address)
        if route.gone is not None:
            return None
        route.newest = seen.incarnation
        if seen.peer_address.peer == self.own_peer:
            route.inbox = self.here.cell(route.actor_id)
            route.seen = None if route.inbox is None else seen
        elif not self._peers.is_lost(seen.peer_address.peer):
            try:
                link = self._peers.link(*seen.peer_address)
                window = self._new_window(route, seen.peer_address.peer, link)
            except (ActorRtError, ValueError) as error:  # it was dropped, or its address is not usable
                self._table.unsettled(route)
                return error
            route.peer, route.link, route.window, route.seen = seen.peer_address.peer, link, window, seen
        return None

    def _new_window(self, route: Route, peer: PeerId, link: Link) -> Window:
        """Begin to count the messages to the actor; announce that if the actor may have an older count."""
        if not self._table.settled(route, peer):
            return Window()
        self._settlements_count += 1
        link.send(SettleEnvelope(SETTLE, route.actor_id, self._settlements_count))
        return Window(self._settlements_count)

    def recall(self, call: Reply[Any], *, is_late: bool) -> None:
        """Tell the receiver of a call that nobody waits for it any more."""
        if call.peer is None or not call.call_id:
            return
        if call.peer == self.own_peer:
            self.here.withdraw(self.here.local_caller, call.ref._actor_id, call.call_id, is_late)
            return
        seen = self.of(call.ref).seen
        if seen is not None and seen.peer_address.peer == call.peer:
            envelope = CancelEnvelope(CANCEL, call.ref._actor_id, call.call_id, is_late)
            self._control.deliver(seen.peer_address, envelope)

    def round_trip_s(self, peer: PeerId) -> float:
        """Return how long messages to the peer and back take, if it is on another node; see `Transport`."""
        return self._peers.round_trip_s(peer)

    def grant_items(self, call: Reply[Any], count: int) -> None:
        """Tell the callee of a stream that `count` more items may come."""
        if call.done() or call.peer is None:
            return
        if call.peer == self.own_peer:
            self.here.serving.granted(self.here.local_caller, call.call_id, count)
            return
        address = self._peers.address_of(call.peer)
        if address is not None:
            self._control.deliver(address, MoreEnvelope(MORE, call.call_id, count))

    def lost(self, peer: PeerId, *, is_alive: bool = False) -> Link | None:
        """Unsettle every route to `peer`, and seek the actors that messages wait for.

        Args:
            peer: the endpoint.
            is_alive: whether its actors may still be there, so that they are tried again.

        Returns:
            The link that all of them used.
        """
        if not is_alive:
            self._table.gone(peer)
        link: Link | None = None
        for route in self._table.leading_to(peer):
            link = route.link
            route.newest -= is_alive
            self._unsettle(route)
        return link

    def refuse(self, node: NodeId, error: ActorUnavailableError) -> None:
        """Refuse all messages to the actors of a node that is undecided, those that wait too."""
        for route in self._table:
            is_there = route.seen is not None and node_of(route.seen.peer_address) == node
            if is_there or (route.is_seeking and node_of(route.authority) == node):
                route.newest -= is_there
                route.unsettle()
                self._table.unsettled(route)
                route.gone = error
                self.send_waiting(route)

    def resume(self, error: ActorUnavailableError) -> None:
        """Undo `refuse`, to which this error was handed: the next messages seek the actors."""
        for route in self._table:
            if route.gone is error:
                route.gone = None

    def _unsettle(self, route: Route) -> None:
        """Called when the actor is no longer where it was: seek it, if messages wait for it."""
        route.unsettle()
        self._table.unsettled(route)
        if route.waiting:
            self.seek(route)

    def moved(self, call: Reply[Any]) -> None:
        """Called when the endpoint says that the call's actor is not there: seek it, and send the call again.

        That is done a few times at most, since an endpoint and an authority may contradict each other for ever.
        """
        route = self.of(call.ref)
        peer, call.peer = call.peer, None
        if peer is not None:
            self.absent(peer, route.actor_id)
        call.moves_left -= 1
        if call.moves_left < 0:
            call.calls.fail(call, _not_found(call, NOT_WHERE_SAID))
            return
        self.send(route, call)

    def absent(self, peer: PeerId, actor_id: ActorId) -> None:
        """Called when the actor is not at the endpoint where it was said to be: seek it, if messages wait for it."""
        route = self._table.get(actor_id)
        if route is None or route.peer != peer:
            return
        route.absent_count += 1
        if route.absent_count > MOST_ABSENT_COUNT:
            route.absent_count = 0
            self._fail_waiting(route, partial(_not_found, why=NOT_WHERE_SAID))
        route.newest -= 1  # the authority may know this incarnation at another place, or as gone
        self._unsettle(route)

    def ended(self, actor_id: ActorId) -> None:
        """Called when the actor was ended by our order: later messages fail with what its authority says."""
        route = self._table.get(actor_id)
        if route is not None and route.link is not None:
            self._unsettle(route)

    def forget(self, actor_id: ActorId) -> None:
        """Called when an actor has left this endpoint: the next message seeks it."""
        route = self._table.get(actor_id)
        if route is not None and route.inbox is not None:
            self._unsettle(route)

    def tells_waiting_from(self, sender: Inbox) -> list[Reply[Any]]:
        """Return the tells of an actor here that their receivers have not admitted yet."""
        return [
            call
            for route in self._held_up
            for call in route.waiting or ()
            if not call.call_id and call.parent is not None and call.parent.cell is sender and not call.done()
        ]

    def waiting_calls(self) -> set[Reply[Any]]:
        """Return the calls that wait here."""
        return {call for route in self._held_up for call in route.waiting or ()}

    def waiting_before(self, call: Reply[Any]) -> int:
        """Return how many messages to the same actor leave before a call that waits here."""
        waiting = list(self.of(call.ref).waiting or ())
        return waiting.index(call) if call in waiting else 0

    def statistics(self) -> dict[str, int]:
        """Return how many routes there are, and how many messages wait on them."""
        return {"count": len(self._table), "waiting": sum(route.waiting_count for route in self._held_up)}

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError, with the route concerned, if routes contradict themselves or the table."""
        with about(None):
            self._table.check_invariants()
        for route in self._table:
            with about(route.actor_id):
                route.check_invariants()
                assert (route.waiting is not None) == (route in self._held_up), f"it is held up, or not: {route}"

    def close(self, error: ActorRtError) -> None:
        """Fail the messages that wait, and those that are sent later."""
        for route in self._table:
            if route.gone is None:
                route.unsettle()
                self._table.unsettled(route)
                route.gone = error
            self._fail_waiting(route, lambda _: copy(error))


def _not_found(call: Reply[Any], why: object) -> ActorUnavailableError:
    message = f"{call.label} can't be found for {call.method}(): {why}; it may live, so call it again later"
    return ActorUnavailableError(message, executed="no")
