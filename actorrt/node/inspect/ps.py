"""`actorrt ps`: the processes of a node, and its actors."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from actorrt.config import MIB
from actorrt.node.daemon.listing import MAX_PAGE_COUNT
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.inspect import table
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.node.inspect.status import ask_page
from actorrt.protocol.nodes import ActorStatus, StatusPage, WorkerStatus

DEFAULT_COUNT: Final = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument(
        "--count", type=int, default=DEFAULT_COUNT, help=f"how many actors to list at most (default: {DEFAULT_COUNT})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the rows; return the exit status."""
    if arguments.count < 1:
        raise ValueError(f"--count {arguments.count}: give 1 or more")
    for line in render(listed(inspected_node(arguments.address), arguments.count)):
        print(line)
    return 0


def listed(node: NodeDescriptor, count: int) -> StatusPage:
    """Return all workers of a node, up to `count` actors, and the totals; ask page by page."""
    page = whole = ask_page(node, None, MAX_PAGE_COUNT)
    while page.next is not None and len(whole.actors) < count:
        page = ask_page(node, page.next, MAX_PAGE_COUNT)
        whole.workers.extend(page.workers)
        whole.actors.extend(page.actors)
    del whole.actors[count:]
    return whole


def render(status: StatusPage) -> Iterator[str]:
    """Yield the lines: the processes, an empty line, the actors, and the number of actors that are left out."""
    workers = [("PID", "KIND", "JOB", "ACTORS", "CPU", "MEMORY", "WORKER"), *map(_worker, status.workers)]
    yield from table.lines(workers)
    yield ""
    header = ("ACTOR", "JOB", "NAMESPACE", "STATE", "INCARNATION", "PID", "RESERVED", "NAME", "LAST EXIT")
    yield from table.lines([header, *map(_actor, status.actors)])
    left_out = status.totals.actors - len(status.actors)
    if left_out > 0:
        yield f"and {left_out} more actors: --count {status.totals.actors} lists all"


def _worker(row: WorkerStatus) -> tuple[str, ...]:
    memory = "-" if row.memory_bytes is None else f"{row.memory_bytes / MIB:.0f} MiB"
    cpu = "-" if row.cpu_s is None else f"{row.cpu_s:.1f} s"
    kind = row.kind if row.lent is None else f"{row.kind} ({row.lent})"
    return (str(row.pid or "-"), kind, row.job, str(row.actors), cpu, memory, row.label)


def _actor(row: ActorStatus) -> tuple[str, ...]:
    reserved = ", ".join(f"{count:g} {name}" for name, count in row.reserved.items())
    return (
        row.actor,
        row.job,
        row.namespace,
        row.state,
        str(row.incarnation),
        str(row.pid or "-"),
        reserved or "-",
        f"{row.label} (detached)" if row.is_detached else row.label,
        (row.last_exit or "-").partition("\n")[0],
    )
