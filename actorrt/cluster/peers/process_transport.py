"""The transport of a worker or driver: Unix sockets alone, or the composite one if its node belongs to a cluster.

A node of a cluster has a file in its directory which says how its processes are reached. The keys are in a file beside
it. Both are readable for the node's user only, as the directory is.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Final

from actorrt.actors.wire.control import Control
from actorrt.ids import NODE_SCHEME, NodeId, PeerAddress, PeerId
from actorrt.machine.clock import Clock
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.interfaces import Transport
from actorrt.transport.unix.transport import UnixTransport

SOCKETS_FILE: Final = "sockets.json"


def write_sockets(sockets: NodeSockets) -> None:
    """Write the file for the node's processes, before the first of them starts."""
    path = Path(sockets.directory) / SOCKETS_FILE
    data = {**asdict(sockets), "node": sockets.node.hex()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(data, file)


def read_sockets(directory: Path) -> NodeSockets | None:
    """Return how the processes of the node with this directory are reached; None if it belongs to no cluster."""
    try:
        data = json.loads((directory / SOCKETS_FILE).read_bytes())
    except FileNotFoundError:
        return None
    ports = data["ports"]
    return NodeSockets(
        **{**data, "node": NodeId(bytes.fromhex(data["node"])), "ports": None if ports is None else tuple(ports)}
    )


def process_transport(peer: PeerId, address: str, directory: Path, node: PeerAddress, clock: Clock) -> Transport:
    """Return the transport of a worker or driver, which is not started.

    Args:
        peer, address: its endpoint; the address is logical if the node belongs to a cluster.
        directory: the node's directory.
        node: the daemon.
        clock: the time.
    """
    if not address.startswith(NODE_SCHEME):
        return UnixTransport(peer, address, clock=clock, node=node.packed())
    from actorrt.transport.composite.transport import CompositeTransport

    sockets = read_sockets(directory)
    if sockets is None:
        raise ValueError(f"{address} is of a cluster, but {directory} has no file {SOCKETS_FILE}")
    return CompositeTransport(peer, sockets, node, clock=clock)


def attach_to_cluster(transport: Transport, control: Control, node: PeerAddress) -> None:
    """Connect the transport with the daemon if its node belongs to a cluster. To be called when it has started."""
    if transport.address.startswith(NODE_SCHEME):
        from actorrt.cluster.peers.process_peers import ProcessPeers
        from actorrt.transport.composite.transport import CompositeTransport

        assert isinstance(transport, CompositeTransport)
        ProcessPeers(transport, control, node)
