"""What all cells of one endpoint share: the endpoint's services, and the listeners of events in cells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from actorrt.actors.refs.message import Caller, Message
from actorrt.actors.running.runners import Runners
from actorrt.actors.wire.payload import Payloads
from actorrt.clock import Clock
from actorrt.errors import CallError
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.cells.crash_notes import CrashNotes
    from actorrt.actors.cells.snapshots import SnapshotKeeper
    from actorrt.actors.refs.current import BoundEndpoint
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.refs.route import Route


class OutcomeSink(Protocol):
    """Takes the outcome of each message to its caller."""

    def succeed(self, message: Message, result: Any) -> None:
        """Called when a method returned: for its caller, and for those who call with its key."""

    def answer(self, message: Message, result: Any) -> None:
        """Called when a method returned whose message has no options: for its caller."""

    def fail(self, message: Message, error: BaseException) -> None:
        """Called when a method raised."""

    def refuse(self, message: Message, error: CallError) -> None:
        """Called when the runtime did not handle a message, or not to its end."""

    def unopened(self, message: Message, error: Exception) -> None:
        """Called when a method could not be given its arguments, so that it did not run."""

    def overflowed(self, cell: Cell, message: Message) -> None:
        """Called when a message found the mailbox at its bound, or was displaced by a newer one."""


class LifeEvents(Protocol):
    """Hears of the life of cells, and tells their authorities."""

    def exited(self, cell: Cell, reason: ExitReason, *, is_administrative: bool) -> None:
        """Called when an incarnation has ended."""

    def handled_first(self, cell: Cell) -> None:
        """Called when an incarnation has handled its first message."""

    def settle_interrupted(self, cell: Cell, delay_s: float = 0.0) -> None:
        """Called when it is certain that a cell starts again: tell those whose calls were in hand when it ended."""


class MailboxBound(Protocol):
    """Bounds how many idle cells keep a mailbox."""

    def allocated(self, cell: Cell) -> None:
        """Called when a cell has allocated its mailbox: others may have to drop theirs."""


class Crowds(Protocol):
    """Looks for call cycles."""

    def suspect(self, cell: Cell) -> None:
        """Called when messages wait behind those in hand in a cell."""


class StreamServer(Protocol):
    """Serves methods that yield."""

    def serve(self, message: Message, generator: Any) -> Coroutine[Any, Any, None]:
        """Send what a generator yields, as the caller takes it."""


class Watches(Protocol):
    """Watches other actors for an actor."""

    def monitor(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Have the actor's `on_down` called when another is gone; see `Context.monitor`."""

    def link(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Link a hosted actor to another; see `Context.link`."""

    def unlink(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Undo a link; see `Context.unlink`."""


@dataclass(slots=True, eq=False, kw_only=True)
class CellHost:
    """What hosts the cells of one endpoint.

    Attributes:
        endpoint: for code of actors; see `refs.current`.
        loop, scope, clock: where cells run, who owns their tasks, and the time.
        payloads: opens the arguments of messages.
        local_caller: this endpoint, as the caller of its own actors.
        runners: handle the messages.
        life, outcomes, mailboxes, crowds: hear of what happens in cells. `life` is set when there is one.
        serving: serves methods that yield.
        snapshots: keeps the snapshots of actors.
        crash_notes: note the calls in hand where the notes outlive the process; None in a process without.
        watches: monitors and links.
        ref_to: returns a ref to a hosted actor.
        find_sibling: finds another child of a hosted actor's supervisor.
        send_waiting: sends what waits on a route of this process, as far as there is room.
    """

    endpoint: BoundEndpoint
    loop: asyncio.AbstractEventLoop
    scope: Scope
    clock: Clock
    payloads: Payloads
    local_caller: Caller
    runners: Runners
    life: LifeEvents = field(init=False)
    outcomes: OutcomeSink
    mailboxes: MailboxBound
    crowds: Crowds
    serving: StreamServer
    snapshots: SnapshotKeeper
    crash_notes: CrashNotes | None
    watches: Watches
    ref_to: Callable[[Cell], ActorRef[Any]]
    find_sibling: Callable[[Cell, str], Operation[ActorRef[Any]]]
    send_waiting: Callable[[Route], None]
