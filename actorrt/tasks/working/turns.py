"""When a worker runs its tasks: outside the loop of its process, or as steps of a loop that it shares.

In a process of its own, the main thread runs plain functions itself, and the loop only between them and inside their
waits. So no thread hands over to another, and a wait is a place where the loop runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.scopes import Scope
from actorrt.tasks.working.helping import tasks_in
from actorrt.tasks.working.worker import PATIENCE_S

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.working.worker import TaskWorker

REPLY_WITHIN_S: Final = 0.0002
"""How long an outcome may wait for others before it leaves."""


HandOver: TypeAlias = Callable[[Callable[[], Any]], Any]
"""Runs a function on the loop, soon or at once."""


class ProcessTurns:
    """Runs the tasks of a process outside of its loop.

    Args:
        loop: the loop of the main thread, which nobody else runs.
        is_light: whether its tasks are light, and of all submitters.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_light: bool) -> None:
        self._loop = loop
        self._is_light = is_light
        self._worker: TaskWorker | None = None
        self._endpoint: ActorEndpoint | None = None
        self._is_idle = False  # the loop runs, and nothing else is to be done
        self.hand_over: HandOver = loop.call_soon

    def work_came(self) -> None:
        """Called when there may be something to run."""
        if self._is_idle:
            self._is_idle = False
            if self._worker is not None:
                self._worker.goes_on()
            self._loop.stop()

    def begin(self, worker: TaskWorker, endpoint: ActorEndpoint) -> None:
        """Run the tasks of a worker, which is an endpoint's, from now on."""
        self._worker, self._endpoint = worker, endpoint

    def run(self, serving: Coroutine[Any, Any, None]) -> None:
        """Run the loop and the tasks, until the coroutine that serves the node has ended."""
        served = self._loop.run_until_complete(_begun(serving))
        served.add_done_callback(lambda _: self.work_came())
        unsent_since: float | None = None
        while not served.done():
            worker = self._worker
            if worker is None or not worker.inbox:
                unsent_since = None
                self._run_until_work_comes()
                continue
            worker.begin_next()
            now = worker.clock.now()
            unsent_since = now if unsent_since is None else unsent_since
            following = worker.inbox.peek()
            mean_s = None if following is None else following.function.cost.mean_s
            if mean_s is None or mean_s > REPLY_WITHIN_S or now - unsent_since >= REPLY_WITHIN_S:
                unsent_since = None
                self._turn()
        served.result()

    def _run_until_work_comes(self) -> None:
        """Run the loop until there is something to run, or the worker is to end."""
        waits = None
        if self._worker is not None and self._worker.running_count:  # only coroutines are in hand
            waits = self._loop.call_later(PATIENCE_S, self._worker.waits)
        self._is_idle = True
        self._run_loop()
        if waits is not None:
            waits.cancel()

    def _run_loop(self) -> None:
        """Run the loop until it is stopped. Before, let the answers leave that tasks outside of it have given."""
        endpoint = self._endpoint
        if endpoint is None:
            self._loop.run_forever()
            return
        endpoint.transport.release()
        endpoint.threads.enter()
        try:
            self._loop.run_forever()
        finally:
            endpoint.threads.leave()
            endpoint.transport.hold()

    def wait(self, completion: Completion[Any], timeout_s: float | None) -> None:
        """Wait in plain code of a task: the blocking rule of the main thread.

        Raises:
            RuntimeStateError: the code runs on the loop, which would be blocked, or in a worker that all light tasks
                share: a wait there would keep them all from being begun, also the one that is waited for.
            CallCancelledError, CallTimeoutError: the task in hand was withdrawn meanwhile.
        """
        worker = self._worker
        if self._loop.is_running() or worker is None:
            raise RuntimeStateError(
                f"{completion!r}: .result() in a coroutine would block the loop that has to complete it; use await"
            )
        if self._is_light:
            raise RuntimeStateError(
                f"{completion!r}: .result() in plain code of a task with cpus=0 would block the worker that all such "
                "tasks share; write a coroutine and use await, or give the task a part of a CPU, such as cpus=0.1"
            )
        until = None if timeout_s is None else worker.clock.now() + timeout_s
        self._turn()  # the task that is waited for may have been submitted just now
        for ref in tasks_in(completion):
            if worker.helping.run_in_place(ref, until) and not completion.done():
                self._turn()  # meanwhile other workers may have been lent for the next ones
        if completion.done():
            return
        interrupt = worker.wait_begins(completion if timeout_s is None else None)
        try:
            self._wait(worker, completion, interrupt, until)
        finally:
            worker.wait_ends()

    def _turn(self) -> None:
        """Run what is due on the loop."""
        self._loop.call_soon(self._loop.stop)
        self._run_loop()

    def _wait(
        self,
        worker: TaskWorker,
        completion: Completion[Any],
        interrupt: Completion[None] | None,
        until: float | None,
    ) -> None:
        """Run the loop until the completion is done, the task was withdrawn, or the time is up."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                worker.goes_on()
                self._loop.stop()

        def wake(_: Any) -> None:  # in the thread that completes
            self._loop.call_soon_threadsafe(end)

        timers = [self._loop.call_later(PATIENCE_S, worker.waits)]
        if until is not None:
            timers.append(self._loop.call_later(max(0.0, until - worker.clock.now()), end))
        completion.add_callback(wake)
        if interrupt is not None:
            interrupt.add_callback(wake)
        self._run_loop()
        completion.remove_callback(wake)
        for timer in timers:
            timer.cancel()


async def _begun(serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin to serve the node; whoever runs the loop raises what this raises."""
    return Scope("worker of tasks", lambda _: None).start(serving, "serve")


def _at_once(callback: Callable[[], Any]) -> None:
    callback()


class LoopTurns:
    """Runs tasks as steps of a loop that the worker shares with others, in local mode and in simulations.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_due = False
        self.hand_over: HandOver = _at_once
        self._worker: TaskWorker | None = None
        self._patience: asyncio.TimerHandle | None = None

    def begin(self, worker: TaskWorker) -> None:
        """Run the tasks of a worker from now on."""
        self._worker = worker

    def work_came(self) -> None:
        """Called when there may be something to run."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_due = False
        worker = self._worker
        if worker is None:
            return
        worker.goes_on()
        worker.begin_next()
        if worker.inbox:
            self.work_came()
        elif worker.running_count and self._patience is None:
            self._patience = self._loop.call_later(PATIENCE_S, self._patience_ended)

    def _patience_ended(self) -> None:
        """Tell the node that only coroutines are in hand, and wait."""
        self._patience = None
        worker = self._worker
        if worker is not None and worker.running_count and not worker.inbox and not self._is_due:
            worker.waits()
