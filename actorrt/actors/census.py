"""Who lives here: what one endpoint tells of its actors, for the live supervision tree.

The node puts these together in `actorrt.node.census`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorrt.actors.control import Data

if TYPE_CHECKING:
    from actorrt.actors.record import Record
    from actorrt.actors.system import System

MOST_COUNT: Final = 1_000
"""How many light children of one endpoint are listed: a tree is for people to read."""


def of_record(record: Record) -> Data:
    """Return what an authority knows of an actor, as data."""
    return {
        "actor": record.actor_id,
        "parent": record.parent,
        "label": record.label,
        "state": str(record.state),
        "restarts": max(0, record.incarnation - 1),
        "last_exit": None if record.last_reason is None else str(record.last_reason),
        "pid": None if record.place is None else record.place.pid,
        "is_own": record.options.needs_own_process,
        "is_supervisor": record.is_supervisor,
    }


def of_system(system: System) -> Data:
    """Return the light children that this endpoint is the authority of, and what waits for every actor it hosts."""
    records = system.registry.records()
    return {
        "records": [of_record(record) for record in records[:MOST_COUNT]],
        "left_out_count": max(0, len(records) - MOST_COUNT),
        "queued": {cell.actor_id: len(cell.mailbox or ()) for cell in system.host.cells()[: 2 * MOST_COUNT]},
        "child_ids": {
            actor_id: child_id
            for cell in system.host.cells()
            if cell.blueprint.is_supervisor and cell.instance is not None
            for actor_id, child_id in cell.instance._child_ids()
        },
    }
