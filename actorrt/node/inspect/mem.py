"""`actorrt mem`: the objects in the store of a node, the largest first, and the processes that hold them."""

from __future__ import annotations

import argparse
from typing import Any

from actorrt.config import MIB
from actorrt.errors import RuntimeStateError
from actorrt.ids import short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.node_directory import NodeDescriptor
from actorrt.node.inspect import table
from actorrt.node.inspect.node_choice import add_address_argument, inspected_node
from actorrt.store.connection.connection import StoreConnection
from actorrt.store.connection.socket_channel import SocketChannel
from actorrt.store.wire.protocol import Op

_MAX_COUNT = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_argument(parser)
    parser.add_argument("--count", type=int, default=20, help="how many objects to list, 1 to 100 (default: 20)")


def run(arguments: argparse.Namespace) -> int:
    """Print the listing; return the exit status."""
    if not 1 <= arguments.count <= _MAX_COUNT:
        raise ValueError(f"--count {arguments.count}: give 1 to {_MAX_COUNT}")
    counts, objects = _ask(inspected_node(arguments.address), arguments.count)
    for line in lines(counts, objects):
        print(line)
    return 0


def _ask(node: NodeDescriptor, count: int) -> tuple[dict[str, int], list[list[Any]]]:
    """Ask the store itself, which needs no job. A `StoreClient` would bring in what reads values, and so pickle."""
    surroundings = Surroundings.of_process()
    channel = SocketChannel(node.store, surroundings.ids.peer(), surroundings.clock, None)
    store = StoreConnection(channel, surroundings.threads)
    try:
        return store.request(Op.STATS), store.request(Op.LIST, count)
    finally:
        store.end(RuntimeStateError, "the listing is complete")


def lines(counts: dict[str, int], objects: list[list[Any]]) -> list[str]:
    """Return the listing.

    Args:
        counts: the counts that `art.store_stats()` returns.
        objects: for each object its id, its length in bytes, its state, its holders, and the line that made it.
    """
    head = (
        f"object store: {_mib(counts['used_bytes'])} of {_mib(counts['capacity_bytes'])} used, "
        f"{_mib(counts['pinned_bytes'])} in view, {_mib(counts['spilled_bytes'])} on disk, "
        f"{counts['objects_count']} objects"
    )
    rows = [("SIZE", "STATE", "OBJECT", "MADE AT", "HELD BY")]
    for object_id, length_bytes, state, holders, line in objects:
        rows.append((_mib(length_bytes), state, short(object_id), line or "-", ", ".join(holders) or "nobody"))
    return [head, *table.lines(rows)] if objects else [head]


def _mib(length_bytes: int) -> str:
    return f"{length_bytes / MIB:.1f} MiB"
