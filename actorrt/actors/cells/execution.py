"""The handling of messages in one cell: what is in hand, and how each ends.

A plain method is over when it returns; a coroutine method runs in a runner's task until it ends, its deadline passes,
or its caller wants it no more. Which message comes next is the cell's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from actorrt import errors
from actorrt.actors.cells.mailbox import Mailbox
from actorrt.actors.cells.runner import Left, Rest, Runner, resumed
from actorrt.actors.refs import current
from actorrt.actors.refs.message import SIGNAL_PREFIX, Caller, Message
from actorrt.actors.wire.by_reference import StoredValue
from actorrt.actors.wire.failures import ends_its_call_only, reason_of, users_traceback
from actorrt.actors.wire.interface import MethodKind
from actorrt.actors.wire.payload import has_objects, objects_at_hand, objects_opened
from actorrt.errors import is_kind
from actorrt.interrupts import is_ctrl_c
from actorrt.protocol.envelopes import Body
from actorrt.protocol.hosts import CallState
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell

logger = logging.getLogger(__name__)


class _UnopenedError(Exception):
    """A message could not be opened, so its method did not run; `cause` says why."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


class Turns:
    """The messages that one cell has in hand, and how those that wait can be taken back.

    Args:
        cell: whose.
        mailbox: what waits in it.

    Attributes:
        running: those that run as coroutines.
        runner_count: how many runners are at work in the cell.
    """

    __slots__ = ("_cell", "_evidence", "_host", "_mailbox", "_methods", "runner_count", "running")

    def __init__(self, cell: Cell, mailbox: Mailbox) -> None:
        self._cell = cell
        self._mailbox = mailbox
        self._host = cell.host
        self._methods = cell.blueprint.interface.methods
        self.running: list[Message] = []
        self.runner_count = 0
        self._evidence = cell.host.system.evidence

    @property
    def is_full(self) -> bool:
        """Whether as many messages are in hand as may be, and all as coroutines."""
        return len(self.running) >= self._cell.options.max_concurrency

    def queued(self, caller: Caller | None, call_id: int) -> Message | None:
        """Return the message of one call, if it is still queued."""
        return self._mailbox.find(caller, call_id)

    def handle(self, message: Message, runner: Runner) -> Left | None:
        """Handle a message as far as that goes without waiting; return what is left, if anything is."""
        coroutine = self.begin(message)
        if coroutine is None:
            return None
        message.runner = runner
        self.running.append(message)
        left = self._step(message, coroutine, runner)
        if left is not None:
            self._waits(message)
        return left

    def resume(self, runner: Runner) -> Left | None:
        """Let a coroutine go on that holds a runner; return what is left, if anything is."""
        message, coroutine = runner.take()
        return self._step(message, coroutine, runner)

    def taken_over(self, runner: Runner) -> Rest:
        """Return what drives a coroutine on that held a runner, in the runner's task, which is cancelled."""
        message, coroutine = runner.take()
        return self._run(message, coroutine, runner, self._host.loop.create_future())

    def _step(self, message: Message, coroutine: Coroutine[Any, Any, Any], runner: Runner) -> Left | None:
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
            runner.hold(self._cell, message, coroutine)
            return runner
        return self._run(message, coroutine, runner, waited_for)

    def _waits(self, message: Message) -> None:
        """A coroutine waits for the first time."""
        now = message.began_at = self._host.clock.now()
        if message.deadline is not None:
            message.timer = self._host.loop.call_later(max(0.0, message.deadline - now), self._overdue, message)
        self._cell.waits()

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
            if type(body) is list or type(body) is tuple:
                function, kind = self._function(message.method)
                result = function(*body)
            else:
                opened = self._open(message, body)
                if not isinstance(opened, tuple):
                    return opened
                function, kind, args, kwargs = opened
                result = function(*args, **kwargs)
            if kind is MethodKind.PLAIN:
                self._returned(message, result)
                return None
            if kind is MethodKind.ASYNC:
                return result  # type: ignore[no-any-return]
            return self._host.serving.serve(message, result)
        except BaseException as error:
            if is_ctrl_c(error):
                self._interrupted(message)
                raise
            self._raised(message, error)
            return None

    def _is_to_run(self, message: Message, options: dict[str, Any]) -> bool:
        """Whether the message is to run, rather than to get the outcome of another with its key."""
        if "key" in options and not self._cell.is_first(message, options["key"]):
            return False
        if self._evidence is not None:
            self._evidence.note(message)
        return True

    def _function(self, method: str) -> tuple[Callable[..., Any], MethodKind]:
        spec = self._methods.get(method)
        if spec is not None:
            return getattr(self._cell.instance, method), spec.kind
        if method[0] != SIGNAL_PREFIX:
            raise _UnopenedError(self._cell.blueprint.interface.unknown(method))
        hook = getattr(self._cell.instance, method[1:])
        return hook, MethodKind.ASYNC if asyncio.iscoroutinefunction(hook) else MethodKind.PLAIN

    def _open(
        self, message: Message, body: Body
    ) -> tuple[Callable[..., Any], MethodKind, tuple[Any, ...], dict[str, Any]] | Coroutine[Any, Any, Any]:
        """Return the method with its arguments, or a coroutine that calls it when they are there.

        Raises:
            _UnopenedError: there is no such method, or it can't have its arguments.
        """
        buffers = message.buffers
        message.body = message.buffers = ()  # opened once; the context of an idle runner keeps its last message
        function, kind = self._function(message.method)
        payloads = self._host.payloads
        try:
            stored = payloads.stored(body, buffers)
            if stored is not None:
                return self._call_with_stored(message, function, stored)
            args, kwargs = payloads.open_call(body, buffers)
            if not has_objects(args, kwargs):
                return function, kind, args, kwargs
            opened = objects_at_hand(args, kwargs)
        except Exception as error:  # whatever unpickling a user's value raises
            raise _UnopenedError(error) from error
        if opened is None:
            return self._call_with_objects(message, function, args, kwargs)
        return function, kind, *opened

    async def _call_with_stored(
        self, message: Message, function: Callable[..., Any], stored: ObjectRef[Any] | StoredValue
    ) -> Any:
        """Call the method with arguments that lie in the store: the message may have been faster than they were."""
        try:
            args, kwargs = await stored
        except Exception as error:  # whatever unpickling a user's value raises, or what became of the value
            raise _UnopenedError(error) from error
        return await self._call_with_objects(message, function, args, kwargs)

    async def _call_with_objects(
        self, message: Message, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Give the method the values of its top-level object refs; the call waits for them in its place."""
        try:
            args, kwargs = await objects_opened(args, kwargs)
        except Exception as error:  # what became of an object, of which its maker may have said anything
            raise _UnopenedError(error) from error
        result = function(*args, **kwargs)
        if self._methods[message.method].kind.is_stream:
            result = self._host.serving.serve(message, result)
        return await result if asyncio.iscoroutine(result) else result

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
                runner.hold(self._cell, message, coroutine)
                return
            self._put_down(message)
            self._returned(message, result)
        finally:
            task = runner.task
            if message.withdrawal is not None and message.runner is None and task is not None and task.cancelling():
                task.uncancel()  # the runner's next message is not cancelled, even if this one took no notice

    def _put_down(self, message: Message) -> None:
        """A coroutine has ended."""
        message.runner = None
        if message.timer is not None:
            message.timer.cancel()
        self.running.remove(message)

    def _broke_off(self, message: Message, error: BaseException) -> None:
        """A coroutine ended by an exception."""
        if is_ctrl_c(error):
            self._interrupted(message)
            raise error
        if message.withdrawal is None:
            self._raised(message, error)  # as where the method let a cancellation of its own through
            return
        if not is_kind(error, asyncio.CancelledError):
            self._raised_when_cancelled(message, error)
            return
        if self._evidence is not None:
            self._evidence.clear(message)
        if not message.is_over and message not in self._cell.victims:
            self._host.refuse(message, message.withdrawal)

    def _returned(self, message: Message, result: Any) -> None:
        self._handled(message)
        if message.options is not None:
            self._host.succeed(message, result)
        elif message.call_id:
            self._host.answer(message, result)

    def _handled(self, message: Message) -> None:
        message.is_over = True
        if message.options is not None and self._evidence is not None:
            self._evidence.clear(message)
        cell = self._cell
        cell.handled_count += 1
        if cell.handled_count >= cell.milestone:
            cell.reached_milestone()

    def _interrupted(self, message: Message) -> None:
        """Ctrl-C struck in this method, in local mode: it belongs to whoever runs the loop, and ends this call only."""
        message.is_over = True
        self._host.refuse(message, cancelled(self._cell, message, "maybe"))

    def _raised(self, message: Message, error: BaseException) -> None:
        """An ask's exception goes to its caller; a tell's, and one that `crash_on` names, fails the actor."""
        if type(error) is _UnopenedError:
            message.is_over = True
            if self._evidence is not None:
                self._evidence.clear(message)
            self._host.unopened(message, error.cause)
            return
        is_fatal = not ends_its_call_only(error) or is_kind(error, *self._cell.options.crash_on)
        if message.call_id and not is_fatal:
            self._handled(message)
            self._host.fail(message, error)
            return
        if message.call_id:
            self._cell.victims = [*self._cell.victims, message]
        if self._evidence is not None:
            self._evidence.clear(message)
        message.runner = None
        self._cell.fail(reason_of(error, f"{self._cell.label}.{message.method.lstrip(SIGNAL_PREFIX)}"))

    def _raised_when_cancelled(self, message: Message, error: BaseException) -> None:
        """A method that was cancelled raised something else, in a `finally` perhaps, and its caller may be gone."""
        if message.call_id:
            text = "%s.%s() was cancelled and raised: %s"
            logger.warning(text, self._cell.label, message.method, users_traceback(error))
        self._raised(message, error)

    def _too_late(self, message: Message) -> None:
        self._host.refuse(message, timed_out(self._cell, message, "no"))

    def _overdue(self, message: Message) -> None:
        self.cancel(message, timed_out(self._cell, message, "maybe"))

    def cancel(self, message: Message, why: errors.CallError) -> None:
        """Cancel a coroutine; its caller is told why."""
        if message.runner is not None and message.withdrawal is None:
            message.withdrawal = why
            assert message.runner.task is not None
            message.runner.task.cancel()

    def break_off(self, why: errors.CallError) -> list[Message]:
        """Cancel every coroutine; return the calls among them, whose callers are not told yet."""
        broken_off = [message for message in self.running if message.runner is not None and message.withdrawal is None]
        for message in broken_off:
            self.cancel(message, why)
        return [message for message in broken_off if message.call_id]

    def withdraw(self, caller: Caller, call_id: int, is_late: bool) -> bool:
        """Drop or cancel one call, and say so to its caller; return whether it was here.

        Args:
            caller, call_id: the call.
            is_late: whether its deadline has passed, rather than that its caller wants it no more.
        """
        cell = self._cell
        make_error = timed_out if is_late else cancelled
        queued = self._mailbox.withdraw(caller, call_id)
        if queued is not None:
            cell.left(caller, queued)
            self._host.refuse(queued, make_error(cell, queued, "no"))
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
