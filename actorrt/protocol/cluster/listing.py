"""Pure: the nodes of a cluster, as scripts list them."""

from __future__ import annotations

from actorrt.ids import NodeId, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record, Request, verb


class RoomOfNode(Record):
    """What there is of a node now.

    Attributes:
        free: what is free, by resource.
        store_bytes, used_bytes: the bound on its object store, and the bytes of it that are in use.
    """

    free: dict[str, float]
    store_bytes: Count
    used_bytes: Count


class NodeRow(Record):
    """One node.

    Attributes:
        node: the node; None if it is in no cluster.
        incarnation: the endpoint of its daemon.
        address: where other nodes reach it; where processes of its machine do, if it is in no cluster.
        state: `"alive"`, `"joining"`, or `"silent"` if it is a member that did not answer just now.
        resources, labels: what it has, and what it is called.
        room: what there is of it; None if it did not answer.
    """

    node: NodeId | None
    incarnation: PeerId
    address: str
    state: str
    resources: dict[str, float]
    labels: dict[str, str]
    room: RoomOfNode | None


@verb("ask_node_room", asked_by="a node of the cluster")
class AskNodeRoom(Request[RoomOfNode]):
    """Return what there is of this node."""


@verb("ask_nodes", asked_by="a process of the node")
class AskNodes(Request[list[NodeRow]]):
    """Return the nodes of the cluster, or this node alone if it is in none. The others have a second to answer."""
