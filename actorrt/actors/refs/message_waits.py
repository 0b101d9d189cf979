"""What the messages in hand wait for: replies, and what is gathered from them. It shows where calls wait in a cycle.

A coroutine of an actor waits in the task of its runner, which knows what it waits for. A task that the coroutine starts
notes what it waits for in the message that it works for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from actorrt.completion import Completion, Waiter

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message
    from actorrt.actors.refs.reply import Reply

_REMEMBERED_WAITS: Final = 256


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


def waiter_of(message: Message, completion: Completion[Any]) -> TaskWaiter | None:
    """Return the runner of a message that begins to wait for a completion; None in a task that the message started."""
    runner = message.runner
    if runner is None or asyncio.current_task(runner.loop) is not runner.task:
        return None
    runner.waits_for = completion
    return runner


def begins_to_wait(message: Message, what: Completion[Any]) -> None:
    """Called when a task that works for the message, and is not its runner's, begins to await `what`."""
    waits = message.waits
    if waits is None:
        message.waits = [ref(what)]
    elif not _is_pending(waits[-1]()):
        waits[-1] = ref(what)
    else:
        if len(waits) >= _REMEMBERED_WAITS and len(waits).bit_count() == 1:  # at powers of two: seldom
            waits[:] = [known for known in waits if _is_pending(known())]
        waits.append(ref(what))


def waited_for(message: Message) -> Iterator[Reply[Any]]:
    """Yield the replies that a message in hand waits for, each of which it needs to continue."""
    runner = message.runner
    futures = set(_suspended_on(None if runner is None else runner.task))
    awaited = [known() for known in message.waits or ()]
    if runner is not None and runner.held is not None:
        awaited.append(runner.waits_for)
    for what in awaited:
        if what is not None and what.is_awaited_through(futures):
            yield from _pending_replies(what)


def _suspended_on(task: asyncio.Task[Any] | None) -> Iterator[asyncio.Future[Any]]:
    """Yield the futures that a task is suspended on, itself and through the tasks that it waits for."""
    inner = getattr(task, "_fut_waiter", None)
    if inner is None:
        return
    yield inner
    for child in getattr(inner, "_children", [inner] if isinstance(inner, asyncio.Task) else []):
        yield from _suspended_on(child)


def _is_pending(what: Any) -> bool:
    return what is not None and not what.done()


def _pending_replies(what: Any) -> Iterator[Reply[Any]]:
    if not _is_pending(what):
        return
    if getattr(what, "call_id", 0):
        yield what
    for part in getattr(what, "parts", ()):
        yield from _pending_replies(part)
