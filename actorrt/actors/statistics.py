"""What an endpoint says of itself: every queue with its length, what it dropped, what waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from actorrt.actors.control import Data
from actorrt.ids import short

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell
    from actorrt.actors.system import System


def of_system(system: System) -> Data:
    """Return an endpoint's statistics as plain data."""
    return {
        "peer": short(system.endpoint.peer),
        "pending_calls": len(system.calls),
        "late_replies": system.calls.late_reply_count,
        "dead_letters": {"count": system.host.dead_letters.count, "last": system.host.dead_letters.kept()},
        "actors": [of_cell(cell) for cell in system.host.cells()],
        "routes": system.routes.statistics(),
        "silent_peers": [short(peer) for peer in system.silent_peers],
        "transport": asdict(system.transport.statistics()),
    }


def of_cell(cell: Cell) -> Data:
    """Return what one actor has queued and done."""
    mailbox, turns = cell.mailbox, cell.turns
    return {
        "label": cell.label,
        "state": cell.state.name.lower(),
        "incarnation": cell.incarnation,
        "handled": cell.handled_count,
        "running": 0 if turns is None else len(turns.running),
        "queued": 0 if mailbox is None else len(mailbox),
        "queued_bytes": 0 if mailbox is None else mailbox.queued_bytes,
        "dropped": 0 if mailbox is None else mailbox.dropped_count,
    }
