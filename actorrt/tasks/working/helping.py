"""Runs in a worker what its tasks wait for: in the place of a plain wait, or next where a coroutine waits.

Only tasks that nobody has begun run here, and never any that is not waited for: unrelated work on the stack is how
helping joins end in deadlocks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt.completion import Completion
from actorrt.ids import short
from actorrt.tasks.policy.class_queue import SHORT_S
from actorrt.tasks.policy.task import TaskState
from actorrt.tasks.submitting.task_ref import TaskRef
from actorrt.tasks.working.attempt import Attempt, OwnListener
from actorrt.tasks.working.functions import LoadedFunctions

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.submitting.submission import Submission
    from actorrt.tasks.submitting.submitter import Submitter

MAX_NESTED_COUNT: Final = 64
"""How many tasks run in each other's places: beyond, a wait waits for another worker."""

MAX_NESTED_ON_LOOP_COUNT: Final = 256
"""The same on a shared loop, where no other worker takes the next one."""

FRAMES_COUNT: Final = 16
"""How many frames of the stack the runtime takes for a task in the place of a wait, at the most."""

SOON_S: Final = 0.004
"""How long a coroutine leaves long plain tasks, and those of unknown duration, to other workers in any case."""

SAFETY: Final = 4.0
"""How often the mean duration of a task has to fit into a wait with a timeout, for the task to run in its place."""


class HelpedWorker(Protocol):
    """The part of a worker that runs attempts.

    Attributes:
        plain: the attempts whose plain functions run, the innermost last.
        functions: the functions that are loaded.
    """

    plain: list[Attempt]
    functions: LoadedFunctions

    @property
    def waits_in_plain_code(self) -> bool: ...

    def begin(self, attempt: Attempt) -> None: ...

    def begin_soon(self, attempt: Attempt) -> None: ...

    def give_up(self, attempt: Attempt, is_late: bool) -> None: ...


class Helping:
    """Runs what the tasks of one worker wait for.

    Args:
        worker: the worker.
        endpoint: its endpoint.

    Attributes:
        worker: the worker.
    """

    def __init__(self, worker: HelpedWorker, endpoint: ActorEndpoint) -> None:
        self.worker = worker
        self._peer = endpoint.peers.own_peer
        self._store = endpoint.store
        self._clock = endpoint.clock
        self._after = endpoint.scope.after

    def run_in_place(self, ref: TaskRef[Any], until: float | None = None) -> bool:
        """Called when plain code of a task here begins to wait: run that task now, and first what it waits for.

        A wait with a timeout can't end while a task runs in its place. So it runs only tasks that end in time, by the
        mean duration of their function; other workers run those whose function is not known to be short.

        Args:
            ref: the task.
            until: when the time of the wait is up; None: it has no timeout.

        Returns:
            Whether a task has run.
        """
        return self._run_in_place(ref, until, MAX_NESTED_COUNT)

    def run_on_loop(self, ref: TaskRef[Any]) -> None:
        """Called when plain code of a task on a shared loop begins to wait: run that task now, as `run_in_place`.

        The stack of Python may be deeper meanwhile, since no other worker could run the task.
        """
        sys.setrecursionlimit(sys.getrecursionlimit() + FRAMES_COUNT)
        try:
            self._run_in_place(ref, None, MAX_NESTED_ON_LOOP_COUNT)
        finally:
            sys.setrecursionlimit(sys.getrecursionlimit() - FRAMES_COUNT)

    def _run_in_place(self, ref: TaskRef[Any], until: float | None, most_count: int) -> bool:
        has_run = False
        if not self.worker.plain or ref.task is None:
            return has_run
        submitter, wanted = ref.submitter, [ref.task]
        while wanted and len(self.worker.plain) < most_count:
            task = wanted[-1]
            if task.state is TaskState.WAITING:
                missing = _own_missing(submitter, task)
                if not missing:
                    break
                wanted += missing
                continue
            wanted.pop()
            if until is not None and not self._ends_by(task, until):
                break
            if self._is_plain(task) and submitter.book.takes_in_place(task):
                self.worker.begin(self._own_attempt(submitter, task))
                has_run = True
        return has_run

    def run_beside(self, refs: Iterator[TaskRef[Any]]) -> None:
        """Called when a coroutine of a task here begins to wait for all of these: run the first next that is ready.

        When it has ended, the next one that nobody has taken meanwhile follows.
        """
        if self.worker.waits_in_plain_code:
            return  # it would begin only when the plain code has waited, and that may wait for this
        self._run_beside(next(refs, None), refs, is_late=False)

    def _run_beside(self, ref: TaskRef[Any] | None, refs: Iterator[TaskRef[Any]], *, is_late: bool) -> None:
        """Run a task or one that follows. A long plain task would block the loop, so others may take it first.

        If another worker is lent for it, this goes on when it has ended. Until then that worker, or the next one that
        the node lends, runs it.
        """
        while ref is not None:
            task = ref.task
            if task is not None and task.state is TaskState.READY and not self.worker.waits_in_plain_code:
                if self._is_long(task) and not is_late:
                    self._after(SOON_S, partial(self._run_beside, ref, refs, is_late=True))
                    return
                if self._is_long(task) and not _has_no_worker(task):
                    ref.add_callback(lambda _: self.run_beside(refs))
                    return
                if ref.submitter.book.takes_in_place(task):
                    self.worker.begin_soon(self._own_attempt(ref.submitter, task))
                    ref.add_callback(lambda _: self.run_beside(refs))
                    return
            ref, is_late = next(refs, None), False

    def _is_long(self, task: Submission) -> bool:
        mean_s = task.kind.cost.mean_s
        return (mean_s is None or mean_s > SHORT_S) and self._is_plain(task)

    def _ends_by(self, task: Submission, until: float) -> bool:
        mean_s = task.kind.cost.mean_s
        return mean_s is not None and self._clock.now() + SAFETY * mean_s <= until

    def _is_plain(self, task: Submission) -> bool:
        return task.state is not TaskState.ENDED and not self.worker.functions.here(task.kind.function).is_async

    def _own_attempt(self, submitter: Submitter, task: Submission) -> Attempt:
        body, inputs, buffers = task.sent(self._store)
        attempt = Attempt(
            OwnListener(submitter, task),
            self._peer,
            0,
            self.worker.functions.here(task.kind.function),
            body,
            inputs,
            buffers,
            task.deadline,
            f"{short(self._peer)}-{task.number}",
            task.attempts_count,
            task.depth,
        )
        attempt.object_id = task.object_id
        task.withdraw_here = lambda is_late: self.worker.give_up(attempt, is_late)
        return attempt


def _has_no_worker(task: Submission) -> bool:
    return not any(lease.is_open for lease in task.queue.leases.values())


def tasks_in(completion: Completion[Any]) -> Iterator[TaskRef[Any]]:
    """Yield the tasks that a wait for a completion waits for."""
    if isinstance(completion, TaskRef):
        yield completion
    else:
        for part in getattr(completion, "parts", ()):
            yield from tasks_in(part)


def choices_in(completion: Completion[Any]) -> Iterator[TaskRef[Any]]:
    """Yield the tasks of which some end a wait for a completion."""
    for choice in getattr(completion, "choices", tuple)():
        yield from tasks_in(choice)


def _own_missing(submitter: Submitter, task: Submission) -> list[Submission]:
    """Return the tasks of the submitter that a task waits for, and that nobody has begun."""
    inputs = [value for _, value in task.inputs if isinstance(value, TaskRef) and not value.done()]
    tasks = [value.task for value in inputs if value.task is not None and value.submitter is submitter]
    return [found for found in tasks if found.state in (TaskState.READY, TaskState.WAITING)]
