"""The runners of an endpoint: the tasks in which the messages of all its actors are handled.

A *step* handles the messages of the actors that have some, one actor after the other. It borrows the task of a parked
runner: for the code of a method, that is its task (`asyncio.current_task`), with the task's context. A coroutine that
ends without waiting needs no task of its own. A coroutine that waits for a completion holds the runner, and a later
step resumes it. A coroutine that waits for anything else is given to the runner, whose task drives it. So timeouts
and cancellation work as in any task, and a message is handled in the drain that brought it.

Invariant: while an actor's messages or a runner are ready, a step is under way or due, or a runner is starting that
will call for a step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Final

from actorrt import forks
from actorrt.actors.running.runner import Runner, Unfinished, Workable
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Transport

PARKED_COUNT: Final = 64
STEP_COUNT: Final = 16
"""A step handles up to this many entries, also if they become ready during it: an ask inside a process makes two."""


class Runners:
    """The runners of one endpoint.

    Args:
        scope: owns their tasks.
        transport: holds their envelopes back until a step is over.
    """

    def __init__(self, scope: Scope, transport: Transport) -> None:
        self._scope = scope
        self._transport = transport
        self._thread = get_ident()
        self._ready: deque[Workable | Runner] = deque()
        self._parked: list[Runner] = []
        self._is_coming = False  # a step: it is due, or under way, or comes at the end of a drain or with a new runner

    def statistics(self) -> dict[str, int]:
        """Return how many actors and coroutines wait for a step, and how many runners are parked."""
        return {"ready": len(self._ready), "parked": len(self._parked)}

    def schedule(self, workable: Workable) -> None:
        """Have the messages of an actor handled, in a later step of the loop."""
        self._ready.append(workable)
        if not self._is_coming:
            self._call_for_step()

    def _resume(self, runner: Runner) -> None:
        """Called, in any thread, when the completion is done that the coroutine of a runner waits for."""
        if get_ident() == self._thread:
            self._ready.append(runner)
            if not self._is_coming:
                self._call_for_step()
            return
        try:
            self._scope.loop.call_soon_threadsafe(self._resume, runner)
        except RuntimeError:
            if not self._scope.loop.is_closed():  # a closed loop has nobody left to wake
                raise

    def _call_for_step(self) -> None:
        self._is_coming = True
        self._scope.loop.call_soon(self._due)

    def drain_begins(self) -> None:
        """Called when messages are arriving; `drained` is called when all of them are there."""
        self._is_coming = True

    def drained(self) -> None:
        """Handle the messages that have arrived; envelopes that are sent meanwhile leave afterwards."""
        self._step()

    def _due(self) -> None:
        self._transport.hold()
        try:
            self._step()
        finally:
            self._transport.release()

    def _step(self) -> None:
        """Handle the entries that are ready, and a few that become ready meanwhile; a later step handles the rest."""
        ready = self._ready
        left_count = max(len(ready), STEP_COUNT)
        self._is_coming = True
        is_short = False  # of runners: a new one calls for the next step
        try:
            while ready and left_count and not is_short:
                left_count -= 1
                entry = ready.popleft()
                if type(entry) is Runner:
                    if entry.is_resumable and entry.workable is not None:
                        self._lend(entry, entry.workable, entry.workable.resume)
                elif (runner := self._parked_runner()) is not None:
                    self._lend(runner, entry, entry.work)
                else:
                    ready.appendleft(entry)
                    is_short = True
        finally:  # also where a method was interrupted: what waits behind it still has its turn
            self._is_coming = is_short
            if ready and not is_short:
                self._call_for_step()

    def _lend(self, runner: Runner, workable: Workable, work: Callable[[Runner], Unfinished | None]) -> None:
        """Let code of an actor run in a runner's task, up to where it waits for something."""
        loop, task = self._scope.loop, runner.task
        assert task is not None
        asyncio._enter_task(loop, task)
        try:
            unfinished = runner.context.run(work, runner)
            if unfinished is not None and type(unfinished) is not Runner:
                runner.give(workable, unfinished)
        finally:
            if forks.abandoned:
                forks.end_if_child()
            asyncio._leave_task(loop, task)
            if runner.held is not None or runner.future.done():
                pass
            elif len(self._parked) < PARKED_COUNT:
                self._parked.append(runner)
            else:
                runner.dismiss()

    def abandon_after_fork(self) -> None:
        """Handle nothing more in a forked child: its task ends with the message in hand."""
        self._ready.clear()
        task = asyncio.current_task(self._scope.loop)
        if task is not None:
            task.cancel()

    def _parked_runner(self) -> Runner | None:
        """Return a runner whose task can be borrowed; None while a new one is made, which then calls for a step."""
        while self._parked:
            runner = self._parked.pop()
            if not runner.future.done():  # by a cancellation
                return runner
        if not self._scope.is_closed:
            runner = Runner(self._scope.loop, self._resume)
            runner.task = self._scope.start(self._work(runner), "runner", context=runner.context)
        return None

    async def _work(self, runner: Runner) -> None:
        self._is_coming = False
        while runner.held is not None or len(self._parked) < PARKED_COUNT:
            if runner.held is None:
                self._parked.append(runner)
            if self._ready and not self._is_coming:
                self._call_for_step()
            given = await runner.parked()
            if given is None:
                return
            await self._drive(runner, *given)

    async def _drive(self, runner: Runner, workable: Workable, unfinished: Unfinished | None) -> None:
        while unfinished is not None and type(unfinished) is not Runner:
            try:
                await unfinished
            except BaseException:
                workable.runner_left()
                raise
            if runner.held is not None:
                return
            self._transport.hold()
            try:
                unfinished = workable.work_on(runner)
            finally:
                self._transport.release()
