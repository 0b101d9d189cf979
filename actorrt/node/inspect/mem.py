"""`actorrt mem`: the objects in the stores of the nodes, the largest first, and the processes that hold them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from heapq import nlargest

from actorrt.config import MIB
from actorrt.ids import short
from actorrt.node.inspect import scope, table
from actorrt.node.inspect.inquiry import inquiring
from actorrt.node.inspect.node_choice import inspected_node
from actorrt.node.listing.asking import NodeAnswer
from actorrt.protocol.cluster.questions import AskObjects, ObjectListing, ObjectRow

_MAX_COUNT = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    scope.add_arguments(parser)
    parser.add_argument("--count", type=int, default=20, help="how many objects to list, 1 to 100 (default: 20)")


def run(arguments: argparse.Namespace) -> int:
    """Print the listing; return the exit status."""
    if not 1 <= arguments.count <= _MAX_COUNT:
        raise ValueError(f"--count {arguments.count}: give 1 to {_MAX_COUNT}")
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with inquiring(inspected_node(arguments.address)) as inquiry:
        shown = await scope.scope_of(inquiry, arguments)
        answers = await shown.ask(AskObjects(count=arguments.count))
    if arguments.json:
        print(scope.as_json({"nodes": [_data(one) for one in answers]}))
    else:
        for line in render(answers, arguments.count, is_cluster=shown.is_cluster):
            print(line)
    return scope.status_of(answers)


def render(answers: Sequence[NodeAnswer[ObjectListing]], count: int, *, is_cluster: bool) -> Iterator[str]:
    """Yield the lines: one for each store, then the largest objects of all of them.

    Args:
        answers: what the nodes said.
        count: how many objects are listed at most.
        is_cluster: whether rows name the node.
    """
    objects: list[tuple[str, ObjectRow]] = []
    for one in answers:
        if one.answer is not None:
            yield f"{f'node {one.name}: ' if is_cluster else ''}{_store(one.answer)}"
            objects += [(one.name, row) for row in one.answer.objects]
    if objects:
        header = scope.with_node(is_cluster, "NODE", ("SIZE", "STATE", "OBJECT", "MADE AT", "HELD BY"))
        chosen = nlargest(count, objects, key=lambda item: item[1].length_bytes)
        yield from table.lines([header, *(scope.with_node(is_cluster, node, _row(row)) for node, row in chosen)])
    yield from scope.silent(answers)


def _store(listing: ObjectListing) -> str:
    counts = listing.counts
    return (
        f"object store: {_mib(counts['used_bytes'])} of {_mib(counts['capacity_bytes'])} used, "
        f"{_mib(counts['pinned_bytes'])} in view, {_mib(counts['spilled_bytes'])} on disk, "
        f"{counts['objects_count']} objects"
    )


def _row(row: ObjectRow) -> tuple[str, ...]:
    holders = ", ".join(row.holders) or "nobody"
    return (_mib(row.length_bytes), row.state, short(row.object), row.line or "-", holders)


def _data(one: NodeAnswer[ObjectListing]) -> dict[str, object]:
    node = {"node": None if one.node is None else one.name}
    return {**node, "why": one.why} if one.answer is None else {**node, **one.answer.pack()}


def _mib(length_bytes: int) -> str:
    return f"{length_bytes / MIB:.1f} MiB"
