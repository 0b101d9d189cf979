"""What coroutines in hand wait for. It is read from their frames, so that a wait itself costs nothing more.

A coroutine of an actor waits in the task of its runner, or holds the runner, which knows what it waits for then. What a
task waits for is found at the end of the chain of coroutines that it drives, and through the tasks that it awaits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt.completion import Completion, Waiter
from actorrt.store.client.ref import ObjectRef

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message


class TaskWaiter(Waiter):
    """Drives the coroutine of one message, and wakes it when what it waits for is done.

    Attributes:
        loop, task: what the coroutine runs in.
        held: the coroutine, while it waits for a completion.
        waits_for: that completion.
    """

    __slots__ = ("held", "loop", "task", "waits_for")

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None
    held: Coroutine[Any, Any, Any] | None
    waits_for: Completion[Any] | None


class Wait(NamedTuple):
    """A wait of a coroutine in a task.

    Attributes:
        completion: what it waits for.
        future: the future that its task is suspended on.
    """

    completion: Completion[Any]
    future: asyncio.Future[Any]


def waiter_of(message: Message, completion: Completion[Any]) -> TaskWaiter | None:
    """Return the runner of a message that begins to wait for a completion; None in a task that the message started."""
    runner = message.runner
    if runner is None or asyncio.current_task(runner.loop) is not runner.task:
        return None
    runner.waits_for = completion
    return runner


def waited_for(message: Message) -> Iterator[Completion[Any]]:
    """Yield the replies and refs that a message in hand waits for, each of which it needs to continue."""
    runner = message.runner
    if runner is None:
        return
    if runner.held is not None:
        if runner.waits_for is not None:
            yield from pending_parts(runner.waits_for)
        return
    for wait in waits_of(runner.task):
        yield from pending_parts(wait.completion)


def waits_of(task: asyncio.Task[Any] | None) -> Iterator[Wait]:
    """Yield the waits of a task, its own and those of tasks that it awaits. It needs each of them to continue."""
    future = getattr(task, "_fut_waiter", None)
    if task is None or future is None:
        return
    completion = _awaited_by(task.get_coro())
    if completion is not None:
        yield Wait(completion, future)
        return
    for inner in getattr(future, "_children", [future]):
        if isinstance(inner, asyncio.Task):
            yield from waits_of(inner)


def pending_parts(what: Any) -> Iterator[Completion[Any]]:
    """Yield the replies and refs that a completion ends with, as far as they have not ended."""
    if not isinstance(what, Completion) or what._is_done:
        return
    if isinstance(what, ObjectRef) or getattr(what, "call_id", None):
        yield what
    for part in getattr(what, "parts", ()):
        yield from pending_parts(part)


def _awaited_by(driven: Any) -> Completion[Any] | None:
    """Return the completion that a coroutine awaits, whatever coroutines lie between; None if it is something else."""
    while True:
        if isinstance(driven, CoroutineType):
            driven = driven.cr_await
        elif isinstance(driven, GeneratorType) and driven.gi_frame is not None:
            frame, inner = driven.gi_frame, driven.gi_yieldfrom
            if frame.f_code is _AWAIT:
                found: Completion[Any] = frame.f_locals["self"]
                return found
            driven = frame.f_locals.get("coroutine") if inner is None else inner  # see `runner.resumed`
        else:
            return None


_AWAIT = Completion.__await__.__code__
