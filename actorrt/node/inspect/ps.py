"""`actorrt ps`: the processes of a node, its actors, and its tasks."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from actorrt.config import MIB
from actorrt.ids import PeerId, short
from actorrt.node.daemon.listing import MAX_PAGE_COUNT
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.inspect import table
from actorrt.node.inspect.inquiry import inquire
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.node.inspect.status import ask_page
from actorrt.protocol.leases import TaskRow
from actorrt.protocol.nodes import ActorStatus, AskTasks, NodeTasks, StatusPage, SubmitterRow, WorkerStatus

DEFAULT_COUNT: Final = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument(
        "--count", type=int, default=DEFAULT_COUNT, help=f"how many actors to list at most (default: {DEFAULT_COUNT})"
    )
    parser.add_argument(
        "--tasks", type=int, default=0, metavar="COUNT", help="list so many of the oldest tasks of each process, too"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the rows; return the exit status."""
    if arguments.count < 1:
        raise ValueError(f"--count {arguments.count}: give 1 or more")
    if arguments.tasks < 0:
        raise ValueError(f"--tasks {arguments.tasks}: give 0 or more")
    node = inspected_node(arguments.address)
    status = listed(node, arguments.count)
    tasks = asyncio.run(inquire(node, AskTasks(count=arguments.tasks)))
    for line in (*render(status), *render_tasks(tasks, status.workers)):
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
        f"{row.state}: {row.waits_for}" if row.waits_for else row.state,
        str(row.incarnation),
        str(row.pid or "-"),
        reserved or "-",
        f"{row.label} (detached)" if row.is_detached else row.label,
        (row.last_exit or "-").partition("\n")[0],
    )


def render_tasks(tasks: NodeTasks, workers: Sequence[WorkerStatus]) -> Iterator[str]:
    """Yield the lines about tasks: an empty line, their classes, and the tasks that are listed; nothing if none is."""
    if not tasks.submitters:
        return
    yield ""
    classes = ("SUBMITTER", "JOB", "NEEDS", "WAITING", "QUEUED", "SENT", "HERE", "RESTING", "LEASES", "QUEUED FOR")
    rows = [row for submitter in tasks.submitters for row in _classes(submitter)]
    yield from table.lines([classes, *rows])
    labels = {worker.peer: f"{worker.label} ({worker.pid})" for worker in workers}
    listed = [(one, row) for one in tasks.submitters for row in one.tasks]
    if listed:
        yield ""
        header = ("TASK", "SUBMITTER", "JOB", "STATE", "ATTEMPTS", "WORKER", "WAITS FOR")
        yield from table.lines([header, *(_task(one, row, labels) for one, row in listed)])


def _classes(one: SubmitterRow) -> Iterator[tuple[str, ...]]:
    process = one.process if one.pid is None else f"{one.process} ({one.pid})"
    if not one.has_answered:
        yield (process, short(one.job), *["?"] * 7, "it does not answer: it computes")
    for row in one.classes:
        counts = (row.waiting, row.queued, row.sent, row.here, row.resting, row.leases)
        yield (process, short(one.job), row.needs, *map(str, counts), row.waits_for or "-")


def _task(one: SubmitterRow, row: TaskRow, labels: Mapping[PeerId, str]) -> tuple[str, ...]:
    worker = "-" if row.worker is None else labels.get(row.worker, short(row.worker))
    task = f"{row.name}-{row.number}"
    return (task, one.process, short(one.job), row.state, str(row.attempts), worker, row.waits_for)
