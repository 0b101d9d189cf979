"""One hosted actor: its instance, its mailbox, and the handling of one message after the other.

    starting -> running -> stopping -> ended
                   |           |
                   +-> failed <-+    (kept, mailbox and all, until its authority decides: started anew, or ended)

An idle cell costs no task and no coroutine: one of the endpoint's `runners` comes when a message arrives, and handles
what waits. Messages are handled one at a time unless the actor's `max_concurrency` lets that many coroutines
interleave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors, reasons
from actorrt.actors import current
from actorrt.actors.births import Birth, hook
from actorrt.actors.context import Context
from actorrt.actors.credit import Ledgers
from actorrt.actors.interface import Interface, MethodKind, of_class
from actorrt.actors.keys import Keys
from actorrt.actors.mailbox import Caller, Mailbox, Message
from actorrt.actors.options import ActorOptions
from actorrt.actors.payload import reason_of
from actorrt.actors.runners import Runner
from actorrt.actors.snapshots import NEVER, Snapshots
from actorrt.actors.turns import SIGNAL_PREFIX, Turns, cancelled, timed_out
from actorrt.ids import ActorId, JobId, ObjectId
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.control import Endpoint
    from actorrt.actors.host import Host
    from actorrt.actors.ref import ActorRef

STEP_BUDGET: Final = 256


class CellState(Enum):
    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    FAILED = auto()
    ENDED = auto()


class Cell:
    """Hosts one incarnation of one actor after another, on the loop of its host.

    Args:
        host: what hosts it; hears of its end.
        actor_id: the actor.
        cls: the actor's class.
        options: how it is bounded and kept.
        label: its name for people.
        authority: who decides on its failures.
    """

    def __init__(
        self,
        host: Host,
        actor_id: ActorId,
        cls: type,
        options: ActorOptions,
        label: str,
        authority: Endpoint,
    ) -> None:
        self.host = host
        self.actor_id = actor_id
        self.label = label
        self.options = options
        self.authority = authority
        self.incarnation = 0
        self.parent_ref: ActorRef[Any] | None = None
        self.is_supervisor = False
        self.has_distant_children = False
        self.on_child_exited: Callable[[dict[str, Any]], None] | None = None
        self.on_child_withdrawn: Callable[[dict[str, Any]], None] | None = None
        self.job = JobId(b"")
        self.namespace = "default"
        self.state = CellState.STARTING
        self._ledgers: Ledgers[Caller] = Ledgers(options.mailbox_messages, options.mailbox_bytes)
        self.keys = Keys(host.payloads)
        self.mailbox = Mailbox(options.mailbox_messages, options.mailbox_bytes, options.overflow)
        self.context = Context(self)
        self._class: Any = cls
        self.interface: Interface = of_class(cls)
        self._methods = self.interface.methods
        self.turns: Turns = Turns(self)
        self._is_scheduled = False
        self._exit: ExitReason | None = None
        self._is_administrative = False
        self._stop_timer: asyncio.TimerHandle | None = None
        self._birth: Birth | None = None
        every = options.snapshot_every
        self.failure: ExitReason | None = None  # of the incarnation that failed last
        self.snapshots = None if every is None else Snapshots(self, every)
        self.victims: list[Message] = []  # in hand when the actor failed; told when its fate is known

    # Start

    async def start(
        self, incarnation: int, args: tuple[Any, ...], kwargs: dict[str, Any], snapshots: Sequence[ObjectId] = ()
    ) -> None:
        """Make the instance, put back the state of the newest of `snapshots`, and run `on_start`; then messages follow.

        Raises:
            Exception: whatever the constructor or the hook raises; the cell has ended then.
        """
        self._begin_incarnation(incarnation)
        self._birth = Birth(self, self._class)
        try:
            self.turns.instance = await self._birth.run(args, kwargs, snapshots)
        except BaseException:
            self.state = CellState.FAILED
            self.context.end()
            raise
        finally:
            self._birth = None
        self.state = CellState.RUNNING
        if self.snapshots is not None:
            self.snapshots.begin()
        self.schedule()

    def reached_milestone(self) -> None:
        """As many messages are handled as `turns` was to tell of."""
        count = self.turns.handled_count
        if count == 1:
            self.host.handled_first(self)
        self.turns.milestone = NEVER if self.snapshots is None else self.snapshots.reached(count)

    def _begin_incarnation(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.state = CellState.STARTING
        self.turns.handled_count, self.turns.milestone = 0, 1
        self.keys = Keys(self.host.payloads)
        self._exit = None
        self._is_administrative = False

    def _break_off_start(self, why: str, reason: ExitReason | None = None) -> None:
        """Have the start that is under way fail; that is how the authority hears of it."""
        if self._birth is not None:
            self._birth.break_off(errors.ActorStartError(f"{self.label} {why}", reason=reason))

    # Messages

    def deliver(self, message: Message) -> None:
        """Take a message into the mailbox; it is handled in a later step of the loop, never in this stack."""
        if self.state is CellState.ENDED or (self.state is CellState.STOPPING and self._is_administrative):
            self.host.refuse(message, self._gone_error("no"))
            return
        message.cell = self
        options = message.options
        if options is not None and "key" in options and not self.keys.is_first(message, options["key"]):
            return
        for refused in self.mailbox.offer(message):
            self.host.overflowed(self, refused)
        if message.chain:
            self.turns.suspects.arrived(message)
        self.schedule()

    def signal(self, hook: str, *args: Any) -> None:
        """Let a hook of the actor run, in the order of its messages."""
        self.deliver(Message(None, 0, SIGNAL_PREFIX + hook, args, (), None, None))

    def schedule(self) -> None:
        """Have a runner handle what waits, unless one is going to, or all that this cell may have are at work."""
        if not self._is_scheduled and self.turns.runner_count < self.options.max_concurrency and self._is_serving:
            self._is_scheduled = True
            self.host.runners.schedule(self)

    @property
    def _is_serving(self) -> bool:
        return self.state is CellState.RUNNING or self.state is CellState.STOPPING

    def handle_plain(self) -> bool:
        """Handle plain methods with plain arguments, up to the first message that needs more.

        Returns:
            Whether there is such a message.
        """
        queue = self.mailbox.queue
        budget = STEP_BUDGET
        while queue and self._is_serving and self.turns.runner_count < self.options.max_concurrency:
            message = queue[0]
            spec = self._methods.get(message.method)
            if spec is None or spec.kind is not MethodKind.PLAIN or type(message.body) is not list or not budget:
                return True
            try:
                self.turns.begin(self._take())
            except KeyboardInterrupt:  # what waits behind the interrupted method still has its turn
                self._is_scheduled = False
                self.schedule()
                raise
            budget -= 1
        self._is_scheduled = False
        if self.state is CellState.STOPPING:
            self._finish_when_idle()
        return False

    async def work(self, runner: Runner) -> None:
        """Handle what waits in the mailbox, in the runner's task."""
        self._is_scheduled = False
        queue = self.mailbox.queue
        budget = STEP_BUDGET
        self.turns.runner_count += 1
        try:
            while queue and self._is_serving:
                message = self._take()
                coroutine = self.turns.begin(message)
                if coroutine is not None:
                    await self.turns.run(runner, message, coroutine)
                budget -= 1
                if budget == 0:
                    budget = STEP_BUDGET
                    self.host.runners.stay_behind(runner)
                    await asyncio.sleep(0)  # others on this loop have their turn
        finally:
            self.turns.runner_count -= 1
            if queue:
                self.schedule()  # only where the runner was interrupted
            if self.state is CellState.STOPPING:
                self._finish_when_idle()

    def waits(self, runner: Runner) -> None:
        """The coroutine that the runner drives waits: others may go on, in this cell too if its options let them."""
        if self.mailbox.queue:
            self.schedule()
        self.host.runners.stay_behind(runner)

    def _take(self) -> Message:
        message = self.mailbox.take()
        if message.caller is not None:
            self.left(message.caller, message)
        return message

    def left(self, caller: Caller, message: Message) -> None:
        """A message of `caller` has left the mailbox: let it send more, once it has used up half of its share."""
        grant = self._ledgers.take(caller, message.size_bytes)
        if grant is not None:
            caller.grant(self.actor_id, *grant)

    def _begun(self, message: Message) -> Message:
        message.cell = self
        return message

    def withdraw(self, caller: Caller, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call, and say so to its caller; return whether it was here.

        Args:
            caller, call_id: the call.
            is_late: whether its deadline has passed, rather than that its caller wants it no more.
        """
        make_error = timed_out if is_late else cancelled
        queued = self.mailbox.withdraw(caller, call_id)
        if queued is not None:
            self.left(caller, queued)
            self.host.refuse(queued, make_error(self, queued, "no"))
            return True
        for message in self.turns.running:
            if message.call_id == call_id and message.caller is caller:
                self.turns.cancel(message, make_error(self, message, "maybe"))
                return True
        return False

    def take_back(self, message: Message) -> bool:
        """Take a message out of the mailbox; return whether it was there."""
        assert message.caller is not None
        return self.mailbox.withdraw(message.caller, message.call_id) is message

    def explain(self, caller: Caller, call_id: int) -> dict[str, Any]:
        """Say what a call waits for."""
        now = self.host.clock.now()
        for message in self.turns.running:
            if message.call_id == call_id and message.caller is caller:
                return {"state": "running", "seconds": now - message.began_at}
        for ahead, message in enumerate(self.mailbox.queue):
            if message.call_id == call_id and message.caller is caller:
                busy = [
                    f"{other.method}() is in hand since {now - other.began_at:.0f} s" for other in self.turns.running
                ]
                return {"state": "queued", "ahead": ahead, "in_hand": busy[0] if busy else str(self.state.name).lower()}
        return {"state": "unknown"}

    def withdraw_all(self, caller: Caller) -> None:
        """Drop and cancel every call of a caller that is gone."""
        self._ledgers.forget(caller)
        self.mailbox.withdraw_all(caller)
        for message in list(self.turns.running):
            if message.caller is caller:
                self.turns.cancel(message, errors.CallCancelledError(f"the caller of {message.method}() is gone"))

    # End

    def fail(self, reason: ExitReason) -> None:
        """End this incarnation; the mailbox waits for what the authority decides."""
        if self.state in (CellState.FAILED, CellState.ENDED):
            return
        if self.state is CellState.STARTING:
            self._break_off_start(f"failed while it started: {reason}", reason)
            return
        was_stopping = self.state is CellState.STOPPING
        self.state = CellState.FAILED
        self.failure = reason
        self._drop_instance()
        self.host.exited(self, reason, is_administrative=was_stopping and self._is_administrative)

    def stop(self, reason: ExitReason, within_s: float | None, *, is_administrative: bool) -> None:
        """Finish what is in the mailbox, within `within_s` seconds, refuse the rest, and end with `reason`."""
        if self.state in (CellState.STOPPING, CellState.ENDED):
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
        if within_s is not None:
            self._stop_timer = self.host.loop.call_later(within_s, self._stop_overdue)
        self.schedule()

    def _stop_overdue(self) -> None:
        self._stop_timer = None
        if self.state is CellState.STOPPING:
            self._end(self._exit or reasons.SHUTDOWN)

    def _finish_when_idle(self) -> None:
        if not self.mailbox.queue and not self.turns.runner_count and self.turns.instance is not None:
            instance, self.turns.instance = self.turns.instance, None
            self.host.scope.start(self._finish(instance), f"{self.label}.on_stop")

    async def _finish(self, instance: Any) -> None:
        reason = self._exit or reasons.NORMAL
        current.message.set(self._begun(Message(None, 0, "!on_stop", (), (), None, None)))
        try:
            await hook(instance.on_stop(reason))
        except Exception as error:
            reason = reason_of(error, f"{self.label}.on_stop")
        else:
            if self.snapshots is not None and not self._is_administrative and self.state is CellState.STOPPING:
                self.snapshots.take(instance)
        if self.state is CellState.STOPPING:
            self._end(reason)

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
        self.state = CellState.ENDED if self._is_administrative else CellState.FAILED
        self._drop_instance()
        if not had_failed:
            self.host.exited(self, reason, is_administrative=self._is_administrative)

    def _drop_instance(self) -> None:
        self.turns.instance = None
        self.context.end()
        if self.snapshots is not None:
            self.snapshots.end()
        if self._stop_timer is not None:
            self._stop_timer.cancel()
        for message in self.turns.running:
            if message.task is not None and message.withdrawal is None:
                if message.call_id:
                    self.victims.append(message)
                self.turns.cancel(message, self._gone_error("maybe"))

    def take_orphans(self) -> list[Message]:
        """Give up everything that still waits here: the calls in hand and the mailbox."""
        orphans = [*self.victims, *self.mailbox.take_all()]
        self.victims = []
        return orphans

    def _gone_error(self, executed: errors.Executed) -> errors.ActorDiedError:
        return errors.ActorDiedError(f"{self.label} is stopping", reason=self._exit, executed=executed)
