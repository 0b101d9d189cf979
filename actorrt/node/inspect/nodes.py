"""`actorrt nodes`: the nodes of the cluster, and whether they answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping

from actorrt.ids import NodeId, short
from actorrt.node.inspect import scope
from actorrt.node.inspect.inquiry import inquiring
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.node.inspect.table import lines
from actorrt.node.listing.asking import LIVE, NodeAnswer, ask_nodes
from actorrt.protocol.cluster.members import AskMembers, Member
from actorrt.protocol.nodes import AskStatus, StatusPage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument("--all", action="store_true", help="list nodes that are dead or have left, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with inquiring(inspected_node(arguments.address)) as inquiry:
        members = await inquiry.ask(AskMembers())
        members.sort(key=lambda member: (member.node, member.ended_s or 0))
        if not members:
            raise ValueError(
                f"node {inquiry.node.url} belongs to no cluster: start one with `actorrt node --listen HOST`, others "
                "can join"
            )
        live = [member for member in members if member.status in LIVE]
        answers = await ask_nodes(inquiry.ask, [member.node for member in live], AskStatus(after=None, count=1))
    answered = {one.node: one for one in answers if one.node is not None}
    shown = members if arguments.all else live
    if arguments.json:
        print(scope.as_json({"nodes": [_data(member, answered) for member in shown]}))
        return scope.status_of(answers)
    header = ("node", "state", "cpus", "gpus", "address", "answers", "labels")
    for line in lines([header, *(_row(member, answered) for member in shown)]):
        print(line)
    for line in scope.silent(answers):
        print(line)
    return scope.status_of(answers)


Answered = Mapping[NodeId, NodeAnswer[StatusPage]]


def _answers(member: Member, answered: Answered) -> bool | None:
    """Whether a member answers; None if it has ended."""
    return answered[member.node].answer is not None if member.status in LIVE else None


def _row(member: Member, answered: Answered) -> tuple[str, ...]:
    place = member.addresses[0].partition("#")[0].removeprefix("tcp://")
    labels = " ".join(f"{name}={value}" for name, value in sorted(member.labels.items()))
    cpus, gpus = (f"{member.resources.get(name, 0):g}" for name in ("cpus", "gpus"))
    answers = {True: "yes", False: "no", None: "-"}[_answers(member, answered)]
    return short(member.node), member.status, cpus, gpus, place, answers, labels


def _data(member: Member, answered: Answered) -> dict[str, object]:
    said = answered.get(member.node)
    why = said.why if said is not None and member.status in LIVE else ""
    return {**member.pack(), "answers": _answers(member, answered), **({"why": why} if why else {})}
