"""A runner: one of the tasks in which messages are handled, and in which coroutines wait.

    parked ──▶ lent to a step ──▶ parked
                  │    ▲
                  ▼    │ what it waits for is done
                  held ┘            a coroutine in it waits for a completion
                  │
                  └──▶ given        it waits for something else, or was cancelled: the task itself drives it

The task of a runner waits while the runner is parked or held; a step enters the task, and leaves it again. So a
coroutine that waits for a reply costs neither a future nor a turn of the loop. A cancellation of the task takes effect
in every state: if the task is cancelled while it waits, the cancellation is raised in the coroutine that holds the
runner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as ContextVars
from types import coroutine as coroutine_function
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, final

from actorrt import forks
from actorrt.actors.refs.message_waits import TaskWaiter
from actorrt.completion import Completion

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message

Continuation: TypeAlias = Coroutine[Any, Any, None]
"""The rest of the handling of a message that waits for something; the task of a runner drives it."""
Unfinished: TypeAlias = Union[Continuation, "Runner"]
"""The state of a message that waits: its continuation, or the runner that it holds."""


class Workable(Protocol):
    """The messages of one actor, which a runner handles."""

    def work(self, runner: Runner) -> Unfinished | None:
        """Handle the queued messages, up to one that waits for something; return its continuation or runner."""

    def work_on(self, runner: Runner) -> Unfinished | None:
        """Called when a continuation that the runner drove has ended: handle the queued messages, as `work`."""

    def resume(self, runner: Runner) -> Unfinished | None:
        """Resume the coroutine that holds the runner, and then handle the queued messages, as `work`."""

    def taken_over(self, runner: Runner) -> Continuation:
        """Return the continuation of the coroutine that holds the runner, since the runner's task was cancelled."""

    def runner_left(self) -> None:
        """Called when a runner has stopped working here."""


@final
class Runner(TaskWaiter):
    """One task, and what runs in it.

    Args:
        loop: the loop of the task.
        resume: called when the completion is done that the held coroutine waits for, in the thread that completes it.

    Attributes:
        task: the task.
        context: the context variables of the code that runs in it.
        held: the coroutine that waits in it for a completion, if one does.
        message, workable: the message and the actor of that coroutine.
        waits_for: that completion.
    """

    __slots__ = ("_continuation", "_resume", "context", "message", "workable")

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[Runner], None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self.loop = loop
        self.context = ContextVars()
        self.future = loop.create_future()
        self.suspension = (self,)
        self.held: Coroutine[Any, Any, Any] | None = None
        self.message: Message | None = None
        self.workable: Workable | None = None
        self.waits_for: Completion[Any] | None = None
        self._resume = resume
        self._continuation: Continuation | None = None

    def __call__(self, completed: Any) -> None:
        self._resume(self)

    @property
    def is_resumable(self) -> bool:
        """Whether the coroutine that holds it can be resumed: it does not wait any more, and is not cancelled."""
        waits_for = self.waits_for
        return waits_for is not None and waits_for._is_done and self.held is not None and not self.future.done()

    def hold(self, workable: Workable, message: Message, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Keep a coroutine, which waits for `waits_for`."""
        self.workable, self.message, self.held = workable, message, coroutine

    def take(self) -> tuple[Message, Coroutine[Any, Any, Any]]:
        """Return the coroutine that holds this runner, with its message; the runner is free then."""
        message, coroutine = self.message, self.held
        assert message is not None
        assert coroutine is not None
        self.held = self.message = self.workable = self.waits_for = None
        return message, coroutine

    def give(self, workable: Workable, continuation: Continuation) -> None:
        """Let the task drive the rest of a message, and then handle the queued messages of its actor."""
        self.workable, self._continuation = workable, continuation
        self._wake()  # where it was cancelled at its first step, it wakes by that

    def dismiss(self) -> None:
        """End the task, since enough runners are parked."""
        self._wake()

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    async def parked(self) -> tuple[Workable, Continuation] | None:
        """Wait for a continuation to drive; return None when dismissed."""
        self.future = self.loop.create_future()
        try:
            await self.future
        except asyncio.CancelledError:
            workable = self.workable
            if self.held is not None and workable is not None:
                self._continuation = workable.taken_over(self)
                self.workable = workable
            if self._continuation is None:
                raise
            assert self.task is not None
            self.task.uncancel()  # it is raised where the task awaits the continuation
            self.task.cancel()
        workable, continuation = self.workable, self._continuation
        self.workable = self._continuation = None
        return None if workable is None or continuation is None else (workable, continuation)


@coroutine_function
def resumed(coroutine: Coroutine[Any, Any, Any], waited_for: Any) -> Generator[Any, Any, Any]:
    """Drive a coroutine in a task, from the point where it waits for `waited_for`.

    `message_waits` finds the coroutine here by the name of the argument.

    Returns:
        The result of the coroutine; or its runner, if it waits for a completion, which needs no task.
    """
    while type(waited_for) is not Runner:
        try:
            yield waited_for
        except BaseException as error:  # a cancellation, most likely: the coroutine's to handle
            resume: Callable[..., Any] = coroutine.throw
            argument: BaseException | None = error
        else:
            resume, argument = coroutine.send, None
        try:
            waited_for = resume(argument)
        except StopIteration as end:
            return end.value
        finally:
            forks.end_if_child()
            argument = None  # else error and traceback would keep each other alive, and their frames
    return waited_for
