"""`actorrt nodes`: the nodes of the cluster."""

from __future__ import annotations

import argparse
import asyncio

from actorrt.ids import short
from actorrt.node.inspect.inquiry import inquire
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.node.inspect.table import lines
from actorrt.protocol.cluster.members import AskMembers, Member, MemberStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument("--all", action="store_true", help="list nodes that are dead or have left, too")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    node = inspected_node(arguments.address)
    members = asyncio.run(inquire(node, AskMembers()))
    shown = [
        member
        for member in sorted(members, key=lambda member: member.node)
        if arguments.all or member.status in (MemberStatus.JOINING, MemberStatus.ALIVE)
    ]
    for line in lines([("node", "state", "cpus", "gpus", "address", "labels"), *map(_row, shown)]):
        print(line)
    return 0


def _row(member: Member) -> tuple[str, ...]:
    place = member.addresses[0].partition("#")[0].removeprefix("tcp://")
    labels = " ".join(f"{name}={value}" for name, value in sorted(member.labels.items()))
    cpus, gpus = (f"{member.resources.get(name, 0):g}" for name in ("cpus", "gpus"))
    return short(member.node), member.status, cpus, gpus, place, labels
