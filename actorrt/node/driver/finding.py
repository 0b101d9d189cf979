"""Finds the running node that a script connects to."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.node_directory import NodeDescriptor, find_nodes, runtime_directory


def find_node(address: str) -> NodeDescriptor:
    """Return the running node that a script wants to use. It is never the embedded node of another script.

    Args:
        address: `"auto"` for the newest node of this user on this machine, or a node's URL.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node, or it is the embedded node of another script.
    """
    if address == "auto":
        nodes = [node for node in find_nodes() if not node.is_embedded]
        if not nodes:
            raise PeerUnreachableError(
                "no node runs on this machine for this user: start one with `actorrt node`, or call "
                "actorrt.init() without an address"
            )
        return nodes[0]
    node = node_at(address)
    if node.is_embedded:
        raise PeerUnreachableError(
            f"the node at {address} belongs to {owner_of(node)}, and nobody else can use it: start one with "
            "`actorrt node`"
        )
    return node


def node_at(address: str) -> NodeDescriptor:
    """Return the running node with this URL.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node.
    """
    if urlsplit(address).scheme not in ("tcp", "unix"):
        raise ValueError(
            f"address={address!r}: give 'auto', or the URL that `actorrt node` printed, such as "
            f"'unix://{runtime_directory()}/2e73214e'"
        )
    for node in find_nodes():
        if node.url == address:
            return node
    raise PeerUnreachableError(
        f"no node answers at {address}: start one with `actorrt node`, or check the address that it printed"
    )


def owner_of(node: NodeDescriptor) -> str:
    """Describe the script that a node belongs to."""
    try:
        words = Path(f"/proc/{node.owner_pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return f"a script (process {node.owner_pid})"
    command = b" ".join(words).decode(errors="replace")
    return f"a script (process {node.owner_pid}: {command if len(command) <= 60 else command[:59] + '…'})"
