"""Finds the running node that a script connects to, or that a command looks into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.places import NodeDescriptor, find_nodes, runtime_directory

if TYPE_CHECKING:
    from argparse import ArgumentParser


class SeveralNodesError(ValueError):
    """Several nodes match, and the command needs one; the message lists them."""

    exit_status: Final = 2  # as for other wrong arguments


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
    node = _node_at(address)
    if node.is_embedded:
        raise PeerUnreachableError(
            f"the node at {address} belongs to {_owner_of(node)}, and nobody else can use it: start one with "
            "`actorrt node`"
        )
    return node


def add_address_argument(parser: ArgumentParser) -> None:
    """Add `--address`, which `node_to_look_into` takes."""
    parser.add_argument(
        "--address",
        metavar="URL",
        help="the node's URL (default: the newest that `actorrt node` started, else that of the only script with one)",
    )


def node_to_look_into(address: str | None) -> NodeDescriptor:
    """Return the node that a command looks into.

    Args:
        address: a node's URL. None stands for the newest node that `actorrt node` started, or else for the node of the
            only script that has one.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node.
        SeveralNodesError: no address was given, and several scripts have nodes.
    """
    if address is not None:
        return _node_at(address)
    nodes = find_nodes()
    own = [node for node in nodes if not node.is_embedded]
    if own:
        return own[0]
    if not nodes:
        raise PeerUnreachableError(
            "no node runs on this machine for this user: start one with `actorrt node`, or a script that calls "
            "actorrt.init()"
        )
    if len(nodes) > 1:
        listed = "".join(f"\n  {node.url}  of {_owner_of(node)}" for node in nodes)
        raise SeveralNodesError(f"{len(nodes)} scripts have a node: choose one with --address{listed}")
    return nodes[0]


def _node_at(address: str) -> NodeDescriptor:
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


def _owner_of(node: NodeDescriptor) -> str:
    """Describe the script that a node belongs to."""
    try:
        words = Path(f"/proc/{node.owner_pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return f"a script (process {node.owner_pid})"
    command = b" ".join(words).decode(errors="replace")
    return f"a script (process {node.owner_pid}: {command if len(command) <= 60 else command[:59] + '…'})"
