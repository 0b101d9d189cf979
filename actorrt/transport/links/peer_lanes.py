"""Pure: the state of one peer on one lane, and the names of the connections that carry its frames.

The name of a connection consists of its opener's peer id, the lane, and a number. The number grows with each connection
of the opener, so messages from a replaced connection can be recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from actorrt.ids import ID_BYTES, PeerId
from actorrt.transport.frames.sequence import Receipts
from actorrt.transport.interfaces import Lane

_NUMBER_BYTES: Final = 4
CONNECTION_NAME_BYTES: Final = ID_BYTES + 1 + _NUMBER_BYTES


def lane_key(peer: PeerId, lane: Lane) -> bytes:
    """Return the beginning of the names of all connections of that peer on that lane."""
    return peer + bytes((lane,))


def connection_name(peer: PeerId, lane: Lane, number: int) -> bytes:
    """Return the name of the connection with this number, which `peer` opens on that lane."""
    return lane_key(peer, lane) + number.to_bytes(_NUMBER_BYTES, "big")


def key_of(name: bytes) -> bytes:
    """Return the `lane_key` in a connection's name."""
    return name[:-_NUMBER_BYTES]


class AcknowledgedLink(Protocol):
    """The part of our link to the peer that the inbound side uses."""

    @property
    def acknowledged_below(self) -> int:
        """The number below which every frame has been acknowledged."""

    @property
    def is_awaiting(self) -> bool:
        """Whether the connection stands, and acknowledgements of the frames it took are due."""

    acknowledged: Callable[[int], bool]
    """Called with the number below which the far end has received every frame; returns False if that is impossible."""


class PeerLane:
    """The state of both directions between one peer and us on one lane.

    Attributes:
        peer: the peer.
        receipts: the frames that we have received, and those that we have acknowledged.
        link: our link to the peer on that lane, if one is open.
        connection: the name of the connection that carries the peer's frames, if there is one.
        acknowledged: the number in the peer's last acknowledgement of our link.
        is_owing: whether this is in the list of lanes that may owe an acknowledgement.
    """

    __slots__ = ("acknowledged", "connection", "is_owing", "link", "peer", "receipts")

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.receipts = Receipts()
        self.link: AcknowledgedLink | None = None
        self.connection: bytes | None = None
        self.acknowledged = 0
        self.is_owing = False


class InboundConnection:
    """One connection that a peer made to us. Its messages are ignored if it is not open."""

    __slots__ = ("is_open", "peer", "peer_lane", "receipts")

    def __init__(self, peer_lane: PeerLane) -> None:
        self.peer_lane = peer_lane
        self.peer = peer_lane.peer
        self.receipts = peer_lane.receipts
        self.is_open = True
