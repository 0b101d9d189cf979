"""The cells of one endpoint, and which of them have a mailbox.

Most of a large population is idle. A cell allocates a mailbox with its first message; beyond `MAILBOXES_COUNT` of them,
the cell that has had its mailbox longest drops it, if it is idle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from actorrt.actors.hosting.gc_freezer import GcFreezer
from actorrt.ids import ActorId
from actorrt.invariants import about
from actorrt.machine.clock import Clock

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell

MAILBOXES_COUNT: Final = 1024
"""How many idle cells keep mailbox and execution, of those that are called from this process only."""


class Population:
    """The cells of one endpoint.

    Args:
        clock: measures garbage collections.

    Attributes:
        by_id: every cell; for reading.
        cell: returns the cell of an actor that is hosted here, or None.
        add: takes in the cell of an actor, in the place of an earlier one.
    """

    def __init__(self, clock: Clock) -> None:
        self._cells: dict[ActorId, Cell] = {}
        self._with_mailbox: dict[Cell, None] = {}  # in the order in which they allocated it
        self._freezer = GcFreezer(self._cells, clock)
        self.by_id: Mapping[ActorId, Cell] = self._cells
        self.cell = self._cells.get
        self.add = self._cells.__setitem__

    def __len__(self) -> int:
        return len(self._cells)

    def cells(self) -> list[Cell]:
        """Return every cell."""
        return list(self._cells.values())

    def with_mailbox(self) -> list[Cell]:
        """Return the cells that have a mailbox."""
        return list(self._with_mailbox)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if a cell is filed under another actor, or cells with mailboxes are unknown."""
        for actor_id, cell in self._cells.items():
            with about(actor_id):
                is_known = cell.mailbox is None or cell in self._with_mailbox
                assert cell.actor_id == actor_id, f"{cell.label} is filed as another actor"
                assert is_known, f"{cell.label} has a mailbox that nobody looks into"
        for cell in self._with_mailbox:
            with about(cell.actor_id):
                assert self._cells.get(cell.actor_id) is cell, f"{cell.label} is gone, and has a mailbox"

    def remove(self, cell: Cell) -> None:
        """Drop a cell whose actor is gone."""
        if self._cells.get(cell.actor_id) is cell:
            del self._cells[cell.actor_id]
        self._with_mailbox.pop(cell, None)
        self._freezer.shrunk()

    def allocated(self, cell: Cell) -> None:
        """Called when a cell has allocated its mailbox: drop the oldest mailbox beyond the bound, if it is idle."""
        holders = self._with_mailbox
        holders[cell] = None
        if len(holders) > MAILBOXES_COUNT:
            oldest = next(iter(holders))
            del holders[oldest]
            if not oldest.drop_mailbox():
                holders[oldest] = None

    def close(self) -> None:
        """Leave garbage collection alone from now on. Idempotent."""
        self._freezer.close()
