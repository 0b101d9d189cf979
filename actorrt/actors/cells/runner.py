"""One of the tasks that messages are handled in, and how a coroutine waits in it.

    parked ──▶ lent to a step ──▶ parked
                  │    ▲
                  ▼    │ what it waits for is done
                  held ┘            a coroutine in it waits for a completion
                  │
                  └──▶ given        it waits for something else, or was cancelled: the task itself drives it

The task of a runner waits while the runner is parked or held; a step enters the task, and leaves it again. So a
coroutine that waits for a reply costs neither a future nor a turn of the loop. What asyncio does to a task holds in
every state: where the task is cancelled while it waits, the cancellation strikes the coroutine that holds its runner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as ContextVars
from types import coroutine as coroutine_function
from typing import TYPE_CHECKING, Any, TypeAlias, Union, final

from actorrt import forks
from actorrt.actors.refs.waits import TaskWaiter
from actorrt.completion import Completion

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.refs.message import Message

Rest: TypeAlias = Coroutine[Any, Any, None]
"""What is left of a message that waits for something, for the task of a runner to drive."""
Left: TypeAlias = Union[Rest, "Runner"]
"""What a message that waits has left behind: its rest, or the runner that it holds."""


@final
class Runner(TaskWaiter):
    """One task, and what runs in it.

    Args:
        loop: of the task.
        resume: called when what a coroutine waited for that holds this runner is done, in the thread that completes.

    Attributes:
        task: the task.
        context: the context of all that runs in it.
        held: the coroutine that waits in it for a completion, if one does.
        message, cell: of that coroutine.
        waits_for: that completion.
    """

    __slots__ = ("_rest", "_resume", "cell", "context", "message")

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[Runner], None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self.loop = loop
        self.context = ContextVars()
        self.future = loop.create_future()
        self.suspension = (self,)
        self.held: Coroutine[Any, Any, Any] | None = None
        self.message: Message | None = None
        self.cell: Cell | None = None
        self.waits_for: Completion[Any] | None = None
        self._resume = resume
        self._rest: Rest | None = None

    def __call__(self, completed: Any) -> None:
        self._resume(self)

    @property
    def is_resumable(self) -> bool:
        """Whether the coroutine that holds it can go on, and nobody has cancelled it."""
        waits_for = self.waits_for
        return waits_for is not None and waits_for._is_done and self.held is not None and not self.future.done()

    def hold(self, cell: Cell, message: Message, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Keep a coroutine, which waits for `waits_for`."""
        self.cell, self.message, self.held = cell, message, coroutine

    def take(self) -> tuple[Message, Coroutine[Any, Any, Any]]:
        """Give up the coroutine that holds this runner."""
        message, coroutine = self.message, self.held
        assert message is not None
        assert coroutine is not None
        self.held = self.message = self.cell = self.waits_for = None
        return message, coroutine

    def give(self, cell: Cell, rest: Rest) -> None:
        """Let the task drive what is left of a message, and then what waits in the cell."""
        self.cell, self._rest = cell, rest
        self._wake()  # where it was cancelled at its first step, it wakes by that

    def dismiss(self) -> None:
        """End the task: enough are parked."""
        self._wake()

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    async def parked(self) -> tuple[Cell, Rest] | None:
        """Wait to be given something; return None when dismissed."""
        self.future = self.loop.create_future()
        try:
            await self.future
        except asyncio.CancelledError:
            cell = self.cell
            if self.held is not None and cell is not None:
                self._rest = cell.taken_over(self)
                self.cell = cell
            if self._rest is None:
                raise
            assert self.task is not None
            self.task.uncancel()  # meant for what the coroutine waits for: it strikes when that is waited for here
            self.task.cancel()
        cell, rest = self.cell, self._rest
        self.cell = self._rest = None
        return None if cell is None or rest is None else (cell, rest)


@coroutine_function
def resumed(coroutine: Coroutine[Any, Any, Any], waited_for: Any) -> Generator[Any, Any, Any]:
    """Drive a coroutine on in a task, which has run up to where it waits for something.

    Returns:
        Its result; its runner, where it waits for a completion: that needs no task.
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
            argument = None  # else error and traceback would keep each other, and all that the frames hold
    return waited_for
