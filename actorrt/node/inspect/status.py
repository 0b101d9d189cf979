"""`actorrt status`: the resources of the nodes, and the numbers of their jobs, workers and actors."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actorrt.ids import NodeId, short
from actorrt.node.inspect import scope, table
from actorrt.node.inspect.inquiry import inquiring
from actorrt.node.inspect.node_choice import inspected_node
from actorrt.node.inspect.scope import Scope
from actorrt.node.listing.asking import NodeAnswer
from actorrt.protocol.cluster.members import Member
from actorrt.protocol.nodes import AskStatus, StatusPage

_HEADER = ("NODE", "STATE", "CPUS", "RESERVED", "LENT", "GPUS", "RESERVED", "LENT", "JOBS", "WORKERS", "ACTORS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    scope.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the totals; return the exit status."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with inquiring(inspected_node(arguments.address)) as inquiry:
        shown = await scope.scope_of(inquiry, arguments)
        answers = await shown.ask(AskStatus(after=None, count=1))
    if arguments.json:
        print(scope.as_json({"nodes": [as_data(one, shown.members) for one in answers]}))
        return scope.status_of(answers)
    for line in render(shown, answers) if shown.is_cluster else _alone(shown, answers[0].answer):
        print(line)
    return scope.status_of(answers)


def _alone(shown: Scope, status: StatusPage | None) -> Iterator[str]:
    assert status is not None, "a node that is asked itself answers, or the command fails"
    totals = status.totals
    yield f"{shown.title()}, version {status.version}"
    yield f"  cpus: {status.reserved_cpus:g} of {status.cpus} reserved by actors, {status.leased_cpus:g} lent to tasks"
    yield f"  gpus: {status.reserved_gpus:g} of {status.gpus} reserved by actors, {status.leased_gpus:g} lent to tasks"
    yield f"  jobs: {totals.jobs}, workers: {totals.workers}, actors: {totals.actors}"


def render(shown: Scope, answers: Sequence[NodeAnswer[StatusPage]]) -> Iterator[str]:
    """Yield the lines about a cluster: a row for each node, one for all of them, and why nodes are missing."""
    states = {member.node: member.status.value for member in shown.members}
    rows = [_row(one, states) for one in answers]
    numbers = [_numbers(one.answer) for one in answers if one.answer is not None]
    total = ("all", "", *(f"{sum(column):g}" for column in zip(*numbers, strict=True))) if len(numbers) > 1 else None
    yield shown.title()
    yield from table.lines([_HEADER, *rows, *([total] if total else [])])
    yield from scope.silent(answers)


def _row(one: NodeAnswer[StatusPage], states: Mapping[NodeId, str]) -> tuple[str, ...]:
    if one.answer is None:
        return (one.name, "no answer", *["?"] * (len(_HEADER) - 2))
    state = "" if one.node is None else states[one.node]
    return (one.name, state, *(f"{number:g}" for number in _numbers(one.answer)))


def _numbers(page: StatusPage) -> tuple[float, ...]:
    totals = page.totals
    cpus, gpus = (page.cpus, page.reserved_cpus, page.leased_cpus), (page.gpus, page.reserved_gpus, page.leased_gpus)
    return (*cpus, *gpus, totals.jobs, totals.workers, totals.actors)


def as_data(one: NodeAnswer[StatusPage], members: Sequence[Member]) -> dict[str, Any]:
    """Return what a node said of itself, or why it said nothing, as plain data."""
    known: dict[str, Any] = {"node": None if one.node is None else short(one.node)}
    for member in members:
        if member.node == one.node:
            known |= {"state": member.status.value, "labels": member.labels, "resources": member.resources}
    if one.answer is None:
        return {**known, "answers": False, "why": one.why}
    data = one.answer.pack()
    return {**known, "answers": True, **{k: v for k, v in data.items() if k not in ("workers", "actors", "next")}}
