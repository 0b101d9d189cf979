"""Pure: one task at its submitter, and what is known of its function.

    WAITING ──▶ READY ◀──▶ ASSIGNED ──▶ ENDED
                  ▲           │
                  └─ RESTING ◀┘

A task is WAITING while a result that it takes is not there, READY in the queue of its class, ASSIGNED while an attempt
of it is at a worker or in the submitter's own process, and RESTING before it is tried again. Nothing here says that it
runs: only its worker knows that.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

SMOOTHING: Final = 0.25
"""The weight of the newest duration in the mean of a function's durations."""


class TaskState(IntEnum):
    """Where a task is, as its submitter sees it."""

    WAITING = 1
    READY = 2
    ASSIGNED = 3
    RESTING = 4
    ENDED = 5


class FunctionCost:
    """The mean duration of a function's tasks.

    Attributes:
        mean_s: an exponentially weighted mean, in seconds; None until the first task has ended.
    """

    __slots__ = ("mean_s",)

    def __init__(self) -> None:
        self.mean_s: float | None = None

    def took(self, duration_s: float) -> None:
        """Called when a task of the function has ended."""
        mean_s = self.mean_s
        self.mean_s = duration_s if mean_s is None else mean_s + SMOOTHING * (duration_s - mean_s)


class Task:
    """One task, from its submission to its end.

    Args:
        number: the submitter's number of the task, from 1.
        task_class: the number of its class, which is what its worker must offer.
        cost: how long its function takes.
        missing_count: how many of the results that it takes are not there.
        retries: how many further attempts it may have.
        depth: how many tasks it lies below: 0 if no task submitted it.
        payload: what the shell needs to send it; opaque here.

    Attributes:
        state: where it is.
        lease, sequence: the lease that its newest attempt was sent on, and the number of the attempt.
        attempts_count: how many attempts were sent.
        deaths: descriptions of the attempts that ended their workers; opaque here.
        is_repeatable: whether it may run more than once.
        memory_deaths_count: how many of the attempts ended because they used too much memory.
    """

    __slots__ = (
        "attempts_count",
        "cost",
        "deaths",
        "depth",
        "is_repeatable",
        "lease",
        "memory_deaths_count",
        "missing_count",
        "number",
        "payload",
        "retries_left",
        "sequence",
        "state",
        "task_class",
    )

    def __init__(
        self,
        number: int,
        task_class: int,
        cost: FunctionCost,
        *,
        missing_count: int = 0,
        retries: int = 0,
        depth: int = 0,
        payload: Any = None,
    ) -> None:
        self.number = number
        self.task_class = task_class
        self.cost = cost
        self.missing_count = missing_count
        self.retries_left = retries
        self.is_repeatable = retries > 0
        self.memory_deaths_count = 0
        self.depth = depth
        self.payload = payload
        self.state = TaskState.WAITING
        self.lease = self.sequence = self.attempts_count = 0
        self.deaths: tuple[Any, ...] = ()

    @property
    def story(self) -> str:
        """The task in words, for the text of a broken invariant."""
        return (
            f"task {self.number} of class {self.task_class} is {self.state.name}, attempt {self.attempts_count}, on "
            f"lease {self.lease} as {self.sequence}, {self.missing_count} results missing"
        )
