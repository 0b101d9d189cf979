"""The services of an endpoint that all its cells share, and the listeners of events in cells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from actorrt.actors.refs.message import Caller, Message
from actorrt.actors.running.runners import Runners
from actorrt.actors.wire.payload import Payloads
from actorrt.errors import CallError
from actorrt.machine.clock import Clock
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
        """Called when a method returned: answer its caller, and all callers with its key."""

    def answer(self, message: Message, result: Any) -> None:
        """Called when a method returned whose message has no options: answer its caller."""

    def fail(self, message: Message, error: BaseException) -> None:
        """Called when a method raised."""

    def refuse(self, message: Message, error: CallError) -> None:
        """Called when the runtime did not handle a message, or not to its end."""

    def unopened(self, message: Message, error: Exception) -> None:
        """Called when the arguments of a message could not be opened, so that its method did not run."""

    def overflowed(self, cell: Cell, message: Message) -> None:
        """Called when a message found the mailbox at its bound, or was displaced by a newer one."""


class LifeEvents(Protocol):
    """Hears of the life of cells, and tells their authorities."""

    def exited(self, cell: Cell, reason: ExitReason, *, is_administrative: bool) -> None:
        """Called when an incarnation has ended."""

    def handled_first(self, cell: Cell) -> None:
        """Called when an incarnation has handled its first message."""

    def settle_interrupted(self, cell: Cell, delay_s: float = 0.0) -> None:
        """Called when it is certain that a cell starts again: tell the callers of the interrupted calls."""


class MailboxBound(Protocol):
    """Bounds how many idle cells keep a mailbox."""

    def allocated(self, cell: Cell) -> None:
        """Called when a cell has allocated its mailbox: others may have to drop theirs."""


class DeadlockDetector(Protocol):
    """Looks for call cycles."""

    def suspect(self, cell: Cell) -> None:
        """Called when messages wait behind those in hand in a cell."""


class StreamServer(Protocol):
    """Serves methods that yield."""

    def serve(self, message: Message, generator: Any) -> Coroutine[Any, Any, None]:
        """Send the items of a generator as the caller takes them."""


class Watches(Protocol):
    """The monitors and links of actors."""

    def monitor(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Have the actor's `on_down` called when another is gone; see `Context.monitor`."""

    def link(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Link a hosted actor to another; see `Context.link`."""

    def unlink(self, cell: Cell, ref: ActorRef[Any]) -> None:
        """Undo a link; see `Context.unlink`."""


@dataclass(slots=True, eq=False, kw_only=True)
class CellHost:
    """The services for the cells of one endpoint.

    Attributes:
        endpoint: for code of actors; see `refs.current`.
        loop, scope, clock: the loop of the cells, the owner of their tasks, the time.
        payloads: opens the arguments of messages.
        local_caller: this endpoint, as the caller of its own actors.
        runners: handle the messages.
        life, outcomes, mailboxes, deadlocks: the listeners of events in cells. `life` is set by the host itself.
        serving: serves methods that yield.
        snapshots: keeps the snapshots of actors.
        crash_notes: notes the calls in hand in a file that outlives the process; None in a process without.
        watches: monitors and links.
        ref_to: returns a ref to a hosted actor.
        find_sibling: finds another child of a hosted actor's supervisor.
        send_waiting: sends the messages that wait on a route of this process, as far as there is room.
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
    deadlocks: DeadlockDetector
    serving: StreamServer
    snapshots: SnapshotKeeper
    crash_notes: CrashNotes | None
    watches: Watches
    ref_to: Callable[[Cell], ActorRef[Any]]
    find_sibling: Callable[[Cell, str], Operation[ActorRef[Any]]]
    send_waiting: Callable[[Route], None]
