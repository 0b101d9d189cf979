"""What one endpoint knows of others: how they are reached, and which of them are gone."""

from __future__ import annotations

from actorrt.actors.wire.bounded_dict import BoundedDict
from actorrt.errors import ActorRtError
from actorrt.ids import PeerAddress, PeerId
from actorrt.reasons import ExitReason
from actorrt.transport.interfaces import Lane, Link, Transport


class Peers:
    """The peers of one endpoint.

    Args:
        transport: carries what is sent to them.
        node: the node daemon.

    Attributes:
        own_peer: this endpoint itself.
        own: where others reach it; there once the transport has started.
        link: as of the transport: opens the link to a peer and an address.
        node_of: as of the transport: which other node a peer is on, empty for this one.
        round_trip_s: as of the transport: how much longer times of grace are for a peer of another node.
    """

    own: PeerAddress

    def __init__(self, transport: Transport, node: PeerAddress) -> None:
        self._transport = transport
        self.node = node
        self._lost = BoundedDict[PeerId, ExitReason]()
        self.own_peer = transport.peer
        self.link, self.node_of, self.round_trip_s = transport.link, transport.node_of, transport.round_trip_s

    def started(self) -> None:
        """Called when the transport has started: the address of this endpoint is final."""
        self.own = PeerAddress(self._transport.peer, self._transport.address)

    def is_lost(self, peer: PeerId) -> bool:
        """Whether the peer's process is known to have ended."""
        return peer in self._lost

    def reason_of_loss(self, peer: PeerId) -> ExitReason | None:
        """Return how a lost peer's process ended; None for a peer that is not lost."""
        return self._lost.get(peer)

    def lost(self, peer: PeerId, reason: ExitReason) -> None:
        """Called when the peer's process is known to have ended."""
        self._lost[peer] = reason

    def address_of(self, peer: PeerId) -> PeerAddress | None:
        """Return where a peer that has spoken to this endpoint is reached; None if it is gone, or was never heard."""
        address = self._transport.address_of(peer)
        return None if address is None or peer in self._lost else PeerAddress(peer, address)

    def link_to(self, peer: PeerId) -> Link | None:
        """Return the link back to a peer that has spoken to this endpoint; None if it is gone, or has failed."""
        address = self._transport.address_of(peer)
        if address is None or peer in self._lost:
            return None
        try:
            return self._transport.link(peer, address, Lane.USER)
        except ActorRtError:
            return None
