"""One attempt of a task at its worker, and who hears how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, Protocol

from actorrt import errors
from actorrt.actors.wire.outlet import Outlet
from actorrt.actors.wire.payload import Captured
from actorrt.completion import Completion
from actorrt.ids import ObjectId, PeerId
from actorrt.protocol.envelopes import FAILURE, RESULT, SKIPPED, Body, RaisedError, SkippedEnvelope
from actorrt.tasks.policy.task import TaskState
from actorrt.tasks.submitting.submission import PLAIN_BODIES

if TYPE_CHECKING:
    from actorrt.tasks.submitting.in_hand import TaskInHand
    from actorrt.tasks.submitting.submission import Submission
    from actorrt.tasks.submitting.submitter import Submitter
    from actorrt.tasks.working.functions import LoadedFunction


class Listener(Protocol):
    """Hears how an attempt ended."""

    def succeed(self, captured: Captured, duration_s: float) -> None:
        """Called with the result, ready to be sent."""

    def fail(self, error: RaisedError, executed: errors.Executed, duration_s: float) -> None:
        """Called with the exception that the task raised, or that kept it from running."""

    def skip(self) -> None:
        """Give the attempt back, which has not begun."""


class RemoteListener:
    """The submitter of an attempt, in another process.

    Args:
        outlet: the way to it.
        on_loop: runs a function on the loop; a task may end outside of it.
        lease, sequence: by which it knows the attempt.
    """

    __slots__ = ("_lease", "_on_loop", "_outlet", "_sequence")

    def __init__(self, outlet: Outlet, on_loop: Callable[[Callable[[], Any]], Any], lease: int, sequence: int) -> None:
        self._outlet = outlet
        self._on_loop = on_loop
        self._lease = lease
        self._sequence = sequence

    def succeed(self, captured: Captured, duration_s: float) -> None:
        self._send((RESULT, self._lease, self._sequence, captured.body, duration_s), captured.buffers)

    def fail(self, error: RaisedError, executed: errors.Executed, duration_s: float) -> None:
        self._send((FAILURE, self._lease, self._sequence, error, executed, duration_s))

    def skip(self) -> None:
        self._send(SkippedEnvelope(SKIPPED, self._lease, self._sequence))

    def _send(self, envelope: tuple[Any, ...], buffers: Sequence[Any] = ()) -> None:
        if not self._outlet.try_send(envelope, buffers):
            self._on_loop(lambda: self._outlet.send(envelope, buffers))


class OwnListener:
    """The submitter of an attempt in this process, which runs what a task here waits for."""

    __slots__ = ("_submitter", "task")

    def __init__(self, submitter: Submitter, task: Submission) -> None:
        self._submitter = submitter
        self.task = task

    def succeed(self, captured: Captured, duration_s: float) -> None:
        self.task.kind.cost.took(duration_s)
        if self.task.state is not TaskState.ENDED:  # else it was cancelled meanwhile
            self._submitter.take_result(self.task, captured.body, captured.buffers)

    def fail(self, error: RaisedError, executed: errors.Executed, duration_s: float) -> None:
        if self.task.state is not TaskState.ENDED:
            self._submitter.take_failure(self.task, error, executed)

    def skip(self) -> None:
        self._submitter.gives_back(self.task)


class Attempt:
    """One attempt.

    Args:
        listener: hears how it ended.
        peer: its submitter.
        sequence: the submitter's number of the attempt.
        function: the function; it stays loaded as long as the attempt needs it.
        body, inputs, buffers: the arguments, as in a TASK envelope.
        deadline: when it must have ended.
        task_id, number, depth: which attempt of which task it is.

    Attributes:
        has_begun: whether its function was called.
        is_withdrawn: whether its submitter has given it up.
        is_late: whether it was given up at its deadline.
        coroutine: the asyncio task of an async function that runs.
        in_hand: the task as its own code sees it, once it has begun.
        interrupt: what ends the wait of a plain function, if it waits.
        object_id: the object that the result is put as, if the task runs again because it was lost.
        values: the arguments, if they are plain values, or had to be waited for and are there.
    """

    __slots__ = (
        "body",
        "buffers",
        "coroutine",
        "deadline",
        "depth",
        "function",
        "has_begun",
        "in_hand",
        "inputs",
        "interrupt",
        "is_late",
        "is_withdrawn",
        "listener",
        "number",
        "object_id",
        "peer",
        "sequence",
        "task_id",
        "values",
    )

    def __init__(
        self,
        listener: Listener,
        peer: PeerId,
        sequence: int,
        function: LoadedFunction,
        body: Body,
        inputs: Sequence[Sequence[Any]],
        buffers: Sequence[Any],
        deadline: float | None,
        task_id: str,
        number: int,
        depth: int,
    ) -> None:
        self.listener = listener
        self.peer = peer
        self.sequence = sequence
        self.function = function
        self.body = body
        self.inputs = inputs
        self.buffers = buffers
        self.deadline = deadline
        self.task_id = task_id
        self.number = number
        self.depth = depth
        self.has_begun = self.is_withdrawn = self.is_late = False
        self.coroutine: asyncio.Task[None] | None = None
        self.in_hand: TaskInHand | None = None
        self.interrupt: Completion[None] | None = None
        self.object_id: ObjectId | None = None
        is_plain = not inputs and type(body) in PLAIN_BODIES
        self.values: tuple[tuple[Any, ...], dict[str, Any]] | None = (tuple(body), {}) if is_plain else None

    def cancel_coroutine(self) -> bool:
        """Cancel the coroutine. Return False if its first step never comes now, so that it does not see its end."""
        assert self.coroutine is not None, "it is a coroutine that runs"
        sees_its_end = getcoroutinestate(self.coroutine.get_coro()) != CORO_CREATED  # type: ignore[arg-type]
        self.coroutine.cancel()
        return sees_its_end
