"""What becomes of the calls at an endpoint that is lost, or can't be reached.

If its process has ended, the authority of each actor says what has become of the actor. If its process lives and can't
be reached, the calls end, and later calls try the actors again. A call gets `executed="no"` only if its envelope never
left.

If it is undecided whether the node of an endpoint lives, the calls end too, and no more are sent there until the node
is heard again. Nothing is concluded about its actors.

Processes that end at about the same time are settled together, by one look at the pending calls. Otherwise the end of a
node would cost one look at all calls for each of its processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt import errors
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.routes import Routes
from actorrt.actors.calling.verdicts import verdict
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.peers import Peers
from actorrt.actors.wire.transits import Transits
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.authorities import AskFate
from actorrt.protocol.cluster.peers import NodeUndecided
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.refs.reply import Reply


class Loss(NamedTuple):
    """The end of a process.

    Attributes:
        why: how it ended.
        in_hand: the numbers of the calls with retries that it was handling then.
    """

    why: ExitReason
    in_hand: Container[int]


class Losses:
    """Ends the calls of one endpoint that are at a lost peer.

    Args:
        pending: the calls.
        routes: lead to the peers.
        peers: know which authorities are gone.
        control: asks the authorities of the actors.
        transits: release what the store keeps for the peer.
        loop: settles the ends of one turn together.
    """

    def __init__(
        self,
        pending: CallTable,
        routes: Routes,
        peers: Peers,
        control: Control,
        transits: Transits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._pending = pending
        self._routes = routes
        self._peers = peers
        self._control = control
        self._transits = transits
        self._loop = loop
        self._ended: dict[PeerId, Loss] = {}
        control.handle(NodeUndecided.by(lambda _, told: self._undecided(told)))

    def process_ended(self, peer: PeerId, why: ExitReason, in_hand: Container[int] = ()) -> None:
        """Called when a process has ended: settle every call there by what has become of its actor. See `Loss`."""
        self._routes.lost(peer)
        self._transits.lost(peer)
        if len(self._pending):
            if not self._ended:
                self._loop.call_soon(self._settle_all)
            self._ended[peer] = Loss(why, in_hand)

    def _settle_all(self) -> None:
        ended, self._ended = self._ended, {}
        by_place: dict[tuple[PeerId | None, bytes], list[Reply[Any]]] = {}
        for call in self._pending.at(ended):
            by_place.setdefault((call.peer, call.ref._actor_id), []).append(call)
        for (peer, _), calls in by_place.items():
            assert peer is not None
            self._ask_fate(calls, peer, ended[peer])

    def _ask_fate(self, calls: list[Reply[Any]], peer: PeerId, loss: Loss) -> None:
        ref = calls[0].ref
        unknown = self._routes.undecided.error_at(ref._authority)
        if unknown is not None:
            for call in calls:
                self._settle(call, unknown, loss, 0.0)
            return
        route = self._routes.of(ref)
        fate = self._control.request(ref._authority, AskFate(actor=ref._actor_id, after=route.newest))

        def known(_: Any) -> None:
            error = verdict(self._peers, ref._authority, fate.error())
            delay_s = 0.0 if error is not None else fate.value().starts_in_s
            for call in calls:
                if not call.done() and call.peer == peer:  # else it has ended, or found another way meanwhile
                    self._settle(call, error, loss, delay_s)

        fate.add_callback(known)

    def _settle(self, call: Reply[Any], error: BaseException | None, loss: Loss, delay_s: float) -> None:
        pending = self._pending
        if isinstance(error, errors.ActorDiedError):
            pending.fail(call, _died(call, error))
            return
        what = f"{call.label} died during {call.method}() and"
        if error is not None:
            message = f"{what} it can't be found out whether it is being restarted ({error}); it died of: {loss.why}"
            pending.fail(call, errors.ActorUnavailableError(message, executed="maybe"))
            return
        when = f"is started again in {delay_s:.2g} s" if delay_s else "is being restarted"
        unavailable = errors.ActorUnavailableError(f"{what} {when}: {loss.why}", executed="maybe")
        if call.call_id in loss.in_hand:
            pending.killed(call, loss.why, unavailable)
        elif call.attempts_left > 0:
            pending.send_again(call)
        else:
            pending.fail(call, unavailable)

    def _undecided(self, told: NodeUndecided) -> None:
        """Called when the daemon says that nobody can tell whether another node lives, or that this is over."""
        routes, node = self._routes, told.node
        if not told.why:
            over = routes.undecided.end(node)
            if over is not None:
                routes.resume(over)
            return
        error = routes.undecided.begin(node, told.why)
        if error is None:
            return
        calls = [call for call in self._pending.up_to(self._pending.newest_id) if self._waits_for(call)]
        for call in calls:
            routes.recall(call, is_late=False)
        routes.refuse(node, error)
        for call in calls:
            if not call.done():
                message = f"{call.label}.{call.method}() has no outcome: {error}"
                self._pending.fail(call, errors.ActorUnavailableError(message, executed="maybe"))

    def _waits_for(self, call: Reply[Any]) -> bool:
        """Return whether a call was sent to an undecided node, or such a node is to say what has become of it."""
        if call.peer is None or call.peer == self._peers.own_peer:
            return False
        undecided = self._routes.undecided
        if self._peers.is_lost(call.peer):
            return undecided.error_at(call.ref._authority) is not None
        seen = self._routes.sighting(call.ref._actor_id)
        if seen is not None and seen.peer_address.peer == call.peer:
            return undecided.error_at(seen.peer_address) is not None
        name = self._peers.node_of(call.peer)
        return bool(name) and undecided.error_at(PeerAddress.from_packed(name)) is not None

    def cut_off(self, peer: PeerId, error: errors.ActorRtError) -> None:
        """Called when a peer can't be reached, whose process may live: fail every call there."""
        link = self._routes.lost(peer, is_alive=True)
        for call in self._pending.at((peer,)):
            has_left = link is None or call.sequence < link.left_below
            message = f"{call.label} can't be reached for {call.method}(): {error}"
            unavailable = errors.ActorUnavailableError(message, executed="maybe" if has_left else "no")
            self._pending.fail(call, unavailable)


def _died(call: Reply[Any], gone: errors.ActorDiedError) -> errors.ActorDiedError:
    message = f"{call.label} died during {call.method}(): {gone.reason if gone.reason is not None else gone}"
    return errors.ActorDiedError(message, reason=gone.reason, executed="maybe")
