"""What must be true of a cell between two steps of its loop; for tests, and for whoever looks for a defect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.statistics import of_cell

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell


def check_cell(cell: Cell) -> None:
    """Raise AssertionError, with the story of the cell, where what it knows of itself disagrees."""
    found = list(_contradictions(cell))
    if found:
        raise AssertionError(f"{cell.label}: {'; '.join(found)}; {of_cell(cell)}")


def _contradictions(cell: Cell) -> Iterator[str]:
    mailbox, turns, route = cell.mailbox, cell.turns, cell.local_route
    takes_messages = cell.state in (CellState.RUNNING, CellState.STOPPING)
    if cell.instance is not None and not takes_messages and cell.state is not CellState.CUT:
        yield "it has an instance, and takes no messages"
    if route is not None and route.waiting and route.cell is cell and cell.has_room:
        yield f"{route.waiting_count} messages of this process wait, and there is room"
    if mailbox is None or turns is None:
        if (mailbox is None) != (turns is None):
            yield "it has one of mailbox and turns"
        return
    yield from mailbox.contradictions()
    if len(mailbox) and takes_messages and not cell.is_scheduled and not turns.runner_count:
        yield "messages wait, and nothing is to handle them"
    if len(turns.running) > turns.runner_count:
        yield f"{len(turns.running)} messages are in hand of {turns.runner_count} runners"
    if turns.runner_count > cell.options.max_concurrency:
        yield f"{turns.runner_count} runners are at work, of {cell.options.max_concurrency}"
