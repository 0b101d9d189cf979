"""The member of a cluster that a command means, by the beginning of its id."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from actorrt.ids import NodeId, short
from actorrt.node.inspect.inquiry import inquire
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.protocol.cluster.members import AskMembers, MemberStatus
from actorrt.protocol.verb import Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command about one member."""
    parser.add_argument("node", metavar="NODE", help="the beginning of its id, as `actorrt nodes` shows it")
    add_address_argument(parser)


def ask_about(arguments: argparse.Namespace, request: Callable[[NodeId], Request[Any]]) -> str:
    """Send a node the request about the member that the arguments name; return the short id of that member.

    Raises:
        ValueError: no member, or several, have such an id.
    """
    node = inspected_node(arguments.address)

    async def ask() -> NodeId:
        members = await inquire(node, AskMembers())
        alive = [m.node for m in members if m.status in (MemberStatus.JOINING, MemberStatus.ALIVE)]
        found = [member for member in alive if member.hex().startswith(arguments.node.lower())]
        if len(found) != 1:
            listed = ", ".join(sorted(map(short, alive)))
            raise ValueError(f"{len(found)} nodes have an id that begins with {arguments.node!r}; there are {listed}")
        await inquire(node, request(found[0]))
        return found[0]

    return short(asyncio.run(ask()))
