"""The status of all nodes of a cluster as one listing, a page at a time: for `Runtime.status`.

Nodes come in the order of their ids, so a page goes on behind the last row of the page before, also when a node has
joined or ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actorrt.errors import ActorRtError
from actorrt.ids import NodeId, short
from actorrt.node.listing.asking import Asks, ask_at, ask_nodes, live_members
from actorrt.protocol.nodes import AskStatus, Cursor, StatusPage

SUMS: Final = ("cpus", "reserved_cpus", "leased_cpus", "gpus", "reserved_gpus", "leased_gpus")


async def whole_page(ask: Asks, after: Sequence[Any] | None, count: int) -> dict[str, Any]:
    """Return a page of at most `count` workers and actors, and the totals of all nodes; see `Runtime.status`.

    Args:
        ask: sends a request to the daemon of the driver's node.
        after: the `next` of the page before: the numbers of its last rows, and in a cluster their node.
        count: the number of rows.
    """
    nodes = [member.node for member in await live_members(ask)]
    if not nodes:
        cursor = None if after is None else Cursor(*after[:2])
        page = await ask(AskStatus(after=cursor, count=count))
        return {**_summary([page]), **_rows(None, page), "silent": [], "next": page.next and [*page.next]}
    first = await ask_nodes(ask, nodes, AskStatus(after=None, count=1))
    silent = [one for one in first if one.answer is None]
    rows = await _rows_of_nodes(ask, [one.node for one in first if one.node and one.answer], after, count)
    summary = _summary([one.answer for one in first if one.answer is not None])
    return {**summary, **rows, "silent": [{"node": one.name, "why": one.why} for one in silent]}


async def _rows_of_nodes(ask: Asks, nodes: Sequence[NodeId], after: Sequence[Any] | None, count: int) -> dict[str, Any]:
    """Return rows of these nodes, from the cursor on."""
    begin = NodeId(bytes.fromhex(after[2])) if after is not None and len(after) > 2 else None
    left = [node for node in nodes if begin is None or node >= begin]
    workers: list[Any] = []
    actors: list[Any] = []
    for node in left:
        room = count - len(workers) - len(actors)
        if room == 0:
            return {"workers": workers, "actors": actors, "next": [0, 0, node.hex()]}
        cursor = Cursor(*after[:2]) if after is not None and node == begin else None
        try:
            page = await ask_at(ask, node, AskStatus(after=cursor, count=room))
        except ActorRtError:  # it ended, or stopped answering, after it gave its totals: the next page says so
            continue
        rows = _rows(node, page)
        workers += rows["workers"]
        actors += rows["actors"]
        if page.next is not None:
            return {"workers": workers, "actors": actors, "next": [*page.next, node.hex()]}
    return {"workers": workers, "actors": actors, "next": None}


def _rows(node: NodeId | None, page: StatusPage) -> dict[str, Any]:
    """Return the rows of one node's page, each with the node where the worker or actor runs."""
    name = None if node is None else short(node)
    workers = [{**row.pack(), "node": name} for row in page.workers]
    actors = [{**row.pack(), "node": name if row.node is None else short(row.node)} for row in page.actors]
    return {"workers": workers, "actors": actors}


def _summary(pages: Sequence[StatusPage]) -> dict[str, Any]:
    """Return what does not depend on the page: sums over the nodes that have answered."""
    if not pages:
        return {}
    jobs = {job.job: job.pack() for page in pages for job in page.jobs}
    totals = {
        "jobs": len(jobs),
        **{name: sum(getattr(p.totals, name) for p in pages) for name in ("workers", "actors")},
    }
    sums = {name: sum(getattr(page, name) for page in pages) for name in SUMS}
    return {
        "version": pages[0].version,
        "address": pages[0].address,
        "jobs": [*jobs.values()],
        "totals": totals,
        **sums,
    }
