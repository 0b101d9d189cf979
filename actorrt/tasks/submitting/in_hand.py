"""The task whose code is running here, as code that submits or waits for further tasks sees it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from actorrt.tasks.policy.task import Task
    from actorrt.tasks.submitting.submitter import Submitter


class Helper(Protocol):
    """The worker that runs a task, which can run the tasks that this one waits for."""

    def run_in_place(self, submitter: Submitter, task: Task) -> None:
        """Called when plain code of the task in hand begins to wait: run `task` now, if that is possible."""

    def run_beside(self, submitter: Submitter, task: Task) -> None:
        """Called when a coroutine of the task in hand begins to wait: run `task` next, if that is possible."""


class TaskInHand(NamedTuple):
    """One task that runs.

    Attributes:
        name: of its function.
        id: names the task: the same over all its attempts.
        attempt: the number of the attempt, from 1.
        deadline: when it must have ended, by the clock of the process; None: without limit.
        depth: how many tasks it lies below.
        worker: runs it.
    """

    name: str
    id: str
    attempt: int
    deadline: float | None
    depth: int
    worker: Helper


task: ContextVar[TaskInHand | None] = ContextVar("actorrt_task", default=None)
"""The task in hand, where code of a task runs."""
