"""Which nodes a command shows: all of the cluster of one node, or one of them; and what it says of silent ones."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from actorrt.ids import NodeId, PeerId, short
from actorrt.node.inspect.inquiry import Inquiry
from actorrt.node.inspect.node_choice import add_address_argument
from actorrt.node.listing.asking import NodeAnswer, ask_nodes, live_members
from actorrt.protocol.cluster.members import Member
from actorrt.protocol.verb import Request

A = TypeVar("A")

EXIT_SILENT: Final = 1
"""The exit status when a node does not answer."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options that all listing commands have."""
    add_address_argument(parser)
    parser.add_argument("--node", metavar="NODE", help="show one node alone: the beginning of its id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


@dataclass(frozen=True)
class Scope:
    """The nodes that a command shows.

    Attributes:
        inquiry: the conversation with the daemon by which the others are asked.
        members: those nodes; none if the node belongs to no cluster.
        own: the node that is spoken to; None if it belongs to no cluster.
        count: the number of nodes in the cluster.
    """

    inquiry: Inquiry
    members: Sequence[Member]
    own: NodeId | None
    count: int

    @property
    def is_cluster(self) -> bool:
        return self.own is not None

    def title(self) -> str:
        """Return what is shown, in words."""
        node = self.inquiry.node
        name = f"node {node.url} (process {node.pid})"
        if self.own is None:
            return name
        shown = "" if len(self.members) == self.count else f"{len(self.members)} of "
        return f"{shown}{self.count} nodes, seen from node {short(self.own)}: {name}"

    async def ask(self, request: Request[A]) -> list[NodeAnswer[A]]:
        """Ask all of these nodes; return what each said."""
        return await ask_nodes(self.inquiry.ask, [member.node for member in self.members], request)


async def scope_of(inquiry: Inquiry, arguments: Namespace) -> Scope:
    """Return the nodes that the arguments mean.

    Raises:
        ValueError: no node, or several, have such an id.
    """
    members = await live_members(inquiry.ask)
    peer = PeerId(bytes.fromhex(inquiry.node.peer))
    own = next((member.node for member in members if member.incarnation == peer), None)
    shown = members if arguments.node is None else [chosen(members, arguments.node)]
    return Scope(inquiry, shown, own, len(members))


def chosen(members: Sequence[Member], prefix: str) -> Member:
    """Return the member whose id begins so.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = [member for member in members if member.node.hex().startswith(prefix.lower())]
    if len(found) != 1:
        listed = ", ".join(short(member.node) for member in members) or "none: the node belongs to no cluster"
        raise ValueError(f"{len(found)} nodes have an id that begins with {prefix!r}; there are {listed}")
    return found[0]


def silent(answers: Sequence[NodeAnswer[Any]]) -> list[str]:
    """Return a line for each node that gave no answer."""
    return [f"node {one.name} is missing: {one.why}" for one in answers if one.answer is None]


def status_of(answers: Sequence[NodeAnswer[Any]]) -> int:
    """Return the exit status of a command that has these answers."""
    return EXIT_SILENT if silent(answers) else 0


def with_node(is_cluster: bool, node: str, row: Sequence[str]) -> tuple[str, ...]:
    """Return a row of a table, with the node before it if there are several."""
    return (node, *row) if is_cluster else tuple(row)


def as_json(value: object) -> str:
    """Return plain data as JSON; ids and other bytes in hex."""
    return json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
