"""Chooses the node that a command shows, by its option `--address` or among the running nodes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Final

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.node_directory import NodeDescriptor, find_nodes
from actorrt.node.driver.finding import node_at, owner_of


class SeveralNodesError(ValueError):
    """Several nodes match, and the command needs one. The message lists the nodes."""

    exit_status: Final = 2  # as for other wrong arguments


def add_address_argument(parser: ArgumentParser) -> None:
    """Add the option `--address`, whose value is the argument of `inspected_node`."""
    parser.add_argument(
        "--address",
        metavar="URL",
        help="the node's URL (default: the newest that `actorrt node` started, else that of the only script with one)",
    )


def inspected_node(address: str | None) -> NodeDescriptor:
    """Return the node that a command shows.

    Args:
        address: a node's URL. None stands for the newest node that `actorrt node` started, or else for the node of the
            only script that has one.

    Raises:
        ValueError: the address has another form.
        PeerUnreachableError: there is no such node.
        SeveralNodesError: no address was given, and several scripts have nodes.
    """
    if address is not None:
        return node_at(address)
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
        listed = "".join(f"\n  {node.url}  of {owner_of(node)}" for node in nodes)
        raise SeveralNodesError(f"{len(nodes)} scripts have a node: choose one with --address{listed}")
    return nodes[0]
