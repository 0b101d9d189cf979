"""What must be true of an endpoint between two steps of its loop; for tests, and to find defects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.statistics import of_cell
from actorrt.invariants import BrokenInvariantError, about

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.endpoint.endpoint import ActorEndpoint


def check_endpoint(endpoint: ActorEndpoint) -> None:
    """Check the actors that an endpoint is the authority of, its routes, its calls, and the actors that it hosts.

    Raises:
        BrokenInvariantError: one of them contradicts itself or another.
    """
    endpoint.registry.check_invariants()
    endpoint.routes.check_invariants()
    endpoint.pending.check_invariants()
    endpoint.population.check_invariants()
    if endpoint.tasks is not None:
        endpoint.tasks.check_invariants()
    for cell in endpoint.population.cells():
        check_cell(cell)
        if cell.mailbox is not None:
            with about(cell.actor_id):
                for sender in cell.mailbox.creditors():
                    assert endpoint.incoming.is_caller(sender), f"a sender that is gone has a share of {cell.label}"


def check_cell(cell: Cell) -> None:
    """Check one hosted actor: its state, its mailbox, what is in hand, and the credit that it has granted.

    Raises:
        BrokenInvariantError: they contradict each other; the text says what is known of the actor.
    """
    found = list(_contradictions(cell))
    if found:
        raise BrokenInvariantError(f"{cell.label}: {'; '.join(found)}; {of_cell(cell)}", cell.actor_id)
    if cell.mailbox is not None:
        with about(cell.actor_id):
            cell.mailbox.check_credit()


def _contradictions(cell: Cell) -> Iterator[str]:
    mailbox, execution, route = cell.mailbox, cell.execution, cell.local_route
    takes_messages = cell.state in (CellState.RUNNING, CellState.STOPPING)
    if cell.instance is not None and not takes_messages and cell.state is not CellState.CUT:
        yield "it has an instance, and takes no messages"
    if route is not None and route.waiting and route.inbox is cell and cell.has_room:
        yield f"{route.waiting_count} messages of this process wait, and there is room"
    if mailbox is None or execution is None:
        if (mailbox is None) != (execution is None):
            yield "it has one of mailbox and execution"
        return
    yield from mailbox.contradictions()
    if len(mailbox) and takes_messages and execution.is_at_rest:
        yield "messages wait, and nothing is to handle them"
    if len(execution.running) > execution.runner_count:
        yield f"{len(execution.running)} messages are in hand of {execution.runner_count} runners"
    if execution.runner_count > cell.options.max_concurrency:
        yield f"{execution.runner_count} runners are at work, of {cell.options.max_concurrency}"
