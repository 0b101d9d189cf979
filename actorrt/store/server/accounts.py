"""Pure: the counts of a store, and its largest objects with their holders."""

from __future__ import annotations

from heapq import nlargest
from typing import Any, Final

from actorrt.store.memory.pool import Pool
from actorrt.store.server.allocator import Allocator
from actorrt.store.server.connections import Connections
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.table import ObjectTable

MAX_LISTED_COUNT: Final = 100
SHOWN_BYTES: Final = 4  # the start of an id, of the length that `ids.short` shows


def counts(pool: Pool, table: ObjectTable, allocator: Allocator) -> dict[str, int]:
    """Return the bytes and objects of a store."""
    entries = list(table.entries())
    pinned = [entry.place.length_bytes for entry in entries if entry.pins and entry.place is not None]
    return {
        "capacity_bytes": pool.capacity_bytes,
        "used_bytes": pool.used_bytes - allocator.lending.unused_bytes,
        "lent_bytes": allocator.lending.unused_bytes,
        "reserved_bytes": pool.reserved_bytes,
        "pinned_bytes": sum(pinned),
        "spilled_bytes": allocator.files.used_bytes,
        "objects_count": sum(entry.state is not State.FREED for entry in entries),
        "segments_count": pool.segments_count,
        "spills_count": allocator.spills_count,
        "evictions_count": allocator.evictions_count,
    }


def largest(table: ObjectTable, connections: Connections, count: int) -> list[list[Any]]:
    """Return the largest objects: the start of the id, bytes, state, holders, and the line that made them.

    An id is the right to read its object, so a listing gives no whole id.
    """
    placed = (entry for entry in table.entries() if entry.place is not None)
    chosen = nlargest(min(count, MAX_LISTED_COUNT), placed, key=_length_bytes)
    return [
        [
            entry.object_id[:SHOWN_BYTES],
            _length_bytes(entry),
            entry.state.value,
            _holders(entry, connections),
            entry.line,
        ]
        for entry in chosen
    ]


def _length_bytes(entry: ObjectEntry) -> int:
    return 0 if entry.place is None else entry.place.length_bytes


def _holders(entry: ObjectEntry, connections: Connections) -> list[str]:
    """Say what keeps an object: refs and views of processes, messages under way, other objects, a published name."""
    known = {number: connections[number].label for number in {*entry.holds, *entry.pins} if number in connections}
    held = [label + (" (in view)" if number in entry.pins else "") for number, label in sorted(known.items())]
    if set(entry.holds) - set(known):
        held.append("a published name")
    if entry.transits:
        held.append(f"{len(entry.transits)} messages")
    if entry.containers_count:
        held.append(f"{entry.containers_count} objects")
    return held[:MAX_LISTED_COUNT]
