"""`actorrt ps`: the processes of a node, its actors, and its tasks."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actorrt.config import MIB
from actorrt.ids import PeerId, short
from actorrt.node.inspect import scope, table
from actorrt.node.inspect.inquiry import inquiring
from actorrt.node.inspect.node_choice import inspected_node
from actorrt.node.inspect.scope import Scope
from actorrt.node.listing.asking import NodeAnswer, ask_nodes
from actorrt.protocol.leases import TaskRow
from actorrt.protocol.nodes import (
    ActorStatus,
    AskStatus,
    AskTasks,
    Cursor,
    NodeTasks,
    StatusPage,
    SubmitterRow,
    WorkerStatus,
)

DEFAULT_COUNT: Final = 1_000
PAGE_COUNT: Final = 1_000
"""How many rows a node is asked for at once, which its loop makes in a few milliseconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    scope.add_arguments(parser)
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
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with inquiring(inspected_node(arguments.address)) as inquiry:
        shown = await scope.scope_of(inquiry, arguments)
        answers = await listed(shown, arguments.count)
        tasks = await shown.ask(AskTasks(count=arguments.tasks))
    if arguments.json:
        print(scope.as_json({"nodes": [_data(one, of) for one, of in zip(answers, tasks, strict=True)]}))
        return scope.status_of(answers)
    workers = [worker for one in answers if one.answer is not None for worker in one.answer.workers]
    is_cluster = shown.is_cluster
    for line in (*render(answers, is_cluster=is_cluster), *render_tasks(tasks, workers, is_cluster=is_cluster)):
        print(line)
    for line in scope.silent(answers):
        print(line)
    return scope.status_of(answers)


async def listed(shown: Scope, count: int) -> list[NodeAnswer[StatusPage]]:
    """Return the workers of the nodes, up to `count` actors in all, and the totals; ask page by page.

    A node that stops answering in the middle has the rows that it gave, and is not silent.
    """
    answers = await shown.ask(AskStatus(after=None, count=PAGE_COUNT))
    left = count
    for one in answers:
        page = one.answer
        while page is not None and one.answer is not None and page.next is not None and len(one.answer.actors) < left:
            page = await _following(shown, one, page.next)
            one.answer.workers.extend([] if page is None else page.workers)
            one.answer.actors.extend([] if page is None else page.actors)
        if one.answer is not None:
            del one.answer.actors[left:]
            left -= len(one.answer.actors)
    return answers


async def _following(shown: Scope, one: NodeAnswer[StatusPage], after: Cursor) -> StatusPage | None:
    nodes = [] if one.node is None else [one.node]
    (answer,) = await ask_nodes(shown.inquiry.ask, nodes, AskStatus(after=after, count=PAGE_COUNT))
    return answer.answer


def _data(one: NodeAnswer[StatusPage], tasks: NodeAnswer[NodeTasks]) -> dict[str, Any]:
    node: dict[str, Any] = {"node": None if one.node is None else one.name}
    if one.answer is None:
        return {**node, "why": one.why}
    return {
        **node,
        **one.answer.pack(),
        "submitters": [] if tasks.answer is None else tasks.answer.pack()["submitters"],
    }


def render(answers: Sequence[NodeAnswer[StatusPage]], *, is_cluster: bool) -> Iterator[str]:
    """Yield the lines: the processes, an empty line, the actors, and the number of actors that are left out.

    Args:
        answers: the pages of the nodes.
        is_cluster: whether rows name the node; that of an actor is the one where it runs.
    """
    pages = [(one, one.answer) for one in answers if one.answer is not None]
    header = scope.with_node(is_cluster, "NODE", ("PID", "KIND", "JOB", "ACTORS", "CPU", "MEMORY", "WORKER"))
    workers = [scope.with_node(is_cluster, one.name, _worker(row)) for one, page in pages for row in page.workers]
    yield from table.lines([header, *workers])
    yield ""
    titles = ("ACTOR", "JOB", "NAMESPACE", "STATE", "INCARNATION", "PID", "RESERVED", "NAME", "LAST EXIT")
    actors = [
        scope.with_node(is_cluster, one.name if row.node is None else short(row.node), _actor(row))
        for one, page in pages
        for row in page.actors
    ]
    yield from table.lines([scope.with_node(is_cluster, "NODE", titles), *actors])
    total = sum(page.totals.actors for _, page in pages)
    if total > len(actors):
        yield f"and {total - len(actors)} more actors: --count {total} lists all"


def _worker(row: WorkerStatus) -> tuple[str, ...]:
    memory = "-" if row.memory_bytes is None else f"{row.memory_bytes / MIB:.0f} MiB"
    cpu = "-" if row.cpu_s is None else f"{row.cpu_s:.1f} s"
    kind = f"{row.kind} (guest)" if row.is_guest else row.kind if row.lent is None else f"{row.kind} ({row.lent})"
    return (str(row.pid or "-"), kind, row.job, "-" if row.is_guest else str(row.actors), cpu, memory, row.label)


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


def render_tasks(
    answers: Sequence[NodeAnswer[NodeTasks]], workers: Sequence[WorkerStatus], *, is_cluster: bool
) -> Iterator[str]:
    """Yield the lines about tasks: an empty line, their classes, and the tasks that are listed; nothing if none is."""
    submitters = [(answer.name, one) for answer in answers if answer.answer for one in answer.answer.submitters]
    if not submitters:
        return
    yield ""
    classes = ("SUBMITTER", "JOB", "NEEDS", "WAITING", "QUEUED", "SENT", "HERE", "RESTING", "LEASES", "QUEUED FOR")
    rows = [scope.with_node(is_cluster, node, row) for node, one in submitters for row in _classes(one)]
    yield from table.lines([scope.with_node(is_cluster, "NODE", classes), *rows])
    labels = {worker.peer: f"{worker.label} ({worker.pid})" for worker in workers}
    listed = [(node, one, row) for node, one in submitters for row in one.tasks]
    if listed:
        yield ""
        header = ("TASK", "SUBMITTER", "JOB", "STATE", "ATTEMPTS", "WORKER", "WAITS FOR")
        tasks = [scope.with_node(is_cluster, node, _task(one, row, labels)) for node, one, row in listed]
        yield from table.lines([scope.with_node(is_cluster, "NODE", header), *tasks])


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
