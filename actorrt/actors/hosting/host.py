"""Everything hosted on one endpoint: its cells, what arrives for them, and what the outcome of each message is.

Whoever decides (the authority of an actor) speaks to the host through `start`, `stop`, `kill` and `bury`; the host
reports every exit to it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.cells.blueprint import Blueprint
from actorrt.actors.cells.cell import Cell
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.cells.execution import cancelled, timed_out
from actorrt.actors.cells.runners import Runners
from actorrt.actors.hosting.batches import InTurn
from actorrt.actors.hosting.callers import RemoteCaller
from actorrt.actors.hosting.deadlock import Deadlocks
from actorrt.actors.hosting.exits import Exits
from actorrt.actors.hosting.gc_freezer import Population
from actorrt.actors.hosting.serving import Serving
from actorrt.actors.refs import current
from actorrt.actors.refs.ends import Down
from actorrt.actors.refs.message import Caller, Message, Tick
from actorrt.actors.refs.ref import ActorRef
from actorrt.actors.refs.waiting import wait
from actorrt.actors.wire.failures import users_traceback
from actorrt.ids import ActorId, ObjectId, PeerId, short
from actorrt.interrupts import let_through
from actorrt.invariants import about
from actorrt.protocol.authorities import Handled
from actorrt.protocol.envelopes import ASK
from actorrt.protocol.manner import Manner
from actorrt.protocol.nodes import Orphaned
from actorrt.reasons import ExitKind, ExitReason
from actorrt.texts import in_words

if TYPE_CHECKING:
    from actorrt.actors.cells.deduplication import Keys
    from actorrt.actors.endpoint.endpoint import System
    from actorrt.actors.refs.current import BoundEndpoint
    from actorrt.actors.refs.route import Route

logger = logging.getLogger(__name__)

EARLY_CANCEL_COUNT: Final = 1024
WARM_COUNT: Final = 1024
"""How many cells keep mailbox and turns while they are idle, of those that are called from this process only."""
LAST_WORDS_S: Final = 1.0
"""How long the news of an actor's end waits for receivers to admit what it has told them."""


class Host:
    """The cells of one endpoint."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.endpoint: BoundEndpoint = system  # for code of actors: see `current`
        self.loop = system.loop
        self.clock = system.clock
        self.scope = system.scope
        self.payloads = system.payloads
        self.serving = Serving()
        self.local_caller = system.local_caller
        self.runners = Runners(self.scope, system.transport)
        self.dead_letters = system.dead_letters
        self.deadlocks = Deadlocks(self)
        self._cells: dict[ActorId, Cell] = {}
        self.population = Population(self._cells, self.clock)
        self._warm: dict[Cell, None] = {}  # those that have a mailbox, by when they got it
        self._callers: dict[PeerId, RemoteCaller] = {}
        self.exits = Exits(system)
        self.in_turn = InTurn(self)
        self._early_cancels: OrderedDict[tuple[PeerId, int], bool] = OrderedDict()  # whether they are late ones

    def cell(self, actor_id: ActorId) -> Cell | None:
        """Return the cell of an actor that is hosted here."""
        return self._cells.get(actor_id)

    def cells(self) -> list[Cell]:
        """Return every cell."""
        return list(self._cells.values())

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if a cell is filed under another actor, or cells with mailboxes are unknown."""
        for actor_id, cell in self._cells.items():
            with about(actor_id):
                assert cell.actor_id == actor_id, f"{cell.label} is filed as another actor"
                assert cell.mailbox is None or cell in self._warm, f"{cell.label} has a mailbox that nobody looks into"
        for cell in self._warm:
            with about(cell.actor_id):
                assert self._cells.get(cell.actor_id) is cell, f"{cell.label} is gone, and has a mailbox"

    def drained(self) -> None:
        """What had arrived is in the mailboxes: handle what can be handled at once."""
        self.runners.drained()

    # What authorities ask

    def start(
        self,
        actor_id: ActorId,
        label: str,
        incarnation: int,
        blueprint: Callable[[], Blueprint],
        snapshots: Sequence[ObjectId],
    ) -> Coroutine[Any, Any, None]:
        """Start an incarnation: in a new cell, or in the one that its predecessor's mailbox was kept in.

        It begins at once, so that an order to end it finds it; the rest is for the coroutine.

        Args:
            actor_id, label, incarnation: which.
            blueprint: makes the blueprint, where there is no cell yet.
            snapshots: what its state is put back from, newest first.

        Raises:
            ActorStartError: the class can't be loaded, or its constructor or `on_start` failed.
        """
        try:
            cell = self._cells.get(actor_id) or self._new_cell(actor_id, blueprint())
        except BaseException as error:
            raise self.start_failed(actor_id, label, error) from error
        self.settle_victims(cell)
        cell.begin(incarnation)
        return self._start(cell, label, snapshots)

    async def _start(self, cell: Cell, label: str, snapshots: Sequence[ObjectId]) -> None:
        try:
            await self.system.registry.children_gone(cell.actor_id)
            await cell.start(snapshots)
        except BaseException as error:
            raise self.start_failed(cell.actor_id, label, error) from error

    def start_at_once(self, actor_id: ActorId, blueprint: Blueprint) -> None:
        """Start the first incarnation of an actor whose start never waits; raises what its constructor does."""
        self._new_cell(actor_id, blueprint).start_at_once(1)

    def _new_cell(self, actor_id: ActorId, blueprint: Blueprint) -> Cell:
        cell = self._cells[actor_id] = Cell(self, actor_id, blueprint)
        return cell

    def start_failed(self, actor_id: ActorId, label: str, error: BaseException) -> BaseException:
        """Return what a failed start is to raise: whatever a constructor raises is its actor's failure alone."""
        let_through(error)
        self.system.registry.stops.stop_children(actor_id)
        return _start_error(label, error)

    def settle_victims(self, cell: Cell, delay_s: float = 0.0) -> None:
        """The calls that were in hand when the last incarnation failed, or was broken off: it is being restarted."""
        what = "was stopped" if cell.failure is None else "failed"
        when = f"is started again in {delay_s:.2g} s" if delay_s else "is being restarted"
        why = "" if cell.failure is None else f": {cell.failure.detail}"
        for message in cell.take_victims():
            error = errors.ActorUnavailableError(
                f"{cell.label} {what} during {message.method}() and {when}{why}", executed="maybe"
            )
            if cell.failure is not None and cell.failure.traceback:
                error.add_note(cell.failure.traceback)
            self._tell_victim(message, error)

    def restarts_later(self, actor_id: ActorId, delay_s: float) -> None:
        """An actor waits to be started again; those who called it need not."""
        cell = self._cells.get(actor_id)
        if cell is not None:
            self.settle_victims(cell, delay_s)

    def _tell_victim(self, message: Message, error: errors.CallError) -> None:
        message.is_over = True  # its coroutine may go on for a while, and has nobody to answer then
        self.refuse(message, error)

    def stop(
        self, actor_id: ActorId, reason: ExitReason, *, is_administrative: bool, manner: Manner = Manner.ORDERLY
    ) -> None:
        """Stop an actor gracefully, or at once; for good, if the stop is administrative."""
        cell = self._cells.get(actor_id)
        if cell is not None and not self.in_turn.pass_over(actor_id):
            cell.stop(reason, cell.options.shutdown_s, is_administrative=is_administrative, manner=manner)

    def kill(self, actor_id: ActorId) -> None:
        """End an actor at once."""
        cell = self._cells.get(actor_id)
        if cell is not None and not self.in_turn.pass_over(actor_id):
            cell.kill()

    def bury(self, actor_id: ActorId, error: Callable[[], errors.ActorDiedError]) -> None:
        """The actor is gone for good: fail what still waits for it."""
        cell = self._cells.pop(actor_id, None)
        if cell is not None:
            self._refuse_orphans(cell, error)
            self._forget(cell)

    def _forget(self, cell: Cell) -> None:
        self._warm.pop(cell, None)
        self.population.shrunk()
        self.system.routes.forget(cell.actor_id)
        cell.buried()

    def _refuse_orphans(self, cell: Cell, died: Callable[[], errors.ActorDiedError]) -> None:
        for message in cell.take_victims():
            error = died()
            error.executed = "maybe"
            self._tell_victim(message, error)
        for message in cell.take_queued():
            cell.turned_away(message)
            error = died()
            error.executed = "no"
            self.refuse(message, error)

    # What cells report

    def exited(self, cell: Cell, reason: ExitReason, *, is_administrative: bool) -> None:
        """An incarnation ended; its authority decides what follows."""
        self.exits.happened(cell.actor_id)
        self.system.registry.stops.stop_children(cell.actor_id)
        authority = cell.blueprint.authority
        if cell.has_distant_children and authority != self.system.node:
            self.system.control.notify(self.system.node, Orphaned(actor=cell.actor_id))
        if cell.state is CellState.ENDED:
            self._refuse_orphans(
                cell, lambda: errors.ActorDiedError(f"{cell.label} was stopped: {reason}", reason=reason)
            )
        incarnation = cell.incarnation
        unsent = self.system.routes.tells_waiting_from(cell)
        if unsent:  # what it told before it died comes before the news of its death
            sent = wait(unsent, len(unsent), LAST_WORDS_S)
            sent.add_callback(lambda _: self._report_exit(cell, incarnation, reason, is_administrative))
        else:
            self._report_exit(cell, incarnation, reason, is_administrative)
        if reason.kind is ExitKind.ERROR:  # logged when the news has left: it is what a restart waits for
            text = "%s failed: %s\n%s"
            self.loop.call_soon(logger.error, text, cell.label, reason.detail, reason.traceback)

    def _report_exit(self, cell: Cell, incarnation: int, reason: ExitReason, is_administrative: bool) -> None:
        is_buried = not cell.blueprint.is_child_here and self._bury_at_once(cell)
        self.exits.report(cell, incarnation, reason, is_administrative=is_administrative, is_buried=is_buried)

    def _bury_at_once(self, cell: Cell) -> bool:
        """Forget a cell that has ended for good and left nothing here; return whether that is so."""
        is_over = cell.state is CellState.ENDED and not self.system.registry.has_children(cell.actor_id)
        if is_over and self._cells.get(cell.actor_id) is cell:
            del self._cells[cell.actor_id]
            self._forget(cell)
        return is_over

    def handled_first(self, cell: Cell) -> None:
        """An incarnation has handled its first message."""
        if cell.blueprint.is_child_here:
            self.system.registry.handled_a_message(cell.actor_id, cell.incarnation)
        else:
            notice = Handled(actor=cell.actor_id, incarnation=cell.incarnation)
            self.system.control.notify(cell.blueprint.authority, notice)

    def warmed_up(self, cell: Cell) -> None:
        """A cell has a mailbox and turns now; whichever has had its own for longest is to give them back, if idle."""
        warm = self._warm
        warm[cell] = None
        if len(warm) > WARM_COUNT:
            oldest = next(iter(warm))
            del warm[oldest]
            if not oldest.cool_down():
                warm[oldest] = None

    def made_room(self, route: Route) -> None:
        """There may be room again for what waits on a route to an actor here."""
        self.system.routes.send_waiting(route)

    # Messages

    def received(self, peer: PeerId, envelope: list[Any], buffers: Any) -> None:
        """Take in an ASK or a TELL."""
        kind, call_id, actor_id, method, body, left, options = envelope
        caller = self._callers.get(peer) or self._new_caller(peer)
        cell = self._cells.get(actor_id)
        if cell is None:
            self._not_here(kind, caller, call_id, actor_id, method)
            if kind != ASK:
                self.payloads.release(body, buffers)
            return
        self.runners.drain_begins()
        deadline = None if left is None else self.clock.now() + left
        message = Message(caller, call_id, method, body, buffers, deadline, options)
        is_late = self._early_cancels.pop((peer, call_id), None) if self._early_cancels else None
        if is_late is None:
            cell.deliver(message)
        else:  # its cancel overtook it
            message.cell = cell
            cell.turned_away(message)
            self.refuse(message, (timed_out if is_late else cancelled)(cell, message, "no"))

    def _new_caller(self, peer: PeerId) -> RemoteCaller:
        caller = self._callers[peer] = RemoteCaller(self.system, peer)
        return caller

    def _not_here(self, kind: int, caller: RemoteCaller, call_id: int, actor_id: ActorId, method: str) -> None:
        caller.not_here(call_id, actor_id)
        if kind != ASK:
            self.dead_letters.add(short(actor_id), method, "the actor is not here")

    def resettled(self, peer: PeerId, actor_id: ActorId, settlement: int) -> None:
        """Take in a SETTLE."""
        caller = self._callers.get(peer) or self._new_caller(peer)
        cell = self._cells.get(actor_id)
        if cell is None:
            caller.not_here(0, actor_id)
        else:
            cell.resettled(caller, settlement)

    def cancelled(self, peer: PeerId, actor_id: ActorId, call_id: int, is_late: bool) -> None:
        """Take in a CANCEL, which may have overtaken its call."""
        caller = self._callers.get(peer)
        if caller is None or not self.withdraw(caller, actor_id, call_id, is_late):
            self._early_cancels[(peer, call_id)] = is_late
            if len(self._early_cancels) > EARLY_CANCEL_COUNT:
                self._early_cancels.popitem(last=False)

    @property
    def early_cancels_count(self) -> int:
        """How many cancels are remembered whose calls have not come."""
        return len(self._early_cancels)

    def caller(self, peer: PeerId) -> Caller | None:
        """Return the endpoint `peer` as a caller, if it has called."""
        return self._callers.get(peer)

    def withdraw(self, caller: Caller, actor_id: ActorId, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call of an actor; return whether it was here."""
        cell = self._cells.get(actor_id)
        return cell is not None and cell.turns is not None and cell.turns.withdraw(caller, call_id, is_late)

    def caller_lost(self, peer: PeerId) -> None:
        """The process of a caller is gone: what it waited for is cancelled."""
        caller = self._callers.pop(peer, None)
        if caller is not None:
            for cell in list(self._warm):
                cell.withdraw_all(caller)

    def caller_cut_off(self, peer: PeerId) -> None:
        """A caller can't be reached, and hears of that: its calls run on for nobody."""
        caller = self._callers.get(peer)
        if caller is not None:
            caller.cut_off()

    # Outcomes

    def succeed(self, message: Message, result: Any) -> None:
        """Take in the result of a method, for its caller and for those who call with its key."""
        keys = _keys_of(message)
        if keys is not None and message.options is not None:
            try:
                keys.succeeded(message, message.options["key"], result)
            except Exception as error:  # a message ends here: a result that can't be copied is its error
                self.fail(message, error)
                return
        self.answer(message, result)

    def answer(self, message: Message, result: Any) -> None:
        """Send a result to whoever asked, or where the call's options want it; what can't be sent is an error."""
        if message.caller is None or not message.call_id:
            return
        options = message.options
        try:
            if options is not None and "into" in options:
                ref = self.system.require_store().put(result, object_id=options["into"])
                result = ref if message.caller.is_far else None  # another node is told where it was made
            message.caller.succeed(message.call_id, result)
        except Exception as error:  # a message ends here: a result that can't be copied, stored or sent is its error
            self.fail(message, error)

    def fail(self, message: Message, error: BaseException) -> None:
        """Send the exception that a method raised to whoever asked."""
        where = f"{message.cell.label}.{message.method}()"
        if message.caller is not None and message.call_id:
            message.caller.fail(message.call_id, error, where, "yes")
        keys = _keys_of(message)
        if keys is not None and message.options is not None:
            keys.failed(message, message.options["key"], error, where)

    def refuse(self, message: Message, error: errors.CallError) -> None:
        """Tell whoever asked why the runtime did not, or not wholly, handle a message."""
        if message.call_id and message.caller is not None:
            message.caller.refuse(message.call_id, error)
        elif not (
            isinstance(message, Tick) and isinstance(error, errors.ActorDiedError)
        ):  # timers end with their actor
            label = "an actor" if message.cell is None else message.cell.label
            self.dead_letters.add(label, message.method, str(error))
            self.payloads.release(message.body, message.buffers)
        self._make_way(message)

    def unopened(self, message: Message, error: Exception) -> None:
        """Tell whoever asked why a method could not be given its arguments: it did not run, and its actor is well."""
        label, method = message.cell.label, message.method
        if message.call_id and message.caller is not None:
            message.caller.fail(message.call_id, error, f"opening the arguments of {label}.{method}()", "no")
        else:
            self.dead_letters.add(label, method, f"its arguments can't be opened: {in_words(error)}")
        self._make_way(message)

    def _make_way(self, message: Message) -> None:
        """The message was not handled to its end: of those that wait for one of its key, the first is handled."""
        keys = _keys_of(message)
        if keys is not None and message.options is not None:
            for other in keys.withdrawn(message, message.options["key"]):
                message.cell.deliver(other)

    def overflowed(self, cell: Cell, message: Message) -> None:
        """A message found the mailbox at its bound, or was displaced by a newer one."""
        mailbox = cell.mailbox
        assert mailbox is not None
        error = errors.MailboxFullError(
            f"the mailbox of {cell.label} holds {len(mailbox)} messages ({mailbox.queued_bytes} bytes); "
            f"wait for replies, or raise mailbox_messages or mailbox_bytes"
        )
        if message.caller is not None:
            cell.left(message.caller, message)
        self.refuse(message, error)

    # For contexts

    def ref_to(self, cell: Cell) -> ActorRef[Any]:
        """Return a ref to a hosted actor."""
        return self.system.refs.to_cell(cell)

    def monitor_for(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Have the cell's `on_down` called when `ref` is gone."""
        incarnation = cell.incarnation
        operation = self.system.monitors.watch(ref)

        def ended(_: Any) -> None:
            if operation.error() is None and cell.incarnation == incarnation:
                down: Down = operation.value()
                cell.signal("on_down", down)

        operation.add_callback(ended)


def _start_error(label: str, error: BaseException) -> errors.ActorStartError:
    if type(error) is errors.ActorStartError:
        return error
    start_error = errors.ActorStartError(f"{label} did not start: {in_words(error)}")
    start_error.add_note(f"Remote traceback of the start of {label}:\n{users_traceback(error)}")
    return start_error


def _keys_of(message: Message) -> Keys | None:
    """Return the keyed calls of the message's actor, if it is one of them; None where no key is known yet."""
    keys: Keys | None = None
    if message.options is not None and "key" in message.options and message.cell is not None:
        keys = message.cell.keys
    return keys


def current_cell() -> Cell | None:
    """Return the cell whose code runs, if an actor's does."""
    message = current.message.get()
    return None if message is None else message.cell
