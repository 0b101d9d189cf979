"""One hosted actor: the life of its incarnations, and the way of messages into its mailbox.

An idle cell costs no task and no coroutine: one of the endpoint's `runners` comes when a message arrives. How messages
are handled is in `execution`; what a cell does in each part of its life is in `cell_state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from actorrt import errors, reasons
from actorrt.actors.authority.record import label_of
from actorrt.actors.cells.cell_state import OVER_STATES, STOPPING_STATES, CellState
from actorrt.actors.cells.context import Context
from actorrt.actors.cells.deduplication import Deduplication
from actorrt.actors.cells.execution import Execution
from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.cells.snapshots import NEVER, Snapshots
from actorrt.actors.cells.start import ActorStart
from actorrt.actors.cells.stop import ActorStop, run_on_stop
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Caller, Message, Signal
from actorrt.ids import ActorId, ObjectId
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.cells.blueprint import Blueprint
    from actorrt.actors.cells.cell_host import CellHost
    from actorrt.actors.refs.route import Route
    from actorrt.protocol.hosts import ChildExited, ChildrenRestarted, ChildStarted, ChildWithdrawn


class SupervisorShell(Protocol):
    """The shell of a supervisor: it hears of the children and carries out the decisions about them."""

    def stop(self, manner: Manner) -> None:
        """Stop all children. Idempotent."""

    def end(self) -> None:
        """Called when the supervisor's incarnation is over. Idempotent."""

    def child_started(self, event: ChildStarted) -> None:
        """Called when a child runs for the first time."""

    def child_exited(self, event: ChildExited) -> None:
        """Called when an incarnation of a child has ended."""

    def child_withdrawn(self, event: ChildWithdrawn) -> None:
        """Called when somebody asks a child to stop that waits to be started again."""

    def children_restarted(self, event: ChildrenRestarted) -> None:
        """Called when children that start in turn have started, or one has failed."""

    def child_ids(self) -> Iterable[tuple[ActorId, str]]:
        """Return the actor and the id of each child."""


class Cell:
    """Hosts one incarnation of one actor after another, on the loop of its host. There may be a million in a process.

    Args:
        host: what hosts it.
        actor_id: the actor.
        blueprint: what it is made from.

    Attributes:
        instance: the user's object, while an incarnation runs.
        mailbox, execution: the messages that wait, and those in hand. Both are None before the first message, and after
            the host has freed the mailbox of an idle cell.
        deduplication: the incarnation's keyed calls; None before the first of them.
        failure: why the incarnation before failed.
        shell: carries out the decisions of a supervisor.
        local_route: the route of this process on which messages wait for room, if any do.
        has_distant_children: whether the incarnation has spawned actors that another authority knows.
    """

    __slots__ = (
        "_context",
        "_handled_count",
        "_start",
        "_stop",
        "actor_id",
        "blueprint",
        "deduplication",
        "execution",
        "failure",
        "has_distant_children",
        "host",
        "incarnation",
        "instance",
        "local_route",
        "mailbox",
        "options",
        "shell",
        "snapshots",
        "state",
    )

    def __init__(self, host: CellHost, actor_id: ActorId, blueprint: Blueprint) -> None:
        self.host = host
        self.actor_id = actor_id
        self.blueprint = blueprint
        self.options = options = blueprint.options
        self.state = CellState.STARTING
        self.incarnation = 0
        self.instance: Any = None
        self.mailbox: Mailbox | None = None
        self.execution: Execution | None = None
        self.deduplication: Deduplication | None = None
        self.local_route: Route | None = None
        self.has_distant_children = False
        self.shell: SupervisorShell | None = None
        self.failure: ExitReason | None = None
        self.snapshots = None if options.snapshot_every is None else Snapshots(self, options.snapshot_every)
        self._context: Context | None = None
        self._handled_count = 0  # up to when its execution was dropped
        self._start: ActorStart | None = None  # under way
        self._stop: ActorStop | None = None  # under way, or carried out

    @property
    def label(self) -> str:
        """Its name for people."""
        return label_of(self.options.name, self.blueprint.interface.class_name, self.actor_id)

    @property
    def context(self) -> Context:
        """The actor's own view of its runtime."""
        context = self._context = self._context or Context(self)
        return context

    @property
    def handled_count(self) -> int:
        """How many messages the incarnation has handled."""
        return self._handled_count if self.execution is None else self.execution.handled_count

    # Start

    def begin(self, incarnation: int) -> ActorStart:
        """Begin to start an incarnation: from now on, an order to end it breaks the start off."""
        self.incarnation = incarnation
        self.state = CellState.STARTING
        self._handled_count = 0
        if self.execution is not None:
            self.execution.begin_incarnation()
        if self.deduplication is not None:
            waiting, self.deduplication = self.deduplication.take_waiting(), None
            for message in waiting:  # they waited for a tell that failed the actor; a failed ask has answered them
                self.deliver(message)
        self._stop = None
        start = self._start = ActorStart(self)
        return start

    async def start(self, snapshots: Sequence[ObjectId] = ()) -> None:
        """Carry out the start that has begun: make the instance, restore its state, run `on_start`.

        Then messages are handled. The state is that of the newest of `snapshots` that can be read.

        Raises:
            Exception: whatever the constructor or a hook raises, or what broke the start off; the cell has ended then.
        """
        start = self._start
        assert start is not None
        try:
            self.instance = await start.run(*self.blueprint.arguments(), snapshots)
        except BaseException:
            self._start_failed()
            raise
        self._started()

    def start_at_once(self, incarnation: int) -> None:
        """Do what `begin` and `start` do, for a class whose start never waits; errors as there."""
        start = self.begin(incarnation)
        try:
            self.instance = start.at_once(*self.blueprint.arguments())
        except BaseException:
            self._start_failed()
            raise
        self._started()

    def _start_failed(self) -> None:
        self._start = None
        self.state = CellState.FAILED
        self._end_shell()
        self.context.end()

    def _started(self) -> None:
        self._start = None
        self.state = CellState.RUNNING
        if self.snapshots is not None:
            self.snapshots.begin()
        if self.execution is not None:
            self.execution.schedule()

    def reached_milestone(self, handled_count: int) -> int:
        """Called when `handled_count` messages are handled; return the count at which to call again."""
        if handled_count == 1:
            self.host.life.handled_first(self)
        return NEVER if self.snapshots is None else self.snapshots.reached(handled_count)

    def _break_off_start(self, why: str, reason: ExitReason, within_s: float | None = None) -> None:
        """Have the start that is under way fail; its failure is reported to the authority."""
        if self._start is not None:
            self._start.break_off(errors.ActorStartError(f"{self.label} {why}", reason=reason), within_s)

    # Messages

    def deliver(self, message: Message) -> None:
        """Take a message into the mailbox; it is handled in a later step of the loop, never in this stack."""
        message.cell = self
        if self.state is CellState.ENDED or (
            self._stop is not None and self._stop.is_administrative and self.state in STOPPING_STATES
        ):
            self.turned_away(message)
            self.host.outcomes.refuse(message, self._gone_error("no"))
            return
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self._allocate_mailbox()
        for refused in mailbox.offer(message):
            self.host.outcomes.overflowed(self, refused)
        execution = self.execution
        if execution is not None and not execution.is_scheduled:
            execution.schedule()

    def is_first(self, message: Message, key: str) -> bool:
        """Whether a message with a key, which is in hand now, is to be handled."""
        if self.deduplication is None:
            self.deduplication = Deduplication(self.host.payloads.copy, self.host.outcomes.answer)
        return self.deduplication.is_first(message, key)

    def _required_mailbox(self) -> Mailbox:
        return self._allocate_mailbox() if self.mailbox is None else self.mailbox

    def _allocate_mailbox(self) -> Mailbox:
        options = self.options
        mailbox = self.mailbox = Mailbox(
            options.mailbox_messages, options.mailbox_bytes, options.overflow, self.host.local_caller
        )
        self.execution = Execution(self, mailbox, self._handled_count)
        self.host.mailboxes.allocated(self)
        return mailbox

    def drop_mailbox(self) -> bool:
        """Drop mailbox and execution if they hold nothing that has to be remembered; return whether they are gone."""
        mailbox, execution = self.mailbox, self.execution
        if mailbox is None or execution is None:
            return True
        is_busy = execution.is_scheduled or execution.runner_count or self.local_route is not None
        if is_busy or execution.interrupted or not mailbox.is_blank:
            return False
        self._handled_count = execution.handled_count
        self.mailbox = self.execution = None
        return True

    def signal(self, hook: str, *args: Any) -> None:
        """Have a hook of the actor called in the order of its messages, also if the mailbox is full."""
        self.deliver(Signal(hook, args))

    def left(self, caller: Caller, message: Message) -> None:
        """Called when a message has left the mailbox, or was not let in: let its sender send more.

        Another process is granted more once it has used up a sixteenth of its share, this one whenever it waits.
        """
        if caller is self.host.local_caller:
            self._send_waiting()
            return
        grant = self._required_mailbox().credit(caller, message.size_bytes)
        if grant is not None:
            caller.grant(self.actor_id, *grant)

    def resettled(self, caller: Caller, settlement: int) -> None:
        """Called when a caller has settled its route here anew, and counts from zero: tell it how much it may send."""
        caller.grant(self.actor_id, *self._required_mailbox().settle(caller, settlement))

    def await_room(self, route: Route) -> None:
        """Called when messages of this process wait on the route here: have them sent as soon as there is room."""
        self.local_route = route
        self._required_mailbox().share_here()

    def _send_waiting(self) -> None:
        if self.local_route is not None:
            self.host.send_waiting(self.local_route)

    def turned_away(self, message: Message) -> None:
        """Called when a message of another process does not come into the mailbox: let its sender send more."""
        if message.caller is not None and message.caller is not self.host.local_caller:
            self.left(message.caller, message)

    @property
    def has_room(self) -> bool:
        """Whether a message from this process may come in now, rather than wait on its route."""
        return self.mailbox is None or self.mailbox.has_local_room

    def withdraw_all(self, caller: Caller) -> None:
        """Drop and cancel every call of a caller that is gone."""
        if self.execution is not None:
            self.execution.withdraw_all(caller)
        self._send_waiting()  # others have its share

    # End

    def fail(self, reason: ExitReason) -> None:
        """End this incarnation; the mailbox is kept until the authority has decided."""
        if self.state in OVER_STATES:
            return
        if self.state is CellState.STARTING:
            self._break_off_start(f"failed while it started: {reason}", reason)
            return
        stop = self._stop if self.state in STOPPING_STATES else None
        self.state = CellState.FAILED
        self.failure = reason
        self._drop_instance()
        self.host.life.exited(self, reason, is_administrative=stop is not None and stop.is_administrative)

    def stop(
        self,
        reason: ExitReason,
        within_s: float | None,
        *,
        is_administrative: bool,
        manner: Manner = Manner.ORDERLY,
    ) -> None:
        """Handle the messages in the mailbox within `within_s` seconds, refuse the rest, and end with `reason`.

        Unless `manner` is orderly, messages in hand are broken off, and no message of the mailbox is handled.
        """
        if self.state is CellState.ENDED or self.state in STOPPING_STATES:
            return
        if self.state is CellState.STARTING:
            self._break_off_start(f"was stopped while it started: {reason}", reason, within_s)
            return
        stop = self._stop = ActorStop(reason, is_administrative=is_administrative)
        if self.state is not CellState.RUNNING:
            self._end(stop, reason)
            return
        self.state = CellState.STOPPING
        if self.shell is not None:
            self.shell.stop(manner)  # before anything else: a message in hand may wait for a child
        if manner is not Manner.ORDERLY:
            self._cut_short(manner)
        self.finish_when_idle()
        if within_s is not None and self.state in STOPPING_STATES:
            stop.timer = self.host.loop.call_later(within_s, self._stop_overdue, stop)

    def _cut_short(self, manner: Manner) -> None:
        """Break off the messages in hand. Callers are told of a restart now, and of an end for good when it happens."""
        self.state, self.failure = CellState.CUT, None
        self._break_off_messages()
        if manner is Manner.FOR_RESTART:
            self.host.life.settle_interrupted(self)

    def _break_off_messages(self) -> None:
        if self.execution is not None:
            self.execution.break_off(self._gone_error("maybe"))

    def _stop_overdue(self, stop: ActorStop) -> None:
        stop.timer = None
        if self.state in STOPPING_STATES:
            what = "drain" if self.state is CellState.STOPPING else "stop"
            detail = f"{stop.reason.detail}, and its {self.options.shutdown_s:g} s to {what} were over"
            self._end(stop, replace(stop.reason, detail=detail))

    def finish_when_idle(self) -> None:
        """Finish the incarnation, which is stopping, if no message is in hand or left to be handled."""
        execution = self.execution
        if execution is not None and execution.runner_count:
            return
        if self.state is CellState.STOPPING and execution is not None and (execution.is_scheduled or self.mailbox):
            return
        stop = self._stop
        assert stop is not None
        if self.blueprint.stops_at_once:
            self._end(stop, stop.reason)
            return
        self.state = CellState.FINISHING
        instance, self.instance = self.instance, None
        self.host.scope.start(self._finish(stop, instance), f"{self.label}.on_stop")

    async def _finish(self, stop: ActorStop, instance: Any) -> None:
        reason = await run_on_stop(self, instance, stop.reason, may_return=not stop.is_administrative)
        if self.is_finishing:
            self._end(stop, reason)

    @property
    def is_finishing(self) -> bool:
        """Whether only `on_stop` is left to run."""
        return self.state is CellState.FINISHING

    def kill(self) -> None:
        """End at once: coroutines are cancelled, and no message of the mailbox is handled."""
        if self.state is CellState.STARTING:
            self._break_off_start("was killed while it started", reasons.KILLED, 0.0)
        elif self.state is not CellState.ENDED:
            stop = self._stop = self._stop or ActorStop(reasons.KILLED, is_administrative=True)
            stop.reason, stop.is_administrative = reasons.KILLED, True
            self._end(stop, reasons.KILLED)

    def _end(self, stop: ActorStop, reason: ExitReason) -> None:
        had_failed = self.state is CellState.FAILED
        self.failure = self.failure if had_failed else None
        self.state = CellState.ENDED if stop.is_administrative else CellState.FAILED
        self._drop_instance()
        if not had_failed:
            self.host.life.exited(self, reason, is_administrative=stop.is_administrative)

    def _drop_instance(self) -> None:
        self.instance = None
        self._end_shell()
        self.context.end()
        if self.snapshots is not None:
            self.snapshots.end()
        if self._stop is not None and self._stop.timer is not None:
            self._stop.timer.cancel()
        self._break_off_messages()

    def _end_shell(self) -> None:
        if self.shell is not None:
            self.shell.end()
            self.shell = None

    def take_interrupted(self) -> Sequence[Message]:
        """Return the calls that were in hand when the last incarnation ended, and forget them."""
        return () if self.execution is None else self.execution.take_interrupted()

    def take_queued(self) -> Sequence[Message]:
        """Remove and return the messages that wait: in the mailbox, or for a call with the same key."""
        waiting = [] if self.deduplication is None else self.deduplication.take_waiting()
        return waiting if self.mailbox is None else [*waiting, *self.mailbox.take_all()]

    def buried(self) -> None:
        """Called when no message comes any more: break the reference cycles, so that the memory is freed now."""
        if self.execution is None or self.execution.is_at_rest:
            self.execution = self._context = None

    def _gone_error(self, executed: errors.Executed) -> errors.ActorDiedError:
        reason = None if self._stop is None else self._stop.reason
        return errors.ActorDiedError(f"{self.label} is stopping", reason=reason, executed=executed)


def current_cell() -> Cell | None:
    """Return the cell of the actor whose code runs; None outside actors."""
    message = current.message.get()
    return None if message is None else message.cell
