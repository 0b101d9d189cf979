"""The life of the actors that one endpoint hosts: starts, stops, ends, and what follows an end here.

An actor's authority decides, and speaks to the host through `start`, `stop`, `kill` and `bury`; the host reports every
exit to it. Messages come in through `incoming`, their outcomes leave through `outcomes`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt import errors
from actorrt.actors.cells.cell import Cell
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.refs.waiting import wait
from actorrt.actors.wire.failures import users_traceback
from actorrt.ids import ActorId, ObjectId
from actorrt.interrupts import let_through
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitKind, ExitReason
from actorrt.texts import in_words

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry
    from actorrt.actors.cells.blueprint import Blueprint
    from actorrt.actors.cells.cell_host import CellHost
    from actorrt.actors.hosting.batches import PlannedStarts
    from actorrt.actors.hosting.message_outcomes import MessageOutcomes
    from actorrt.actors.hosting.population import Population
    from actorrt.actors.hosting.reports import Reports
    from actorrt.actors.refs.message import Message
    from actorrt.actors.refs.reply import Reply

logger = logging.getLogger(__name__)

LAST_WORDS_S: Final = 1.0
"""How long the report of an actor's end waits for room at the receivers of its last tells."""


class Outgoing(Protocol):
    """The messages that actors here have sent."""

    def tells_waiting_from(self, cell: Cell) -> Sequence[Reply[Any]]:
        """Return the tells of a cell that wait to be sent."""

    def forget(self, actor_id: ActorId) -> None:
        """Called when an actor that was hosted here is gone."""


class Host:
    """Starts and ends the cells of one endpoint.

    Args:
        cell_host: the services of the cells; its `life` is this host.
        population: the cells.
        registry: the authority of light children here.
        reports: tells authorities.
        outcomes: takes the refusals of messages.
        planned: the starts that are ordered, and whose turn has not come.
        outgoing: the messages that the actors have sent.
    """

    def __init__(
        self,
        cell_host: CellHost,
        population: Population,
        registry: Registry,
        reports: Reports,
        outcomes: MessageOutcomes,
        planned: PlannedStarts,
        outgoing: Outgoing,
    ) -> None:
        self._cell_host = cell_host
        self._population = population
        self._registry = registry
        self._reports = reports
        self._outcomes = outcomes
        self._planned = planned
        self._outgoing = outgoing
        self.cell = population.cell
        self.handled_first = reports.handled_first
        cell_host.life = self

    # What authorities ask

    def start(
        self,
        actor_id: ActorId,
        label: str,
        incarnation: int,
        blueprint: Callable[[], Blueprint],
        snapshots: Sequence[ObjectId],
    ) -> Coroutine[Any, Any, None]:
        """Start an incarnation: in a new cell, or in the cell of the incarnation before, with its mailbox.

        The start begins at once, so that an order to end the actor finds it; the coroutine does the rest.

        Args:
            actor_id, label, incarnation: the incarnation to start.
            blueprint: makes the blueprint, where there is no cell yet.
            snapshots: the snapshots that its state may be restored from, newest first.

        Raises:
            ActorStartError: the class can't be loaded, or its constructor or `on_start` failed.
        """
        try:
            cell = self.cell(actor_id) or self._new_cell(actor_id, blueprint())
        except BaseException as error:
            raise self.start_failed(actor_id, label, error) from error
        self.settle_interrupted(cell)
        cell.begin(incarnation)
        return self._start(cell, label, snapshots)

    async def _start(self, cell: Cell, label: str, snapshots: Sequence[ObjectId]) -> None:
        try:
            await self._registry.children_gone(cell.actor_id)
            await self._reports.unknown_children_gone(cell)
            await cell.start(snapshots)
        except BaseException as error:
            raise self.start_failed(cell.actor_id, label, error) from error

    def start_at_once(self, actor_id: ActorId, blueprint: Blueprint) -> None:
        """Start the first incarnation of an actor whose start never waits; raises what its constructor does."""
        self._new_cell(actor_id, blueprint).start_at_once(1)

    def _new_cell(self, actor_id: ActorId, blueprint: Blueprint) -> Cell:
        cell = Cell(self._cell_host, actor_id, blueprint)
        self._population.add(actor_id, cell)
        return cell

    def start_failed(self, actor_id: ActorId, label: str, error: BaseException) -> BaseException:
        """Return what a failed start raises: what a constructor raises is the failure of its actor only."""
        let_through(error)
        self._registry.stops.stop_children(actor_id)
        return _start_error(label, error)

    def settle_interrupted(self, cell: Cell, delay_s: float = 0.0) -> None:
        """Tell the callers of the calls that were in hand at the last end: the actor is being restarted."""
        what = "was stopped" if cell.failure is None else "failed"
        when = f"is started again in {delay_s:.2g} s" if delay_s else "is being restarted"
        why = "" if cell.failure is None else f": {cell.failure.detail}"
        for message in cell.take_interrupted():
            error = errors.ActorUnavailableError(
                f"{cell.label} {what} during {message.method}() and {when}{why}", executed="maybe"
            )
            if cell.failure is not None and cell.failure.traceback:
                error.add_note(cell.failure.traceback)
            self._refuse_interrupted(message, error)

    def restarts_later(self, actor_id: ActorId, delay_s: float) -> None:
        """Called when an actor waits to be started again: the callers of its interrupted calls are told now."""
        cell = self.cell(actor_id)
        if cell is not None:
            self.settle_interrupted(cell, delay_s)

    def _refuse_interrupted(self, message: Message, error: errors.CallError) -> None:
        message.is_over = True  # its coroutine may run on, and answers nobody then
        self._outcomes.refuse(message, error)

    def stop(
        self, actor_id: ActorId, reason: ExitReason, *, is_administrative: bool, manner: Manner = Manner.ORDERLY
    ) -> None:
        """Stop an actor gracefully, or at once; for good, if the stop is administrative."""
        cell = self.cell(actor_id)
        if cell is not None and not self._planned.pass_over(actor_id):
            cell.stop(reason, cell.options.shutdown_s, is_administrative=is_administrative, manner=manner)

    def kill(self, actor_id: ActorId) -> None:
        """End an actor at once."""
        cell = self.cell(actor_id)
        if cell is not None and not self._planned.pass_over(actor_id):
            cell.kill()

    def bury(self, actor_id: ActorId, error: Callable[[], errors.ActorDiedError]) -> None:
        """Fail the messages that still wait for an actor that is gone for good."""
        cell = self.cell(actor_id)
        if cell is not None:
            self._population.remove(cell)
            self._refuse_orphans(cell, error)
            self._forget(cell)

    async def children_gone(self, cell: Cell) -> None:
        """Return when the children of an actor that is gone are gone too."""
        await self._registry.children_gone(cell.actor_id)
        await self._reports.unknown_children_gone(cell)

    def _forget(self, cell: Cell) -> None:
        self._outgoing.forget(cell.actor_id)
        cell.buried()

    def _refuse_orphans(self, cell: Cell, died: Callable[[], errors.ActorDiedError]) -> None:
        for message in cell.take_interrupted():
            error = died()
            error.executed = "maybe"
            self._refuse_interrupted(message, error)
        for message in cell.take_queued():
            cell.turned_away(message)
            error = died()
            error.executed = "no"
            self._outcomes.refuse(message, error)

    # What cells report

    def exited(self, cell: Cell, reason: ExitReason, *, is_administrative: bool) -> None:
        """Called when an incarnation has ended; its authority decides what follows."""
        self._reports.happened(cell)
        if cell.state is CellState.ENDED:
            self._refuse_orphans(
                cell, lambda: errors.ActorDiedError(f"{cell.label} was stopped: {reason}", reason=reason)
            )
        incarnation = cell.incarnation
        unsent = self._outgoing.tells_waiting_from(cell)
        if unsent:  # its tells arrive before the report of its end
            sent = wait(unsent, len(unsent), LAST_WORDS_S)
            sent.add_callback(lambda _: self._report_exit(cell, incarnation, reason, is_administrative))
        else:
            self._report_exit(cell, incarnation, reason, is_administrative)
        if reason.kind is ExitKind.ERROR:  # logged after the report was sent, for which a restart waits
            text = "%s failed: %s\n%s"
            self._cell_host.loop.call_soon(logger.error, text, cell.label, reason.detail, reason.traceback)

    def _report_exit(self, cell: Cell, incarnation: int, reason: ExitReason, is_administrative: bool) -> None:
        is_buried = not cell.blueprint.is_child_here and self._bury_at_once(cell)
        self._reports.exited(cell, incarnation, reason, is_administrative=is_administrative, is_buried=is_buried)

    def _bury_at_once(self, cell: Cell) -> bool:
        """Forget a cell that has ended for good and left nothing here; return whether that is so."""
        has_children = self._registry.has_children(cell.actor_id) or self._reports.has_unknown_children(cell)
        is_over = cell.state is CellState.ENDED and not has_children
        if is_over and self.cell(cell.actor_id) is cell:
            self._population.remove(cell)
            self._forget(cell)
        return is_over


def _start_error(label: str, error: BaseException) -> errors.ActorStartError:
    if type(error) is errors.ActorStartError:
        return error
    start_error = errors.ActorStartError(f"{label} did not start: {in_words(error)}")
    start_error.add_note(f"Remote traceback of the start of {label}:\n{users_traceback(error)}")
    return start_error
