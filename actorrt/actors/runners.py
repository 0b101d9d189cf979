"""The tasks that messages are handled in, shared by all cells of an endpoint: none is made for one that never waits.

A *step* handles what waits in the cells that have messages, one after the other. It borrows the task of a runner that
is parked: to the code of a method, that is its task (`asyncio.current_task`) with its context. A coroutine that is over
at its first step has cost no more than that. One that waits is given to the runner, which drives it on, to the loop an
ordinary task with the coroutine inside, and the step goes on with another runner. So timeouts and cancellation work as
in any task, and a message is handled in the drain that brought it.

Invariant: while a cell is ready, a step is due, or a runner that will call for one is on its way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as ContextVars
from types import coroutine as coroutine_function
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from actorrt.scopes import Scope
from actorrt.transport.protocol import Transport

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell

PARKED_COUNT: Final = 64

T = TypeVar("T")
Rest: TypeAlias = Coroutine[Any, Any, None]
"""What is left of a message that waits for something."""


class Runner:
    """One task, and what it is to drive.

    Attributes:
        task: the task.
        context: the context of all that runs in it.
    """

    __slots__ = ("_cell", "_rest", "_wake", "context", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.task: asyncio.Task[None] | None = None
        self.context = ContextVars()
        self._wake: asyncio.Future[None] = loop.create_future()
        self._cell: Cell | None = None
        self._rest: Rest | None = None

    @property
    def is_parked(self) -> bool:
        """Whether it waits for something to drive, and nobody has cancelled it."""
        return not self._wake.done()

    def give(self, cell: Cell, rest: Rest) -> None:
        """Let the runner drive what is left of a message, and then what waits in the cell."""
        self._cell, self._rest = cell, rest
        if not self._wake.done():  # else it was cancelled at its first step, which comes to the same
            self._wake.set_result(None)

    async def parked(self, loop: asyncio.AbstractEventLoop) -> tuple[Cell, Rest]:
        """Wait to be given something."""
        self._wake = loop.create_future()
        try:
            await self._wake
        except asyncio.CancelledError:
            if self._rest is None:
                raise
            assert self.task is not None
            self.task.uncancel()  # meant for what the coroutine waits for: it strikes when that is waited for here
            self.task.cancel()
        cell, rest = self._cell, self._rest
        assert cell is not None
        assert rest is not None
        self._cell = self._rest = None
        return cell, rest


class Runners:
    """The runners of one endpoint.

    Args:
        scope: owns their tasks.
        transport: holds what they send until there is no more to do for now.
    """

    def __init__(self, scope: Scope, transport: Transport) -> None:
        self._scope = scope
        self._transport = transport
        self._ready: deque[Cell] = deque()
        self._parked: list[Runner] = []
        self._is_draining = False
        self._is_due = False

    def statistics(self) -> dict[str, int]:
        """Return how many cells wait for a runner, and how many runners wait for a cell."""
        return {"ready": len(self._ready), "parked": len(self._parked)}

    def schedule(self, cell: Cell) -> None:
        """Have the cell's messages handled, in a later step of the loop."""
        self._ready.append(cell)
        if not self._is_due and not self._is_draining:
            self._call_for_step()

    def _call_for_step(self) -> None:
        self._is_due = True
        self._scope.loop.call_soon(self._due)

    def drain_begins(self) -> None:
        """Messages are arriving, and `drained` is called when they are all there."""
        self._is_draining = True

    def drained(self) -> None:
        """Handle what has arrived; what is sent meanwhile leaves afterwards."""
        self._is_draining = False
        if self._ready:
            self._step()

    def _due(self) -> None:
        self._is_due = False
        self._transport.hold()
        try:
            self._step()
        finally:
            self._transport.release()

    def _step(self) -> None:
        """Handle what waits in the cells that are ready; those that become so meanwhile have their turn later."""
        ready, loop = self._ready, self._scope.loop
        left_count = len(ready)
        while left_count:
            runner = self._parked_runner()
            if runner is None:
                return
            task = runner.task
            assert task is not None
            asyncio._enter_task(loop, task)
            try:
                while left_count:
                    left_count -= 1
                    cell = ready.popleft()
                    rest = runner.context.run(cell.work, runner)
                    if rest is not None:
                        runner.give(cell, rest)
                    if not runner.is_parked:
                        break
            except BaseException:  # a method was interrupted: what waits behind it still has its turn
                if ready and not self._is_due:
                    self._call_for_step()
                raise
            finally:
                asyncio._leave_task(loop, task)
                if runner.is_parked:
                    self._parked.append(runner)

    def _parked_runner(self) -> Runner | None:
        """Return a runner whose task can be borrowed; None where one has to be made, which calls for a step then."""
        while self._parked:
            runner = self._parked.pop()
            if runner.is_parked:
                return runner
        if not self._scope.is_closed:
            runner = Runner(self._scope.loop)
            runner.task = self._scope.start(self._work(runner), "runner", context=runner.context)
        return None

    async def _work(self, runner: Runner) -> None:
        while len(self._parked) < PARKED_COUNT:
            self._parked.append(runner)
            if self._ready and not self._is_due:
                self._call_for_step()
            cell, rest = await runner.parked(self._scope.loop)
            await self._drive(runner, cell, rest)

    async def _drive(self, runner: Runner, cell: Cell, rest: Rest | None) -> None:
        while rest is not None:
            try:
                await rest
            except BaseException:
                cell.rested()
                raise
            self._transport.hold()
            try:
                rest = cell.go_on(runner)
            finally:
                self._transport.release()


@coroutine_function
def resumed(coroutine: Coroutine[Any, Any, T], waited_for: Any) -> Generator[Any, Any, T]:
    """Drive a coroutine on, which has run up to where it waits for something, and return its result."""
    while True:
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
            result: T = end.value
            return result
        finally:
            argument = None  # else error and traceback would keep each other, and all that the frames hold
