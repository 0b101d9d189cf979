"""The task in hand, as its own code sees it."""

from __future__ import annotations

from typing import NamedTuple

from actorrt.tasks.submitting import in_hand


class CurrentTask(NamedTuple):
    """One attempt of a task.

    Attributes:
        id: names the task: the same over all its attempts.
        attempt: the number of the attempt, from 1.
        deadline: when it must have ended, by the monotonic clock; None: without limit.
    """

    id: str
    attempt: int
    deadline: float | None


def current_task() -> CurrentTask | None:
    """Return the task whose code calls this; None outside of tasks."""
    task = in_hand.task.get()
    return None if task is None else CurrentTask(task.id, task.attempt, task.deadline)
