"""The peers of a node: its daemon finds processes of other nodes, and passes the ends of processes on.

To find a process, the daemon asks the daemon of the process's node, which has the process bind a port. Answers are kept
until the process or its node ends. A daemon watches those processes of other nodes that processes here have links with:
their daemons report their ends. The end of a node is told to this one by its membership, through `node_ended`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from actorrt.actors.wire.bounded_dict import BoundedDict
from actorrt.actors.wire.control import Control
from actorrt.cluster.peers.members import Members
from actorrt.cluster.peers.process_peers import judge, listen
from actorrt.cluster.peers.reported_ends import ProcessEnd, ReportedEnds
from actorrt.cluster.peers.watched_ends import WatchedEnds
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorRtError, PeerUnreachableError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, PeerId, short
from actorrt.protocol.cluster.peers import (
    AskKeyOwner,
    KeyRevoked,
    LinkedPeers,
    Listen,
    NodeUndecided,
    PeerPlace,
    ResolvePeer,
    WatchEnds,
)
from actorrt.protocol.processes import CallInHand, EndpointDown
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.transport.composite.resolver import Resolved
from actorrt.transport.composite.transport import CompositeTransport

if TYPE_CHECKING:
    from actorrt.transport.zeromq.security import Verdict

logger = logging.getLogger(__name__)

WATCH_AGAIN_S: Final = 1.0
"""How long the daemon waits before it tells a node again which ends it watches, if that has failed."""
MAX_RESOLVED_COUNT: Final = 100_000


class NodePeers:
    """Connects the daemon of a node with its processes, and with other daemons.

    Args:
        transport: the daemon's transport, which has no links to other nodes yet.
        control: of the daemon.
        scope: owns the questions under way.
        members: the view of the cluster.
        processes: returns the living processes of this node, but not the daemon.
        on_ended: called with a process of another node that the daemon itself has links with, and how it ended.

    Attributes:
        on_node_ended: functions that are called with the daemon of a node that has ended, and why.
    """

    def __init__(
        self,
        transport: CompositeTransport,
        control: Control,
        scope: Scope,
        members: Members,
        processes: Callable[[], dict[PeerId, PeerAddress]],
        on_ended: Callable[[PeerId, ExitReason], None],
    ) -> None:
        self._transport = transport
        self._control = control
        self._scope = scope
        self._members = members
        self._processes = processes
        self._on_ended = on_ended
        self.on_node_ended: list[Callable[[PeerId, ExitReason], None]] = []
        self._own = PeerAddress(transport.peer, transport.address)
        self._node = NodeAddress.parse(transport.address).node
        self._resolved = BoundedDict[PeerId, Completion[Resolved]](MAX_RESOLVED_COUNT)
        self._daemon_of: dict[PeerId, PeerId] = {}  # of resolved peers
        self._daemons: dict[PeerId, PeerAddress] = {}  # of nodes with watched processes
        self._watched = WatchedEnds()
        self._told: dict[PeerId, list[PeerId]] = {}  # what is watched at each node, as its daemon was told
        self._reported = ReportedEnds(self._is_alive)
        self._undecided: dict[NodeId, str] = {}
        self._ended_nodes = BoundedDict[PeerId, ExitReason]()
        transport.resolver = self
        transport.on_unknown_key = self._ask_about_key
        transport.on_linked = lambda daemon, peers: self._linked(transport.peer, daemon, peers)
        self._serve()

    def _serve(self) -> None:
        control = self._control
        control.handle(ResolvePeer.by(self._resolve_for))
        control.handle(AskKeyOwner.by(lambda _, asked: self._owner_of(asked.key)))
        control.handle(LinkedPeers.by(lambda peer, told: self._linked(peer, told.daemon, told.peers)))
        control.handle(WatchEnds.by(self._watch_ends))
        control.handle(EndpointDown.by(self._far_process_ended))

    # Where processes are reached

    async def _resolve_for(self, _: PeerId, asked: ResolvePeer) -> PeerPlace:
        address, daemon = await self.resolve(asked.to)
        return PeerPlace(address=address, daemon=daemon)

    def resolve(self, to: PeerAddress) -> Completion[Resolved]:
        """Return where a process is reached by processes of other nodes, to come; see `Resolver`."""
        known = self._resolved.get(to.peer)
        if known is None:
            known = Completion[Resolved]()
            if self._scope.is_closed:
                known.set_error(PeerUnreachableError("this node is being stopped"))
            else:
                self._resolved[to.peer] = known
                self._scope.start(self._find(to, known), f"resolve {short(to.peer)}")
        return known

    async def _find(self, to: PeerAddress, found: Completion[Resolved]) -> None:
        try:
            place = await self._place_of(to)
        except (ActorRtError, ValueError) as error:
            self._resolved.pop(to.peer, None)
            found.set_error(error)
            return
        if self._resolved.get(to.peer) is found:
            self._daemon_of[to.peer] = place.daemon
        found.set_value(place)

    async def _place_of(self, to: PeerAddress) -> Resolved:
        node = NodeAddress.parse(to.address).node
        if node == self._node:
            return Resolved(await self._listen_at(to.peer), self._own.peer)
        member = await self._members.find(node)
        if member is None:
            raise _gone(f"no node {short(node)} of this cluster is alive")
        if member.daemon.peer == to.peer:
            return Resolved(member.address, to.peer)
        place = await self._control.request(member.daemon, ResolvePeer(to=to))
        return Resolved(place.address, place.daemon)

    async def _listen_at(self, peer: PeerId) -> str:
        if peer == self._own.peer:
            return listen(self._transport)
        process = self._processes().get(peer)
        if process is None:
            reason = self._reported.end_of(peer).reason
            text = f"process {short(peer)} of node {short(self._node)} has ended, or never was: {reason}"
            raise ActorDiedError(text, reason=reason)
        return await self._control.request(process, Listen())

    # Keys

    async def _owner_of(self, key: bytes) -> NodeId | None:
        return await self._members.owner_of(key)

    def _ask_about_key(self, key: bytes, verdict: Verdict) -> None:
        judge(key, self._members.owner_of(key), self._transport.keys, verdict)

    def key_revoked(self, key: bytes) -> None:
        """Ignore frames under a key in all processes of this node. To be called by the membership."""
        self._transport.keys.revoke(key)
        for process in self._processes().values():
            self._control.notify(process, KeyRevoked(key=key))

    # Nodes of which nobody can say whether they live

    def undecided(self, node: NodeId, why: str) -> None:
        """Have calls of this node's processes to another node end; `why` is empty when that is over."""
        self._undecided[node] = why
        if not why:
            del self._undecided[node]
        for process in self._processes().values():
            self._control.notify(process, NodeUndecided(node=node, why=why))

    def attached(self, process: PeerAddress) -> None:
        """Tell a process that has just attached what the others know already."""
        for node, why in self._undecided.items():
            self._control.notify(process, NodeUndecided(node=node, why=why))

    # The ends of processes of other nodes

    def _linked(self, process: PeerId, daemon: PeerAddress, peers: Sequence[PeerId]) -> None:
        """Take the processes of a node with which a process here has links."""
        if process != self._own.peer and process not in self._processes():
            return  # it has ended
        self._daemons[daemon.peer] = daemon
        is_changed = self._watched.linked(process, daemon.peer, peers)
        reason = self._ended_nodes.get(daemon.peer)
        if reason is not None:
            self._tell_node_ended(daemon.peer, reason)
        elif is_changed:
            self._watch(daemon)

    def _watch(self, daemon: PeerAddress) -> None:
        """Tell another node which ends are of interest here."""
        peers = [peer for peer in self._watched.watched_at(daemon.peer) if peer != daemon.peer]
        if daemon.peer in self._ended_nodes or peers == self._told.get(daemon.peer, []):
            return
        self._told[daemon.peer] = peers
        answer = self._control.request(daemon, WatchEnds(peers=peers))

        def answered(_: object) -> None:
            if answer.error() is not None and not self._scope.is_closed:
                logger.warning("node %s was not told what is watched there: %s", short(daemon.peer), answer.error())
                if self._told.pop(daemon.peer, None) is not None:
                    self._scope.after(WATCH_AGAIN_S, lambda: self._watch(daemon))

        answer.add_callback(answered)

    def _far_process_ended(self, daemon: PeerId, down: EndpointDown) -> None:
        """Called when another node reports the end of one of its processes."""
        self._tell(ProcessEnd(down.peer, down.reason, down.in_hand), self._watched.ended(daemon, down.peer))

    def node_ended(self, daemon: PeerId, reason: ExitReason) -> None:
        """Take the end of an incarnation of another node: all its processes have ended. Idempotent.

        To be called by the membership, as soon as the death is certain.
        """
        self._ended_nodes[daemon] = reason
        self._reported.daemon_ended(daemon)
        for peer in [peer for peer, of_peer in self._daemon_of.items() if of_peer == daemon]:
            self._forget(peer)
        self._tell_node_ended(daemon, reason)
        self._transport.node_ended(daemon, ActorDiedError(f"its node is lost: {reason}", reason=reason))
        for ended in self.on_node_ended:
            ended(daemon, reason)

    def _tell_node_ended(self, daemon: PeerId, reason: ExitReason) -> None:
        self._daemons.pop(daemon, None)
        self._told.pop(daemon, None)
        for peer, processes in self._watched.daemon_ended(daemon):
            self._tell(ProcessEnd(peer, reason), processes)

    def _tell(self, end: ProcessEnd, processes: Sequence[PeerId]) -> None:
        self._forget(end.peer)
        addresses = self._processes()
        for process in processes:
            if process == self._own.peer:
                self._on_ended(end.peer, end.reason)
            elif process in addresses:
                self._control.notify(addresses[process], _notice(end))

    def _forget(self, peer: PeerId) -> None:
        self._resolved.pop(peer, None)
        self._daemon_of.pop(peer, None)

    # The ends of processes of this node

    def _is_alive(self, peer: PeerId) -> bool:
        return peer == self._own.peer or peer in self._processes()

    def _watch_ends(self, daemon: PeerId, asked: WatchEnds) -> None:
        """Called when another node says which processes of this node it watches."""
        to = PeerAddress(daemon, self._transport.address_of(daemon) or "")
        for end in self._reported.watch(to, asked.peers):
            self._control.notify(to, _notice(end))

    def process_ended(self, peer: PeerId, reason: ExitReason, in_hand: Sequence[CallInHand] = ()) -> None:
        """Take the end of a process of this node, after it has left the living ones, and tell nodes that watch it."""
        self._forget(peer)
        end = ProcessEnd(peer, reason, in_hand)
        for daemon in self._reported.ended(end):
            self._control.notify(daemon, _notice(end))
        for daemon_peer in self._watched.process_ended(peer):
            self._watch(self._daemons[daemon_peer])


def _notice(end: ProcessEnd) -> EndpointDown:
    return EndpointDown(peer=end.peer, reason=end.reason, in_hand=end.in_hand)


def _gone(text: str) -> ActorDiedError:
    """Return the error for a process that has ended for good: incarnations never return."""
    return ActorDiedError(text, reason=ExitReason(ExitKind.NODE_LOST, text))
