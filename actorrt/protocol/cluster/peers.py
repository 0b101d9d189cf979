"""Pure: requests by which processes of one node reach those of other nodes, and hear of their ends.

A process asks its own node only. Nodes ask each other, since each knows its own processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.ids import NodeId, PeerAddress, PeerId
from actorrt.protocol.verb import Record, Request, verb


class PeerPlace(Record):
    """Where a process is reached by those of other nodes, and the daemon of its node, which is the node's incarnation.

    Attributes:
        address: `tcp://host:port#key`.
    """

    address: str
    daemon: PeerId


@verb("resolve_peer", asked_by="a process, of its node; a node, of the node of the process")
class ResolvePeer(Request[PeerPlace]):
    """Say where the process with this logical address is reached by processes of other nodes.

    Raises:
        PeerUnreachableError: the process or its node has ended, or is unknown, or can't bind a port.
        ActorDiedError: it ended meanwhile.
    """

    to: PeerAddress


@verb("listen", asked_by="a node, of its processes")
class Listen(Request[str]):
    """Bind a port for processes of other nodes, unless that is done; answer with its address.

    Raises:
        PeerUnreachableError: no port can be bound.
    """


@verb("owner_of_key", asked_by="a process, of its node")
class AskKeyOwner(Request[NodeId | None]):
    """Say which node of the cluster has this CURVE key; nothing if no living or joining node has it."""

    key: bytes


@verb("key_revoked", asked_by="a node, of its processes")
class KeyRevoked(Request[None]):
    """Ignore frames that arrive under this CURVE key from now on."""

    key: bytes


@verb("node_undecided", asked_by="a node, of its processes")
class NodeUndecided(Request[None]):
    """End what waits for actors of that node, which may live: nobody can say now. `why` is empty when that is over."""

    node: NodeId
    why: str


@verb("linked_peers", asked_by="a process, of its node")
class LinkedPeers(Request[None]):
    """The asker has links with these processes on the node of `daemon`, and with no others there."""

    daemon: PeerAddress
    peers: Sequence[PeerId]


@verb("watch_ends", asked_by="a node, of another node")
class WatchEnds(Request[None]):
    """Report the ends of these processes of yours by `EndpointDown`, earlier ones too, and of no other processes."""

    peers: Sequence[PeerId]
