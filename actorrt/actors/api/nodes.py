"""The nodes of the cluster, as scripts and actors list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs.operation import Operation
from actorrt.protocol.cluster.listing import AskNodes, NodeRow

_NAMED = ("cpus", "gpus", "memory_bytes")


@dataclass(frozen=True)
class NodeStore:
    """The object store of a node.

    Attributes:
        capacity_bytes: the bound on its memory.
        used_bytes: the part of it that is in use.
    """

    capacity_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class NodeInfo:
    """One node.

    Attributes:
        id: of the node, in hex, as `art.node` takes it; that of its daemon if it is in no cluster.
        incarnation: of the node, in hex: a node that starts again has another one.
        address: where other nodes reach it.
        state: `"alive"`, `"joining"`, or `"silent"` if it is a member that did not answer just now.
        cpus, gpus: how many it has.
        free: what is free of each resource; empty if the node is silent.
        resources: custom resources, by name.
        labels: what `placement={"label": "value"}` compares.
        store: its object store; None if the node is silent.
    """

    id: str
    incarnation: str
    address: str
    state: str
    cpus: float
    gpus: float
    free: Mapping[str, float] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    store: NodeStore | None = None


def nodes() -> Operation[list[NodeInfo]]:
    """List the nodes of the cluster, that of the caller first; a node that is in no cluster alone.

    Nodes that are dead or have left are not listed. Every other node has a second to say what is free.

    Returns:
        An operation that resolves to a list of `NodeInfo`.

    Raises:
        RuntimeStateError: no runtime is connected in this process.
    """
    endpoint = current_endpoint()

    async def ask() -> list[NodeInfo]:
        return [_info(row) for row in await endpoint.control.request(endpoint.node, AskNodes())]

    return endpoint.operate("the nodes", ask)


def _info(row: NodeRow) -> NodeInfo:
    room = row.room
    return NodeInfo(
        id=(row.node or row.incarnation).hex(),
        incarnation=row.incarnation.hex(),
        address=row.address,
        state=row.state,
        cpus=row.resources.get("cpus", 0.0),
        gpus=row.resources.get("gpus", 0.0),
        free={} if room is None else room.free,
        resources={name: amount for name, amount in row.resources.items() if name not in _NAMED},
        labels=row.labels,
        store=None if room is None else NodeStore(room.store_bytes, room.used_bytes),
    )
