"""What other endpoints send to the actors here: calls, tells, their withdrawal, and the settlement of their routes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.cells.execution import cancelled, timed_out
from actorrt.actors.refs.message import Caller, Message
from actorrt.ids import ActorId, PeerId, short
from actorrt.protocol.envelopes import ASK

if TYPE_CHECKING:
    from actorrt.actors.hosting.callers import RemoteCaller
    from actorrt.actors.hosting.message_outcomes import MessageOutcomes
    from actorrt.actors.hosting.population import Population
    from actorrt.actors.hosting.serving import Serving
    from actorrt.actors.running.runners import Runners
    from actorrt.machine.clock import Clock

EARLY_CANCELS_COUNT: Final = 1024


class Incoming:
    """Takes envelopes in for the actors of one endpoint.

    Args:
        population: the actors.
        outcomes: takes the refusals of messages.
        runners: handle the messages.
        clock: turns the seconds that are left of a call into its deadline.
        make_caller: makes another endpoint a caller, when it calls for the first time.
        local_caller: this endpoint, as the caller of its own actors.
        serving: the streams of the actors.

    Attributes:
        cell: returns the cell of an actor that is hosted here, or None.
    """

    def __init__(
        self,
        population: Population,
        outcomes: MessageOutcomes,
        runners: Runners,
        clock: Clock,
        make_caller: Callable[[PeerId], RemoteCaller],
        local_caller: Caller,
        serving: Serving,
    ) -> None:
        self._population = population
        self._cells = population.by_id
        self._outcomes = outcomes
        self._runners = runners
        self._clock = clock
        self._make_caller = make_caller
        self.local_caller = local_caller
        self.serving = serving
        self.cell = population.cell
        self._callers: dict[PeerId, RemoteCaller] = {}
        self._early_cancels: OrderedDict[tuple[PeerId, int], bool] = OrderedDict()  # True: the deadline has passed

    @property
    def early_cancels_count(self) -> int:
        """How many cancels are remembered whose calls have not come."""
        return len(self._early_cancels)

    def caller(self, peer: PeerId) -> Caller | None:
        """Return the endpoint `peer` as a caller, if it has called."""
        return self._callers.get(peer)

    def is_caller(self, caller: Caller) -> bool:
        """Whether this caller is another endpoint that has called, and is not gone."""
        return any(caller is known for known in self._callers.values())

    def _new_caller(self, peer: PeerId) -> RemoteCaller:
        caller = self._callers[peer] = self._make_caller(peer)
        return caller

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Any]) -> None:
        """Take in an ASK or a TELL."""
        kind, call_id, actor_id, method, body, left, options = envelope
        caller = self._callers.get(peer) or self._new_caller(peer)
        cell = self._cells.get(actor_id)
        if cell is None:
            caller.not_here(call_id, actor_id)
            if kind != ASK:
                self._outcomes.stray_tell(short(actor_id), method, body, buffers)
            return
        self._runners.drain_begins()
        deadline = None if left is None else self._clock.now() + left
        message = Message(caller, call_id, method, body, buffers, deadline, options)
        is_late = self._early_cancels.pop((peer, call_id), None) if self._early_cancels else None
        if is_late is None:
            cell.deliver(message)
        else:  # its cancel overtook it
            message.cell = cell
            cell.turned_away(message)
            self._outcomes.refuse(message, (timed_out if is_late else cancelled)(cell, message, "no"))

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
            if len(self._early_cancels) > EARLY_CANCELS_COUNT:
                self._early_cancels.popitem(last=False)

    def withdraw(self, caller: Caller, actor_id: ActorId, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call of an actor; return whether it was here."""
        cell = self._cells.get(actor_id)
        return cell is not None and cell.execution is not None and cell.execution.withdraw(caller, call_id, is_late)

    def caller_lost(self, peer: PeerId) -> None:
        """Called when the process of a caller is gone: its calls are cancelled."""
        caller = self._callers.pop(peer, None)
        if caller is not None:
            for cell in self._population.with_mailbox():
                cell.withdraw_all(caller)

    def caller_cut_off(self, peer: PeerId) -> None:
        """Called when a caller can't be reached, and hears of that: its calls run on for nobody."""
        caller = self._callers.get(peer)
        if caller is not None:
            caller.cut_off()
