"""One hosted actor: its instance, its mailbox, and the handling of one message after the other.

An idle cell costs no task and no coroutine: one of the endpoint's `runners` comes when a message arrives. It handles
one message at a time, unless the actor's `max_concurrency` lets that many coroutines interleave. See `cell_state`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors, reasons
from actorrt.actors.authority.record import label_of
from actorrt.actors.cells.cell_state import STOPPING_STATES, CellState
from actorrt.actors.cells.context import Context
from actorrt.actors.cells.deduplication import Keys
from actorrt.actors.cells.execution import Turns
from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.cells.runner import Left, Rest, Runner
from actorrt.actors.cells.snapshots import NEVER, Snapshots
from actorrt.actors.cells.start import Birth
from actorrt.actors.cells.stop import run_on_stop
from actorrt.actors.refs.message import Caller, Message, Signal
from actorrt.ids import ActorId, ObjectId
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.cells.blueprint import Blueprint
    from actorrt.actors.hosting.host import Host
    from actorrt.actors.refs.route import Route
    from actorrt.actors.supervisors.shell import Shell

STEP_BUDGET: Final = 256


class Cell:
    """Hosts one incarnation of one actor after another, on the loop of its host. There may be a million in a process.

    Args:
        host: what hosts it; hears of its end.
        actor_id: the actor.
        blueprint: what it is made from.

    Attributes:
        instance: the user's object, while an incarnation runs.
        mailbox, turns: what waits and what is in hand; None while the cell is *cold*: idle for long enough that its
            host wants the memory back.
        is_scheduled: whether it is in line for a runner.
        keys: the incarnation's keyed calls, once there is one.
        handled_count: how many messages the incarnation has handled.
        milestone: at how many `reached_milestone` is called.
        failure: why the incarnation before failed.
        victims: what was in hand when the actor failed; told when its fate is known.
        shell: what a supervisor's incarnation carries its decisions out with.
        local_route: the route of this process on which messages wait for room, if any do.
    """

    __slots__ = (
        "_birth",
        "_context",
        "_exit",
        "_is_administrative",
        "_stop_timer",
        "actor_id",
        "blueprint",
        "failure",
        "handled_count",
        "has_distant_children",
        "host",
        "incarnation",
        "instance",
        "is_scheduled",
        "keys",
        "local_route",
        "mailbox",
        "milestone",
        "options",
        "shell",
        "snapshots",
        "state",
        "turns",
        "victims",
    )

    def __init__(self, host: Host, actor_id: ActorId, blueprint: Blueprint) -> None:
        self.host = host
        self.actor_id = actor_id
        self.blueprint = blueprint
        self.options = options = blueprint.options
        self.state = CellState.STARTING
        self.incarnation = 0
        self.instance: Any = None
        self._context: Context | None = None
        self.mailbox: Mailbox | None = None
        self.turns: Turns | None = None
        self.keys: Keys | None = None
        self.local_route: Route | None = None
        self.handled_count = 0
        self.milestone = 1
        self.has_distant_children = False
        self.shell: Shell | None = None
        self.is_scheduled = False
        self._exit: ExitReason | None = None
        self._is_administrative = False
        self._stop_timer: asyncio.TimerHandle | None = None
        self._birth: Birth | None = None
        self.failure: ExitReason | None = None
        self.snapshots = None if options.snapshot_every is None else Snapshots(self, options.snapshot_every)
        self.victims: Sequence[Message] = ()

    @property
    def label(self) -> str:
        """Its name for people."""
        return label_of(self.options.name, self.blueprint.interface.class_name, self.actor_id)

    @property
    def context(self) -> Context:
        """What the actor knows of itself."""
        context = self._context = self._context or Context(self)
        return context

    # Start

    def begin(self, incarnation: int) -> Birth:
        """An incarnation is being started from now on: what is to end it breaks the start off."""
        self.incarnation = incarnation
        self.state = CellState.STARTING
        self.handled_count, self.milestone = 0, 1
        waiting, self.keys = [] if self.keys is None else self.keys.take_waiting(), None
        for message in waiting:  # for a tell that failed the last incarnation; an ask that did has told them already
            self.deliver(message)
        self._exit = None
        self._is_administrative = False
        birth = self._birth = Birth(self)
        return birth

    async def start(self, snapshots: Sequence[ObjectId] = ()) -> None:
        """Go through with the start that has begun: make the instance, put back its state, run `on_start`.

        Messages follow then. The state is that of the newest of `snapshots` that can be read.

        Raises:
            Exception: whatever the constructor or a hook raises, or what broke the start off; the cell has ended then.
        """
        birth = self._birth
        assert birth is not None
        try:
            self.instance = await birth.run(*self.blueprint.arguments(), snapshots)
        except BaseException:
            self._birth_failed()
            raise
        self._born()

    def start_at_once(self, incarnation: int) -> None:
        """Do what `begin` and `start` do, for a class whose start never waits; errors as there."""
        birth = self.begin(incarnation)
        try:
            self.instance = birth.at_once(*self.blueprint.arguments())
        except BaseException:
            self._birth_failed()
            raise
        self._born()

    def _birth_failed(self) -> None:
        self._birth = None
        self.state = CellState.FAILED
        self._end_shell()
        self.context.end()

    def _born(self) -> None:
        self._birth = None
        self.state = CellState.RUNNING
        if self.snapshots is not None:
            self.snapshots.begin()
        if self.mailbox is not None:
            self.schedule()

    def reached_milestone(self) -> None:
        """As many messages are handled as `milestone` says."""
        if self.handled_count == 1:
            self.host.handled_first(self)
        self.milestone = NEVER if self.snapshots is None else self.snapshots.reached(self.handled_count)

    def _break_off_start(self, why: str, reason: ExitReason | None = None) -> None:
        """Have the start that is under way fail; that is how the authority hears of it."""
        if self._birth is not None:
            self._birth.break_off(errors.ActorStartError(f"{self.label} {why}", reason=reason))

    # Messages

    def deliver(self, message: Message) -> None:
        """Take a message into the mailbox; it is handled in a later step of the loop, never in this stack."""
        message.cell = self
        if self.state is CellState.ENDED or (self._is_administrative and self.state in STOPPING_STATES):
            self.turned_away(message)
            self.host.refuse(message, self._gone_error("no"))
            return
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self._warm_up()
        for refused in mailbox.offer(message):
            self.host.overflowed(self, refused)
        if not self.is_scheduled:
            self.schedule()

    def is_first(self, message: Message, key: str) -> bool:
        """Whether a message with a key, which is in hand now, is to be handled."""
        if self.keys is None:
            self.keys = Keys(self.host)
        return self.keys.is_first(message, key)

    def _warmed_up(self) -> Mailbox:
        return self._warm_up() if self.mailbox is None else self.mailbox

    def _warm_up(self) -> Mailbox:
        options = self.options
        mailbox = self.mailbox = Mailbox(
            options.mailbox_messages, options.mailbox_bytes, options.overflow, self.host.local_caller
        )
        self.turns = Turns(self, mailbox)
        self.host.warmed_up(self)
        return mailbox

    def cool_down(self) -> bool:
        """Let go of mailbox and turns, if nothing is in them that has to be remembered; return whether that is so."""
        mailbox, turns = self.mailbox, self.turns
        if mailbox is None or turns is None:
            return True
        is_busy = self.is_scheduled or turns.runner_count or self.local_route is not None
        if is_busy or not mailbox.is_blank:
            return False
        self.mailbox = self.turns = None
        return True

    def signal(self, hook: str, *args: Any) -> None:
        """Let a hook of the actor run, in the order of its messages, whatever waits for it."""
        self.deliver(Signal(hook, args))

    def schedule(self) -> None:
        """Have a runner handle what waits, unless one is going to, or all that this cell may have are at work."""
        state, turns = self.state, self.turns
        if self.is_scheduled or turns is None or not (state is CellState.RUNNING or state is CellState.STOPPING):
            return
        if not turns.runner_count or turns.runner_count < self.options.max_concurrency:
            self.is_scheduled = True
            self.host.runners.schedule(self)
        else:
            self.host.deadlocks.suspect(self)

    def work(self, runner: Runner) -> Left | None:
        """Handle what waits in the mailbox, up to a message that waits for something; return what that leaves.

        Of a mailbox that is long only the beginning: others on the loop have their turn before the rest.
        """
        mailbox, turns = self.mailbox, self.turns
        assert mailbox is not None
        assert turns is not None
        self.is_scheduled = False
        if turns.runner_count >= self.options.max_concurrency:
            return None
        queue, local_caller = mailbox.queue, self.host.local_caller
        assert runner.task is not None
        is_cancelled = runner.task.cancelling
        budget = STEP_BUDGET
        left = None
        turns.runner_count += 1
        try:
            while budget and queue and (self.state is CellState.RUNNING or self.state is CellState.STOPPING):
                budget -= 1
                message = mailbox.take()
                caller = message.caller
                if caller is not None and (caller is not local_caller or self.local_route is not None):
                    self.left(caller, message)
                left = turns.handle(message, runner)
                if left is not None:
                    return left
                if is_cancelled():  # by a method that is over: it must not strike the next
                    break
        finally:
            if left is None:
                self.rested()
        return None

    def go_on(self, runner: Runner) -> Left | None:
        """What `work` had returned has ended: do as it does."""
        assert self.turns is not None
        self.turns.runner_count -= 1
        return self.work(runner)

    def resume(self, runner: Runner) -> Left | None:
        """What a coroutine waited for that holds a runner is done: let it go on, and then do as `work` does."""
        assert self.turns is not None
        try:
            left = self.turns.resume(runner)
        except BaseException:
            self.rested()
            raise
        return left or self.go_on(runner)

    def taken_over(self, runner: Runner) -> Rest:
        """A task is cancelled while a coroutine holds its runner: return what is left, for the task to drive."""
        assert self.turns is not None
        return self.turns.taken_over(runner)

    def rested(self) -> None:
        """A runner is no longer at work here."""
        mailbox, turns = self.mailbox, self.turns
        assert turns is not None
        turns.runner_count -= 1
        if mailbox is not None and mailbox.queue:
            self.schedule()
        if self.state is CellState.STOPPING or self.state is CellState.CUT:
            self._finish_when_idle()

    def waits(self) -> None:
        """A coroutine waits for something: another message may have its turn, if the options let it."""
        if self.mailbox:
            self.schedule()

    def left(self, caller: Caller, message: Message) -> None:
        """A message of `caller` is out of the mailbox, or was not let in: let its sender send more.

        Another process is told of that once it has used up a sixteenth of its share, this one whenever it waits.
        """
        if caller is self.host.local_caller:
            self._made_room()
            return
        grant = self._warmed_up().credit(caller, message.size_bytes)
        if grant is not None:
            caller.grant(self.actor_id, *grant)

    def resettled(self, caller: Caller, settlement: int) -> None:
        """A caller has found its way here anew, and counts what it sends from now on: tell it how much that may be."""
        caller.grant(self.actor_id, *self._warmed_up().settle(caller, settlement))

    def await_room(self, route: Route) -> None:
        """Messages of this process wait on the route to this actor: have them sent as soon as there is room."""
        self.local_route = route
        self._warmed_up().share_here()

    def _made_room(self) -> None:
        if self.local_route is not None:
            self.host.made_room(self.local_route)

    def turned_away(self, message: Message) -> None:
        """A message of another process is not going to be taken from the mailbox: let its sender send what waits."""
        if message.caller is not None and message.caller is not self.host.local_caller:
            self.left(message.caller, message)

    @property
    def has_room(self) -> bool:
        """Whether a message from this process may come in now, rather than wait on its route."""
        return self.mailbox is None or self.mailbox.has_local_room

    def withdraw_all(self, caller: Caller) -> None:
        """Drop and cancel every call of a caller that is gone."""
        if self.turns is not None:
            self.turns.withdraw_all(caller)
        self._made_room()  # others have its share

    # End

    def fail(self, reason: ExitReason) -> None:
        """End this incarnation; the mailbox waits for what the authority decides."""
        if self.state in (CellState.FAILED, CellState.ENDED):
            return
        if self.state is CellState.STARTING:
            self._break_off_start(f"failed while it started: {reason}", reason)
            return
        was_stopping = self.state in STOPPING_STATES
        self.state = CellState.FAILED
        self.failure = reason
        self._drop_instance()
        self.host.exited(self, reason, is_administrative=was_stopping and self._is_administrative)

    def stop(
        self,
        reason: ExitReason,
        within_s: float | None,
        *,
        is_administrative: bool,
        manner: Manner = Manner.ORDERLY,
    ) -> None:
        """Finish what is in the mailbox, within `within_s` seconds, refuse the rest, and end with `reason`.

        In another manner than the orderly one, what is in hand is broken off, and nothing of the mailbox is handled.
        """
        if self.state is CellState.ENDED or self.state in STOPPING_STATES:
            return
        if self.state is CellState.STARTING:
            self._break_off_start(f"was stopped while it started: {reason}", reason)
            return
        self._exit = reason
        self._is_administrative = is_administrative
        if self.state is not CellState.RUNNING:
            self._end(reason)
            return
        self.state = CellState.STOPPING
        if self.shell is not None:
            self.shell.stop(manner)  # before anything else: what is in hand may wait for a child
        if manner is not Manner.ORDERLY:
            self._cut_short(manner)
        self._finish_when_idle()
        if within_s is not None and self.state in STOPPING_STATES:
            self._stop_timer = self.host.loop.call_later(within_s, self._stop_overdue)

    def _cut_short(self, manner: Manner) -> None:
        """Break off what is in hand. Those who called hear of a restart now, of an end for good when it is one."""
        self.state, self.failure = CellState.CUT, None
        self._break_off_turns()
        if manner is Manner.FOR_RESTART:
            self.host.settle_victims(self)

    def _break_off_turns(self) -> None:
        if self.turns is not None:
            self.victims = [*self.victims, *self.turns.break_off(self._gone_error("maybe"))]

    def _stop_overdue(self) -> None:
        self._stop_timer = None
        if self.state in STOPPING_STATES:
            reason = self._exit or reasons.SHUTDOWN
            what = "drain" if self.state is CellState.STOPPING else "stop"
            detail = f"{reason.detail}, and its {self.options.shutdown_s:g} s to {what} were over"
            self._end(replace(reason, detail=detail))

    def _finish_when_idle(self) -> None:
        if self.turns is not None and self.turns.runner_count:
            return
        if self.state is CellState.STOPPING and (self.is_scheduled or self.mailbox):
            return
        if self.blueprint.stops_at_once:
            self._end(self._exit or reasons.NORMAL)
            return
        self.state = CellState.FINISHING
        instance, self.instance = self.instance, None
        self.host.scope.start(self._finish(instance), f"{self.label}.on_stop")

    async def _finish(self, instance: Any) -> None:
        reason = self._exit or reasons.NORMAL
        reason = await run_on_stop(self, instance, reason, may_return=not self._is_administrative)
        if self.is_finishing:
            self._end(reason)

    @property
    def is_finishing(self) -> bool:
        """Whether nothing is left to do but to run `on_stop`."""
        return self.state is CellState.FINISHING

    def kill(self) -> None:
        """End at once; what runs as a coroutine is cancelled, and nothing is drained."""
        if self.state is CellState.STARTING:
            self._break_off_start("was killed while it started", reasons.KILLED)
        elif self.state is not CellState.ENDED:
            self._is_administrative = True
            self._exit = reasons.KILLED
            self._end(reasons.KILLED)

    def _end(self, reason: ExitReason) -> None:
        had_failed = self.state is CellState.FAILED
        self.failure = self.failure if had_failed else None
        self.state = CellState.ENDED if self._is_administrative else CellState.FAILED
        self._drop_instance()
        if not had_failed:
            self.host.exited(self, reason, is_administrative=self._is_administrative)

    def _drop_instance(self) -> None:
        self.instance = None
        self._end_shell()
        self.context.end()
        if self.snapshots is not None:
            self.snapshots.end()
        if self._stop_timer is not None:
            self._stop_timer.cancel()
        self._break_off_turns()

    def _end_shell(self) -> None:
        if self.shell is not None:
            self.shell.end()
            self.shell = None

    def take_victims(self) -> Sequence[Message]:
        """Give up the calls that were in hand when the actor failed."""
        victims, self.victims = self.victims, ()
        return victims

    def take_queued(self) -> Sequence[Message]:
        """Give up the messages that still wait here: for others of their key, or for their turn."""
        waiting = [] if self.keys is None else self.keys.take_waiting()
        return waiting if self.mailbox is None else [*waiting, *self.mailbox.take_all()]

    def buried(self) -> None:
        """Nothing more comes here: give the memory back now, which in cycles waits for the next full collection."""
        if not self.is_scheduled and (self.turns is None or not self.turns.runner_count):
            self.turns = self._context = None

    def _gone_error(self, executed: errors.Executed) -> errors.ActorDiedError:
        return errors.ActorDiedError(f"{self.label} is stopping", reason=self._exit, executed=executed)
