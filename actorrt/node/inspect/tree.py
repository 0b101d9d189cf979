"""`actorrt tree`: the live supervision tree of the nodes, printed once, or every second."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from actorrt.config import MIB
from actorrt.ids import short
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.inspect import scope, table
from actorrt.node.inspect.inquiry import inquiring
from actorrt.node.inspect.node_choice import inspected_node
from actorrt.node.listing.asking import NodeAnswer
from actorrt.node.listing.census import NOWHERE, ROWS_COUNT
from actorrt.protocol.nodes import ActorRow, ActorTree, AskTree, JobRow

WATCH_PERIOD_S: Final = 1.0
DEFAULT_CHILDREN_COUNT: Final = 100
_HEADER: Final = ("ACTOR", "STATE", "RESTARTS", "QUEUED", "MEMORY", "NODE", "PID", "LAST EXIT")
_NODE_COLUMN: Final = _HEADER.index("NODE")
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[2J"
_MAX_REASON_LENGTH: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    scope.add_arguments(parser)
    parser.add_argument(
        "--children",
        type=int,
        default=DEFAULT_CHILDREN_COUNT,
        metavar="COUNT",
        help=f"the most children of one parent to show (default: {DEFAULT_CHILDREN_COUNT})",
    )
    parser.add_argument("--watch", action="store_true", help="print the tree every second, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree and return the exit status."""
    node = inspected_node(arguments.address)
    page, status = asyncio.run(_page(node, arguments))
    print(page)
    while arguments.watch:
        time.sleep(WATCH_PERIOD_S)  # the period that `--watch` promises, not a wait for something
        page, status = asyncio.run(_page(node, arguments))
        sys.stdout.write(f"{'' if arguments.json else _HOME_AND_CLEAR}{page}\n")
        sys.stdout.flush()
    return status


async def _page(node: NodeDescriptor, arguments: argparse.Namespace) -> tuple[str, int]:
    async with inquiring(node) as inquiry:
        shown = await scope.scope_of(inquiry, arguments)
        answers = await shown.ask(AskTree(siblings_count=arguments.children))
    status = scope.status_of(answers)
    whole = joined(answers)
    if arguments.json:
        nodes = [{"node": None if one.node is None else one.name, "why": one.why} for one in answers]
        packed = whole.pack()
        return scope.as_json({**packed, "nodes": nodes, "places": packed["nodes"]}), status
    lines = render(shown.title(), whole, is_cluster=shown.is_cluster)
    return "\n".join((*lines, *scope.silent(answers))), status


def joined(answers: Sequence[NodeAnswer[ActorTree]]) -> ActorTree:
    """Return the tree of all nodes: an actor hangs below its parent, on whatever nodes the two are.

    The `nodes` of this tree have the endpoints of all actors. At most `ROWS_COUNT` actors are listed.
    """
    jobs: dict[bytes, JobRow] = {}
    whole = ActorTree(jobs=[], actors=[], left_out={}, queued={}, child_ids={}, memory_bytes={}, nodes={})
    known: set[bytes] = set()
    for one in answers:
        tree = one.answer
        if tree is None:
            continue
        for job in tree.jobs:
            jobs[job.job] = _with(jobs.get(job.job), job)
        for above, count in tree.left_out.items():
            whole.left_out[above] = whole.left_out.get(above, 0) + count
        for row in tree.actors:
            if row.actor in known:
                continue
            if len(known) >= ROWS_COUNT:
                above = row.parent if row.parent in known else row.job
                whole.left_out[above] = whole.left_out.get(above, 0) + 1
                continue
            known.add(row.actor)
            whole.actors.append(row)
            where = one.node if row.home is None else tree.nodes.get(row.home, one.node)
            if row.home is not None and where is not None:
                whole.nodes[row.home] = where
        whole.queued.update(tree.queued)
        whole.child_ids.update(tree.child_ids)
        whole.memory_bytes.update(tree.memory_bytes)
    return whole.replaced(jobs=list(jobs.values()))


def _with(job: JobRow | None, other: JobRow) -> JobRow:
    """Return the row of a job on several nodes."""
    if job is None:
        return other
    workers = Counter(job.task_workers) + Counter(other.task_workers)
    return job.replaced(task_workers=dict(workers), tasks=dict(Counter(job.tasks) + Counter(other.tasks)))


def render(title: str, whole: ActorTree, *, is_cluster: bool = False) -> Iterator[str]:
    """Yield the lines of the tree: the nodes, their jobs, and the actors of each under their parents.

    Args:
        title: the first line.
        whole: the jobs and actors.
        is_cluster: whether rows name the node where an actor runs.
    """
    yield title
    tree = _Tree(whole)
    rows: list[Sequence[str]] = [_HEADER]
    for job in whole.jobs:
        rows.append(_alone(f"job {short(job.job)}{_of_tasks(job)}"))
        rows.extend(tree.below(job.job))
    detached = list(tree.below(None))
    if detached:
        rows += [_alone("detached, of jobs that have ended"), *detached]
    yield from table.lines(rows if is_cluster else [_without_node(row) for row in rows])


def _without_node(row: Sequence[str]) -> Sequence[str]:
    return (*row[:_NODE_COLUMN], *row[_NODE_COLUMN + 1 :])


class _Tree:
    """The actors by their parents; below a job if the parent is not listed, and below None if the job has ended."""

    def __init__(self, whole: ActorTree) -> None:
        self._whole = whole
        self._children: dict[bytes | None, list[ActorRow]] = {}
        known = {actor.actor for actor in whole.actors}
        live = {job.job for job in whole.jobs}
        for actor in whole.actors:
            job = actor.job if actor.job in live else None
            self._children.setdefault(actor.parent if actor.parent in known else job, []).append(actor)

    def below(self, above: bytes | None) -> Iterator[Sequence[str]]:
        """Yield the rows of a subtree: each actor, then the actors below it, and a row for actors that are left out."""
        branches = [("", self._branch(above))]  # the path to the current row; no recursion, since a tree may be deep
        while branches:
            indent, branch = branches[-1]
            twig = next(branch, None)
            if twig is None:
                branches.pop()
                continue
            item, is_last = twig
            prefix = f"{indent}{'└─ ' if is_last else '├─ '}"
            if isinstance(item, int):
                yield _alone(f"{prefix}and {item} more")
            else:
                yield self._row(item, prefix)
                branches.append((f"{indent}{'   ' if is_last else '│  '}", self._branch(item.actor)))

    def _branch(self, above: bytes | None) -> Iterator[tuple[ActorRow | int, bool]]:
        """Yield the actors directly below, and the number that is left out; each with whether it is the last item."""
        items: list[ActorRow | int] = [*self._children.get(above, [])]
        left_out = self._whole.left_out.get(NOWHERE if above is None else above, 0)
        if left_out:
            items.append(left_out)
        return ((item, number == len(items)) for number, item in enumerate(items, 1))

    def _row(self, actor: ActorRow, prefix: str) -> Sequence[str]:
        child_id, queued = self._whole.child_ids.get(actor.actor), self._whole.queued.get(actor.actor)
        memory_bytes = self._whole.memory_bytes.get(actor.actor)
        name = actor.label if child_id is None else f"{child_id} ({actor.label})"
        if actor.is_detached:
            name += " (detached)"
        node = None if actor.home is None else self._whole.nodes.get(actor.home)
        reason = (actor.last_exit or "").partition("\n")[0]
        return (
            f"{prefix}{name}",
            actor.state,
            str(actor.restarts),
            "?" if queued is None else str(queued),
            "" if memory_bytes is None else f"{memory_bytes / MIB:.0f} MiB",
            "" if node is None else short(node),
            str(actor.pid or ""),
            reason if len(reason) <= _MAX_REASON_LENGTH else f"{reason[: _MAX_REASON_LENGTH - 1]}…",
        )


def _of_tasks(job: JobRow) -> str:
    """Return the numbers of a job's workers for tasks, and of its tasks, in words."""
    numbers = {"workers for tasks": job.task_workers, "tasks": job.tasks}
    told = "; ".join(f"{name}: {_counted(counts)}" for name, counts in numbers.items() if counts)
    return f" ({told})" if told else ""


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _alone(text: str) -> Sequence[str]:
    return (text, *[""] * (len(_HEADER) - 1))
