"""The task whose code is running here, as code that submits or waits for further tasks sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from actorrt.protocol.processes import WaitCycle
    from actorrt.tasks.submitting.task_ref import TaskRef


class Helper(Protocol):
    """The worker that runs a task, which can run the tasks that this one waits for."""

    def run_on_loop(self, ref: TaskRef[Any]) -> None:
        """Called when plain code of the task in hand begins to wait on the loop: run a task now, if possible."""

    def run_beside(self, refs: Iterator[TaskRef[Any]]) -> None:
        """Called when a coroutine of the task in hand begins to wait: run these tasks next, if that is possible."""


class CycleSearch(Protocol):
    """Finds tasks that wait for themselves."""

    def suspect(self, waiting: TaskRef[Any]) -> None:
        """Called when a task has returned a ref, which is followed."""

    async def behind_task(self, ref: TaskRef[Any], start: bytes, seen: set[bytes]) -> WaitCycle | None:
        """Follow the wait for the result of a task."""


class TaskInHand:
    """One task that runs.

    Args:
        name: of its function.
        task_id: names the task: the same over all its attempts.
        attempt: the number of the attempt, from 1.
        deadline: when it must have ended, by the clock of the process; None: without limit.
        depth: how many tasks it lies below.
        worker: runs it.

    Attributes:
        children: the tasks that it has submitted, as far as they have not ended; None until the first.
    """

    __slots__ = ("attempt", "children", "deadline", "depth", "id", "name", "worker")

    def __init__(
        self, name: str, task_id: str, attempt: int, deadline: float | None, depth: int, worker: Helper
    ) -> None:
        self.name = name
        self.id = task_id
        self.attempt = attempt
        self.deadline = deadline
        self.depth = depth
        self.worker = worker
        self.children: WeakSet[TaskRef[Any]] | None = None

    def submitted(self, ref: TaskRef[Any]) -> None:
        """Called when it has submitted a task."""
        if self.children is None:
            self.children = WeakSet()
        self.children.add(ref)

    @property
    def has_children(self) -> bool:
        """Whether a task that it has submitted has not ended."""
        return bool(self.children) and not all([ref.done() for ref in self.children or ()])

    def cancel_children(self) -> None:
        """Called when it is given up before its end: so are the tasks that it has submitted."""
        for ref in list(self.children or ()):
            ref.cancel()


task: ContextVar[TaskInHand | None] = ContextVar("actorrt_task", default=None)
"""The task in hand, where code of a task runs."""
