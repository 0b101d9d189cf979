"""The part of a composite transport that reaches other nodes: ZeroMQ over `tcp` with CURVE.

A link to a logical address is made at once and queues. It connects when the peer's own HELLO has said where, or when
the resolver has answered. Links are *lasting*: they connect again for ever, and end only when the peer's process or its
node is known to have ended, or when the peer says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

import zmq

from actorrt.completion import Completion
from actorrt.errors import ActorDiedError, ActorRtError, AuthenticationError, PeerUnreachableError
from actorrt.ids import NODE_SCHEME, NodeAddress, PeerAddress, PeerId, short
from actorrt.transport.composite.far_peers import FarPeers
from actorrt.transport.composite.link import RemoteLink
from actorrt.transport.composite.resolver import Resolved, Resolver
from actorrt.transport.composite.round_trip import RoundTrip
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.frames.codec import Hello
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.zeromq.link import ZmqSocket
from actorrt.transport.zeromq.node_keys import NodeKeys
from actorrt.transport.zeromq.security import Security, join_address, split_address
from actorrt.transport.zeromq.transport import ZmqTransport

TELL_DELAY_S: Final = 0.02
"""Peers that are linked together, as at the start of a job, are told together."""


class RemoteTransport(ZmqTransport):
    """The links of one process to processes of other nodes.

    Args:
        peer: the id of this incarnation of this process.
        sockets: where it binds.
        security: the node's key pair; its accepted keys are `keys`.
        keys: the keys of the nodes that are known here.
        resolver: finds processes of other nodes.
        on_linked: called with the daemon of another node, and all peers there that have links with this process, after
            these have changed.
        on_trouble: called with a peer's logical address and the reason when the connection of a link to it broke, or
            could not be made. It is a hint, and comes again with each attempt.
        options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("tcp://", NODE_SCHEME)

    def __init__(
        self,
        peer: PeerId,
        sockets: NodeSockets,
        security: Security,
        keys: NodeKeys,
        resolver: Resolver,
        on_linked: Callable[[PeerAddress, list[PeerId]], None],
        on_trouble: Callable[[PeerAddress, str], None],
        **options: Any,
    ) -> None:
        super().__init__(
            peer, f"tcp://{sockets.host}:0", security=security, logical=sockets.address_of(peer), **options
        )
        self._sockets = sockets
        self._keys = keys
        self._own_key = security.keys.public
        self._resolver = resolver
        self._on_linked = on_linked
        self._on_trouble = on_trouble
        self._far_peers = FarPeers()
        self._round_trips: dict[PeerId, RoundTrip] = {}
        self._node_names: dict[PeerId, bytes] = {}  # of resolved peers, whose HELLO may not have come yet
        keys.accept(self._own_key, sockets.node)

    def _check_address(self, address: str) -> None:
        super()._check_address(address)
        if address.startswith(NODE_SCHEME):
            NodeAddress.parse(address)

    def _bind(self) -> None:
        super()._bind()
        place, _ = split_address(self.address)
        self.address = join_address(self._sockets.announced(place), self._own_key)

    def _bind_router(self, router: ZmqSocket) -> None:
        """Bind the first free port of the range."""
        ports = self._sockets.ports_from(self.peer)
        for port in ports:
            try:
                router.bind(f"tcp://{self._sockets.host}:{port}")
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise
            else:
                return
        raise OSError(int(zmq.EADDRINUSE), f"no port from {min(ports)} to {max(ports)} is free: give a wider range")

    def _check_origin(self, hello: Hello) -> None:
        """Refuse a HELLO if the key of its connection is not that of the node that it names."""
        super()._check_origin(hello)
        owner = None if self._sender_key is None else self._keys.owner_of(self._sender_key)
        try:
            logical = NodeAddress.parse(hello.logical)
            daemon = NodeAddress.parse(PeerAddress.from_packed(hello.node).address)
        except ValueError as error:
            raise AuthenticationError(f"a HELLO of {short(hello.peer)} names no node: {error}") from error
        if logical != (owner, hello.peer) or daemon.node != owner:
            raise AuthenticationError(f"a HELLO in the name of {hello.logical} over a connection of another node")

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        link = RemoteLink(setup, self._round_trips.setdefault(setup.peer, RoundTrip()))
        address = setup.address
        if address.startswith(NODE_SCHEME):
            address = self._hellos.address_of(setup.peer) or ""
        if address:
            link.connect(*self._way_to(setup.peer, address))
        else:
            found = self._resolver.resolve(PeerAddress(setup.peer, setup.address))
            found.add_callback(partial(self._found, link))
        return link

    def _found(self, link: RemoteLink, found: Completion[Resolved]) -> None:
        self._loop.call_soon(self._resolved, link, found)  # the caller of `link` has no link yet if it is known at once

    def _resolved(self, link: RemoteLink, found: Completion[Resolved]) -> None:
        """Connect a link whose address was asked for; or end it, with everything that waits for its peer."""
        if link.is_closed:
            return
        error = found.error()
        if error is not None:
            self._give_up(link, _unresolved(link, error))
            return
        address, daemon = found.value()
        node = NodeAddress.parse(link.address).node
        self._node_names[link.peer] = PeerAddress(daemon, str(NodeAddress(node, daemon))).packed()
        self._note_peer(link.peer)
        try:
            _, key = split_address(address)
            if key is not None:
                self._keys.accept(key, node)
            link.connect(*self._way_to(link.peer, address))
        except (ValueError, AuthenticationError) as failure:
            self._give_up(link, _unresolved(link, failure))

    def _open(self, peer: PeerId, address: str, lane: Lane) -> QueuedLink:
        link = super()._open(peer, address, lane)
        self._note_peer(peer)
        return link

    def _greeted(self, hello: Hello) -> None:
        self._note_peer(hello.peer)

    def _note_peer(self, peer: PeerId) -> None:
        """Note that there is a link with the peer. That is told once its node is known, by HELLO or resolver."""
        node = self.node_of(peer)
        if node and self._far_peers.linked(peer, PeerAddress.from_packed(node)):
            self._tell_later()

    def _close_links(self, peer: PeerId) -> None:
        super()._close_links(peer)
        self._node_names.pop(peer, None)
        self._round_trips.pop(peer, None)
        if self._far_peers.unlinked(peer):
            self._tell_later()

    def _tell_later(self) -> None:
        self._loop.call_later(TELL_DELAY_S, self._tell_linked)

    def _tell_linked(self) -> None:
        if self._closing is None:
            for daemon, peers in self._far_peers.take_changes().items():
                self._on_linked(daemon, peers)

    def _awaits(self, link: QueuedLink) -> None:
        super()._awaits(link)
        if isinstance(link, RemoteLink):
            link.begin_sample()

    def _troubled(self, link: QueuedLink, why: str) -> None:
        self._on_trouble(PeerAddress(link.peer, self.address_of(link.peer) or link.address), why)

    def round_trip_s(self, peer: PeerId) -> float:
        """Return how long messages to the peer and back take; see `Transport.round_trip_s`."""
        known = self._round_trips.get(peer)
        return 0.0 if known is None else known.expected_s

    def node_of(self, peer: PeerId) -> bytes:
        """Return the name of the peer's node, from its HELLO or its resolution; see `Transport.node_of`."""
        node = super().node_of(peer) or self._node_names.get(peer, b"")
        return b"" if node == self._node else node

    def end_node(self, daemon: PeerId, error: ActorRtError) -> None:
        """End the links to all peers of an incarnation of a node that is known to be gone."""
        names = {peer: self.node_of(peer) for peer in self._peers()}
        for peer, name in names.items():
            if name and PeerAddress.from_packed(name).peer == daemon:
                self.end(peer, error)

    def _peers(self) -> list[PeerId]:
        assert self._inbound is not None
        return list(dict.fromkeys(lane.peer for lane in self._inbound.peer_lanes()))


def _unresolved(link: RemoteLink, error: BaseException) -> ActorRtError:
    """Return why a link ends; an `ActorDiedError` if the peer is known to have ended."""
    if isinstance(error, ActorDiedError):
        return error
    return PeerUnreachableError(f"peer {short(link.peer)} at {link.address} can't be reached: {error}")
