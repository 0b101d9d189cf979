"""`actorrt tree`: the live supervision tree of a node, printed once or over and over."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from actorrt.config import MIB
from actorrt.ids import short
from actorrt.node.inquiry import inquire
from actorrt.node.launch import find_node
from actorrt.node.places import NodeDescriptor

WATCH_PERIOD_S: Final = 1.0
_HEADER: Final = ("ACTOR", "STATE", "RESTARTS", "QUEUED", "MEMORY", "PID", "LAST EXIT")
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[2J"
_MAX_REASON_LENGTH: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--address", default="auto", help="the node's URL (default: this machine's newest node)")
    parser.add_argument("--watch", action="store_true", help="print it anew every second, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree and return the exit status."""
    node = find_node(arguments.address)
    print(_page(node))
    while arguments.watch:
        time.sleep(WATCH_PERIOD_S)  # the period of the page, as `--watch` promises: nothing is waited for
        page = _page(node)
        sys.stdout.write(f"{_HOME_AND_CLEAR}{page}\n")
        sys.stdout.flush()
    return 0


def _page(node: NodeDescriptor) -> str:
    census = asyncio.run(inquire(node, "census", {}))
    return "\n".join(render(f"node {node.url} (process {node.pid})", census))


def render(title: str, census: dict[str, Any]) -> Iterator[str]:
    """Give the lines of the tree: the node, its jobs, and below each its actors under their parents.

    Args:
        title: the first line.
        census: what `census.take_census` returned.
    """
    yield title
    rows: list[Sequence[str]] = [_HEADER]
    children: dict[bytes | None, list[dict[str, Any]]] = {}
    known = {actor["actor"] for actor in census["actors"]}
    for actor in census["actors"]:
        above = actor["parent"] if actor["parent"] in known else actor["job"]
        children.setdefault(above, []).append(actor)
    for job in census["jobs"]:
        rows.append((f"job {short(job['job'])}", "", "", "", "", "", ""))
        rows.extend(_below(job["job"], children, ""))
    rows.extend(_below(None, children, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if census["left_out_count"]:
        yield f"and {census['left_out_count']} light actors more"


def _below(
    above: bytes | None, children: dict[bytes | None, list[dict[str, Any]]], indent: str
) -> Iterator[Sequence[str]]:
    actors = children.get(above, [])
    for number, actor in enumerate(actors, 1):
        is_last = number == len(actors)
        yield _row(actor, f"{indent}{'└─ ' if is_last else '├─ '}")
        yield from _below(actor["actor"], children, f"{indent}{'   ' if is_last else '│  '}")


def _row(actor: dict[str, Any], prefix: str) -> Sequence[str]:
    name = actor["label"] if actor["child_id"] is None else f"{actor['child_id']} ({actor['label']})"
    reason = (actor["last_exit"] or "").partition("\n")[0]
    return (
        f"{prefix}{name}",
        actor["state"],
        str(actor["restarts"]),
        "?" if actor["queued"] is None else str(actor["queued"]),
        "" if actor["memory_bytes"] is None else f"{actor['memory_bytes'] / MIB:.0f} MiB",
        str(actor["pid"] or ""),
        reason if len(reason) <= _MAX_REASON_LENGTH else f"{reason[: _MAX_REASON_LENGTH - 1]}…",
    )
