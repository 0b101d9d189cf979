"""The statistics of an endpoint: the length of every queue, and counts of what was dropped or is late."""

from __future__ import annotations

from dataclasses import asdict
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from actorrt.ids import short

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.endpoint.endpoint import System

LISTED_COUNT: Final = 1_000


def of_system(system: System) -> dict[str, Any]:
    """Return an endpoint's statistics as plain data. If it hosts very many actors, only the busiest are listed."""
    cells = system.population.cells()
    return {
        "peer": short(system.peers.own_peer),
        "pending_calls": len(system.pending),
        "late_replies": system.pending.late_reply_count,
        "dead_letters": {"count": system.dead_letters.count, "last": system.dead_letters.kept()},
        "actors_count": len(cells),
        "actors": [of_cell(cell) for cell in nlargest(LISTED_COUNT, cells, key=_busyness)],
        "routes": system.routes.statistics(),
        "streams": {**system.streams.statistics(), "served": len(system.serving)},
        "requests": len(system.control),
        "handed_over": len(system.threads),
        "runners": system.runners.statistics(),
        "transits": len(system.transits),
        "early_cancels": system.incoming.early_cancels_count,
        "poison": len(system.pending.deaths.set_aside),
        "store": None if system.store is None else system.store.statistics(),
        "silent_peers": [short(peer) for peer in system.silences.peers],
        "transport": asdict(system.transport.statistics()),
    }


def _busyness(cell: Cell) -> tuple[int, int]:
    return -1 if cell.mailbox is None else len(cell.mailbox), cell.handled_count


def of_cell(cell: Cell) -> dict[str, Any]:
    """Return what one actor has queued and done."""
    mailbox, execution = cell.mailbox, cell.execution
    return {
        "label": cell.label,
        "state": cell.state.name.lower(),
        "incarnation": cell.incarnation,
        "handled": cell.handled_count,
        "running": 0 if execution is None else len(execution.running),
        "keys": 0 if cell.deduplication is None else len(cell.deduplication),
        "queued": 0 if mailbox is None else len(mailbox),
        "queued_bytes": 0 if mailbox is None else mailbox.queued_bytes,
        "dropped": 0 if mailbox is None else mailbox.dropped_count,
        "skipped_ticks": cell.context.skipped_ticks_count,
    }
