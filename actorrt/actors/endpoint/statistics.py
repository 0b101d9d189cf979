"""The statistics of an endpoint: the length of every queue, and counts of what was dropped or is late."""

from __future__ import annotations

from dataclasses import asdict
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from actorrt.ids import short

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.endpoint.endpoint import ActorEndpoint

LISTED_COUNT: Final = 1_000


def of_endpoint(endpoint: ActorEndpoint) -> dict[str, Any]:
    """Return an endpoint's statistics as plain data. If it hosts very many actors, only the busiest are listed."""
    cells = endpoint.population.cells()
    return {
        "peer": short(endpoint.peers.own_peer),
        "pending_calls": len(endpoint.pending),
        "late_replies": endpoint.pending.late_reply_count,
        "dead_letters": {"count": endpoint.dead_letters.count, "last": endpoint.dead_letters.kept()},
        "actors_count": len(cells),
        "actors": [of_cell(cell) for cell in nlargest(LISTED_COUNT, cells, key=_busyness)],
        "routes": endpoint.routes.statistics(),
        "streams": {**endpoint.streams.statistics(), "served": len(endpoint.serving)},
        "requests": len(endpoint.control),
        "handed_over": len(endpoint.threads),
        "runners": endpoint.runners.statistics(),
        "transits": len(endpoint.transits),
        "early_cancels": endpoint.incoming.early_cancels_count,
        "poison": len(endpoint.pending.deaths.set_aside),
        "store": None if endpoint.store is None else endpoint.store.statistics(),
        "silent_peers": [short(peer) for peer in endpoint.silences.peers],
        "transport": asdict(endpoint.transport.statistics()),
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
