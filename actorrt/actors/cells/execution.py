"""The handling of the messages of one actor: which is handled when, what is in hand, and how each ends.

A plain method is over when it returns; a coroutine method runs in a runner's task until it ends, its deadline passes,
or its caller withdraws the call. One message is handled after the other, unless the actor's `max_concurrency` lets that
many coroutines interleave. Whether messages may be handled at all follows from the state of the cell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.cells.arguments import UnopenedError, open_arguments
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.cells.snapshots import NEVER
from actorrt.actors.refs import current
from actorrt.actors.refs.message import SIGNAL_PREFIX, Caller, Message
from actorrt.actors.running.runner import Continuation, Runner, Unfinished, resumed
from actorrt.actors.wire.failures import ends_its_call_only, reason_of, users_traceback
from actorrt.actors.wire.interface import MethodKind
from actorrt.errors import is_kind
from actorrt.interrupts import is_ctrl_c
from actorrt.protocol.hosts import CallState

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell

logger = logging.getLogger(__name__)

STEP_BUDGET: Final = 256
"""How many messages of one actor are handled before others on the loop have their turn."""


class Execution:
    """The messages that one cell has in hand, and the withdrawal of messages.

    A cell has one while it has a mailbox. Only the execution changes its own fields.

    Args:
        cell: the cell.
        mailbox: what waits in it.
        handled_count: how many messages the incarnation has handled before.

    Attributes:
        running: the messages that run as coroutines.
        runner_count: how many runners are at work in the cell.
        is_scheduled: whether a runner is going to come.
        handled_count: how many messages the incarnation has handled.
        milestone: the `handled_count` at which the cell is called.
        interrupted: the calls that were in hand when the incarnation failed or was broken off; their callers are told
            when it is decided what becomes of the actor.
    """

    __slots__ = (
        "_cell",
        "_crash_notes",
        "_host",
        "_mailbox",
        "_methods",
        "_outcomes",
        "handled_count",
        "interrupted",
        "is_scheduled",
        "milestone",
        "runner_count",
        "running",
    )

    def __init__(self, cell: Cell, mailbox: Mailbox, handled_count: int) -> None:
        self._cell = cell
        self._mailbox = mailbox
        self._host = host = cell.host
        self._outcomes = host.outcomes
        self._crash_notes = host.crash_notes
        self._methods = cell.blueprint.interface.methods
        self.running: list[Message] = []
        self.runner_count = 0
        self.is_scheduled = False
        self.handled_count = handled_count
        self.milestone = NEVER if handled_count and cell.snapshots is None else handled_count + 1
        self.interrupted: Sequence[Message] = ()

    @property
    def is_full(self) -> bool:
        """Whether as many messages are in hand as may be, and all as coroutines."""
        return len(self.running) >= self._cell.options.max_concurrency

    @property
    def is_at_rest(self) -> bool:
        """Whether no runner is at work here or going to come."""
        return not self.runner_count and not self.is_scheduled

    def queued(self, caller: Caller | None, call_id: int) -> Message | None:
        """Return the message of one call, if it is still queued."""
        return self._mailbox.find(caller, call_id)

    def begin_incarnation(self) -> None:
        """Begin to count the messages of the next incarnation."""
        self.handled_count, self.milestone = 0, 1

    def call_at_next(self) -> bool:
        """Tell the cell when the next message is handled, if one is in hand; return whether one is."""
        if self.running:
            self.milestone = self.handled_count + 1
        return bool(self.running)

    def take_interrupted(self) -> Sequence[Message]:
        """Return the calls that were in hand when the incarnation ended, and forget them."""
        interrupted, self.interrupted = self.interrupted, ()
        return interrupted

    # Runners come and go

    def schedule(self) -> None:
        """Have a runner handle the queued messages, unless one is coming or `max_concurrency` runners are at work."""
        state = self._cell.state
        if self.is_scheduled or not (state is CellState.RUNNING or state is CellState.STOPPING):
            return
        if not self.runner_count or self.runner_count < self._cell.options.max_concurrency:
            self.is_scheduled = True
            self._host.runners.schedule(self)
        else:
            self._host.deadlocks.suspect(self._cell)

    def work(self, runner: Runner) -> Unfinished | None:
        """Handle the queued messages, up to one that waits for something; return its continuation or runner.

        At most `STEP_BUDGET` messages are handled: others on the loop have their turn before the rest.
        """
        cell, mailbox = self._cell, self._mailbox
        self.is_scheduled = False
        if self.runner_count >= cell.options.max_concurrency:
            return None
        queue, local_caller = mailbox.queue, self._host.local_caller
        assert runner.task is not None
        is_cancelled = runner.task.cancelling
        budget = STEP_BUDGET
        unfinished = None
        self.runner_count += 1
        try:
            while budget and queue and (cell.state is CellState.RUNNING or cell.state is CellState.STOPPING):
                budget -= 1
                message = mailbox.take()
                caller = message.caller
                if caller is not None and (caller is not local_caller or cell.local_route is not None):
                    cell.left(caller, message)
                unfinished = self.handle(message, runner)
                if unfinished is not None:
                    return unfinished
                if is_cancelled():  # by a method that is over: it must not strike the next
                    break
        finally:
            if unfinished is None:
                self.runner_left()
        return None

    def work_on(self, runner: Runner) -> Unfinished | None:
        """Called when a continuation that `work` had returned has ended: handle the queued messages, as `work`."""
        self.runner_count -= 1
        return self.work(runner)

    def resume(self, runner: Runner) -> Unfinished | None:
        """Resume the coroutine that holds a runner, and then handle the queued messages, as `work`."""
        message, coroutine = runner.take()
        try:
            unfinished = self._step(message, coroutine, runner)
        except BaseException:
            self.runner_left()
            raise
        return unfinished or self.work_on(runner)

    def taken_over(self, runner: Runner) -> Continuation:
        """Return the continuation of a coroutine that held a runner, since the runner's task was cancelled."""
        message, coroutine = runner.take()
        return self._run(message, coroutine, runner, self._host.loop.create_future())

    def runner_left(self) -> None:
        """Called when a runner is no longer at work here."""
        cell = self._cell
        self.runner_count -= 1
        if self._mailbox.queue:
            self.schedule()
        if cell.state is CellState.STOPPING or cell.state is CellState.CUT:
            cell.finish_when_idle()

    # One message

    def handle(self, message: Message, runner: Runner) -> Unfinished | None:
        """Handle a message up to where it waits; return its continuation or runner, or None when it is over."""
        coroutine = self.begin(message)
        if coroutine is None:
            return None
        message.runner = runner
        self.running.append(message)
        unfinished = self._step(message, coroutine, runner)
        if unfinished is not None:
            self._waits(message)
        return unfinished

    def _step(self, message: Message, coroutine: Coroutine[Any, Any, Any], runner: Runner) -> Unfinished | None:
        """Run a coroutine up to where it waits for something."""
        try:
            waited_for: object = coroutine.send(None)
        except StopIteration as end:
            self._put_down(message)
            self._returned(message, end.value)
            return None
        except BaseException as error:
            self._put_down(message)
            self._broke_off(message, error)
            return None
        if waited_for is runner:
            runner.hold(self, message, coroutine)
            return runner
        return self._run(message, coroutine, runner, waited_for)

    def _waits(self, message: Message) -> None:
        """Called when a coroutine waits for the first time."""
        now = message.began_at = self._host.clock.now()
        if message.deadline is not None:
            message.timer = self._host.loop.call_later(max(0.0, message.deadline - now), self._overdue, message)
        if self._mailbox:
            self.schedule()  # another message may have its turn, if the options let it

    def begin(self, message: Message) -> Coroutine[Any, Any, Any] | None:
        """Handle a message, or return the coroutine that does."""
        if message.deadline is not None and self._host.clock.now() >= message.deadline:
            self._too_late(message)
            return None
        if message.options is not None and not self._is_to_run(message, message.options):
            return None
        current.message.set(message)
        try:
            body = message.body
            function, kind = self._function(message.method)
            if type(body) is list or type(body) is tuple:
                result = function(*body)
            else:
                opened = open_arguments(message, body, function, kind, self._host)
                if not isinstance(opened, tuple):
                    return opened
                result = function(*opened[0], **opened[1])
            if kind is MethodKind.PLAIN:
                self._returned(message, result)
                return None
            if kind is MethodKind.ASYNC:
                return result  # type: ignore[no-any-return]
            return self._host.serving.serve(message, result)
        except BaseException as error:
            if is_ctrl_c(error):
                self._struck_by_ctrl_c(message)
                raise
            self._raised(message, error)
            return None

    def _is_to_run(self, message: Message, options: dict[str, Any]) -> bool:
        """Whether the message is to run, rather than to get the outcome of another with its key."""
        if "key" in options and not self._cell.is_first(message, options["key"]):
            return False
        if self._crash_notes is not None:
            self._crash_notes.note(message)
        return True

    def _function(self, method: str) -> tuple[Callable[..., Any], MethodKind]:
        spec = self._methods.get(method)
        if spec is not None:
            return getattr(self._cell.instance, method), spec.kind
        if method[0] != SIGNAL_PREFIX:
            raise UnopenedError(self._cell.blueprint.interface.unknown(method))
        hook = getattr(self._cell.instance, method[1:])
        return hook, MethodKind.ASYNC if asyncio.iscoroutinefunction(hook) else MethodKind.PLAIN

    async def _run(
        self, message: Message, coroutine: Coroutine[Any, Any, Any], runner: Runner, waited_for: Any
    ) -> None:
        """Drive a coroutine that waits, in a runner's task, to its end or to where it holds the runner."""
        try:
            result = await resumed(coroutine, waited_for)
        except BaseException as error:
            self._put_down(message)
            if self._host.scope.is_closed and message.withdrawal is None and is_kind(error, asyncio.CancelledError):
                raise  # the whole endpoint is being ended
            self._broke_off(message, error)
        else:
            if result is runner:
                runner.hold(self, message, coroutine)
                return
            self._put_down(message)
            self._returned(message, result)
        finally:
            task = runner.task
            if message.withdrawal is not None and message.runner is None and task is not None and task.cancelling():
                task.uncancel()  # the runner's next message is not cancelled, even if this one took no notice

    def _put_down(self, message: Message) -> None:
        """Called when a coroutine has ended."""
        message.runner = None
        if message.timer is not None:
            message.timer.cancel()
        self.running.remove(message)

    def _broke_off(self, message: Message, error: BaseException) -> None:
        """Called when a coroutine has ended by an exception."""
        if is_ctrl_c(error):
            self._struck_by_ctrl_c(message)
            raise error
        if message.withdrawal is None:
            self._raised(message, error)  # as where the method let a cancellation of its own through
            return
        if not is_kind(error, asyncio.CancelledError):
            self._raised_when_cancelled(message, error)
            return
        if self._crash_notes is not None:
            self._crash_notes.clear(message)
        if not message.is_over and message not in self.interrupted:
            self._outcomes.refuse(message, message.withdrawal)

    def _returned(self, message: Message, result: Any) -> None:
        self._handled(message)
        if message.options is not None:
            self._outcomes.succeed(message, result)
        elif message.call_id:
            self._outcomes.answer(message, result)

    def _handled(self, message: Message) -> None:
        message.is_over = True
        if message.options is not None and self._crash_notes is not None:
            self._crash_notes.clear(message)
        self.handled_count += 1
        if self.handled_count >= self.milestone:
            self.milestone = self._cell.reached_milestone(self.handled_count)

    def _struck_by_ctrl_c(self, message: Message) -> None:
        """Called when Ctrl-C struck in a method, in local mode: only this call ends, and the loop's thread gets it."""
        message.is_over = True
        self._outcomes.refuse(message, cancelled(self._cell, message, "maybe"))

    def _raised(self, message: Message, error: BaseException) -> None:
        """Give the exception of an ask to its caller; that of a tell, or one that `crash_on` names, fails the actor."""
        if type(error) is UnopenedError:
            message.is_over = True
            if self._crash_notes is not None:
                self._crash_notes.clear(message)
            self._outcomes.unopened(message, error.cause)
            return
        is_fatal = not ends_its_call_only(error) or is_kind(error, *self._cell.options.crash_on)
        if message.call_id and not is_fatal:
            self._handled(message)
            self._outcomes.fail(message, error)
            return
        if message.call_id:
            self.interrupted = [*self.interrupted, message]
        if self._crash_notes is not None:
            self._crash_notes.clear(message)
        message.runner = None
        self._cell.fail(reason_of(error, f"{self._cell.label}.{message.method.lstrip(SIGNAL_PREFIX)}"))

    def _raised_when_cancelled(self, message: Message, error: BaseException) -> None:
        """Called when a cancelled method raised another exception, perhaps in a `finally`; its caller may be gone."""
        if message.call_id:
            text = "%s.%s() was cancelled and raised: %s"
            logger.warning(text, self._cell.label, message.method, users_traceback(error))
        self._raised(message, error)

    def _too_late(self, message: Message) -> None:
        self._outcomes.refuse(message, timed_out(self._cell, message, "no"))

    def _overdue(self, message: Message) -> None:
        self.cancel(message, timed_out(self._cell, message, "maybe"))

    def cancel(self, message: Message, why: errors.CallError) -> None:
        """Cancel a coroutine; its caller is told why."""
        if message.runner is not None and message.withdrawal is None:
            message.withdrawal = why
            assert message.runner.task is not None
            message.runner.task.cancel()

    def break_off(self, why: errors.CallError) -> None:
        """Cancel every coroutine; the callers of those that are calls are told later, see `interrupted`."""
        broken_off = [message for message in self.running if message.runner is not None and message.withdrawal is None]
        for message in broken_off:
            self.cancel(message, why)
        self.interrupted = [*self.interrupted, *(message for message in broken_off if message.call_id)]

    def withdraw(self, caller: Caller, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call, and tell its caller; return whether it was here.

        Args:
            caller, call_id: the call.
            is_late: True if its deadline has passed, False if its caller cancelled it.
        """
        cell = self._cell
        make_error = timed_out if is_late else cancelled
        queued = self._mailbox.withdraw(caller, call_id)
        if queued is not None:
            cell.left(caller, queued)
            self._outcomes.refuse(queued, make_error(cell, queued, "no"))
            return True
        for message in self.running:
            if message.call_id == call_id and message.caller is caller:
                self.cancel(message, make_error(cell, message, "maybe"))
                return True
        return False

    def withdraw_all(self, caller: Caller) -> None:
        """Drop and cancel every call of a caller that is gone."""
        self._mailbox.withdraw_all(caller)
        for message in list(self.running):
            if message.caller is caller and message.call_id:
                self.cancel(message, errors.CallCancelledError(f"the caller of {message.method}() is gone"))

    def take_back(self, message: Message) -> bool:
        """Take a message out of the mailbox; return whether it was there."""
        assert message.caller is not None
        return self._mailbox.withdraw(message.caller, message.call_id) is message

    def explain(self, caller: Caller, call_id: int) -> CallState:
        """Say what a call waits for."""
        now = self._host.clock.now()
        for message in self.running:
            if message.call_id == call_id and message.caller is caller:
                return CallState(state="running", seconds=now - message.began_at)
        for ahead, message in enumerate(self._mailbox.waiting()):
            if message.call_id == call_id and message.caller is caller:
                return CallState(state="queued", ahead=ahead, in_hand=self._in_hand(now))
        return CallState(state="unknown")

    def _in_hand(self, now: float) -> str:
        if not self.running:
            return self._cell.state.name.lower()
        message = self.running[0]
        return f"{message.method}() is in hand since {now - message.began_at:.0f} s"


def timed_out(cell: Cell, message: Message, executed: errors.Executed) -> errors.CallTimeoutError:
    """Make the error of a call whose deadline has passed."""
    state = "still queued" if executed == "no" else "running"
    return errors.CallTimeoutError(f"{cell.label}.{message.method}() was {state} at its deadline", executed=executed)


def cancelled(cell: Cell, message: Message, executed: errors.Executed) -> errors.CallCancelledError:
    """Make the error of a call that its caller withdrew."""
    return errors.CallCancelledError(f"{cell.label}.{message.method}() was cancelled", executed=executed)
