"""The tasks that handle messages, shared by all cells of an endpoint: none is made for a message that never waits.

One runner leads: it takes the cells that have messages, one after the other, and handles what waits in them. A
coroutine method's first step it drives itself; if the coroutine is done by then, it has cost no task. When one
waits, its runner stays with it, to the loop an ordinary task with it inside, and another takes the lead. So
`asyncio.current_task`, timeouts and cancellation work as in any task.

Invariant: while a cell is ready, a runner leads or is about to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as ContextVars
from types import coroutine as coroutine_function
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorrt.scopes import Scope
from actorrt.transport.protocol import Transport

if TYPE_CHECKING:
    from actorrt.actors.cell import Cell

PARKED_COUNT: Final = 64

T = TypeVar("T")


class Runner:
    """One task, and whether it waits for work.

    Attributes:
        task: the task; None until it has begun.
    """

    __slots__ = ("_wake", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None

    def park(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return what ends with `wake`."""
        self._wake = loop.create_future()
        return self._wake

    def wake(self) -> None:
        """Let a parked runner go on."""
        assert self._wake is not None
        if not self._wake.done():
            self._wake.set_result(None)


class Runners:
    """The runners of one endpoint.

    Args:
        scope: owns their tasks.
        transport: holds what they send until there is no more to do for now.
    """

    def __init__(self, scope: Scope, transport: Transport) -> None:
        self._scope = scope
        self._transport = transport
        self._is_draining = False
        self._ready: deque[Cell] = deque()
        self._parked: list[Runner] = []
        self._leader: Runner | None = None

    def statistics(self) -> dict[str, int]:
        """Return how many cells wait for a runner, and how many runners wait for a cell."""
        return {"ready": len(self._ready), "parked": len(self._parked)}

    def schedule(self, cell: Cell) -> None:
        """Have the cell's messages handled, in a later step of the loop."""
        self._ready.append(cell)
        if self._leader is None and not self._is_draining:
            self._appoint()

    def drain_begins(self) -> None:
        """Messages are arriving, and `drained` is called when they are all there."""
        self._is_draining = True

    def drained(self) -> None:
        """Handle at once what needs no task: plain methods. For the rest a runner comes."""
        self._is_draining = False
        ready = self._ready
        for _ in range(len(ready)):
            cell = ready.popleft()
            if cell.handle_plain():
                ready.append(cell)
        if ready and self._leader is None:
            self._appoint()

    def _appoint(self) -> None:
        if self._parked:
            runner = self._leader = self._parked.pop()
            runner.wake()
        elif not self._scope.is_closed:
            runner = self._leader = Runner()
            runner.task = self._scope.start(self._work(runner), "runner", context=ContextVars())

    def stay_behind(self, runner: Runner) -> None:
        """The runner's coroutine waits: let another take the lead."""
        if self._leader is runner:
            self._leader = None
            self._transport.release()
            if self._ready:
                self._appoint()

    async def _work(self, runner: Runner) -> None:
        loop = self._scope.loop
        ready = self._ready
        while True:
            self._transport.hold()
            try:
                while ready:
                    await ready.popleft().work(runner)
            except BaseException:  # an interrupt, or the end of the endpoint: others have to go on without this runner
                self._leader = None if self._leader is runner else self._leader
                self._transport.release()
                if ready and self._leader is None:
                    self._appoint()
                raise
            if self._leader is runner:
                self._leader = None
            self._transport.release()
            if len(self._parked) >= PARKED_COUNT:
                return
            self._parked.append(runner)
            await runner.park(loop)


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
