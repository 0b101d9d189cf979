"""Pure: one task at its submitter, and what is known of its function.

    WAITING ──▶ READY ◀──▶ ASSIGNED ──▶ ENDED
       ▲          ▲           │
       │          └─ RESTING ◀┤
       └──────────────────────┘ a result that it takes is lost, before it has begun

A task is WAITING while a result that it takes is not there, READY in the queue of its class, ASSIGNED while an attempt
of it is at a worker or in the submitter's own process, and RESTING before it is tried again. Nothing here says that it
runs: only its worker knows that.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorrt.tasks.policy.class_queue import ClassQueue, Lease

SMOOTHING: Final = 0.25
"""The weight of the newest duration in the mean of a function's durations."""


class TaskState(IntEnum):
    """Where a task is, as its submitter sees it."""

    WAITING = 1
    READY = 2
    ASSIGNED = 3
    RESTING = 4
    ENDED = 5


class WorkerEnd(Enum):
    """How a worker ended, as far as it decides what its tasks are charged with."""

    CRASHED = "crashed"
    """What had begun there is charged with an attempt: it may be the cause."""
    LACKED_MEMORY = "lacked_memory"
    """What had begun there used more memory than it may, which is charged apart from retries."""
    KILLED = "killed"
    """The node killed it, for the sake of another task: nothing is charged."""


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


class TaskKind:
    """What the tasks of one function with the same options have in common.

    Args:
        cost: how long the tasks of the function take.
        retries: how many further attempts each task may have.

    Attributes:
        queue: the queue of their class; to be set before the first of them is taken in.
    """

    __slots__ = ("cost", "queue", "retries")

    def __init__(self, cost: FunctionCost, retries: int) -> None:
        self.cost = cost
        self.retries = retries
        self.queue: ClassQueue[Any] | None = None


class Task:
    """One task, from its submission to its end.

    Args:
        number: the submitter's number of the task, from 1.
        kind: its function and its options.
        depth: how many tasks it lies below: 0 if no task submitted it.

    Attributes:
        state: where it is.
        missing_count: how many of the results that it takes are not there.
        retries_left: how many further attempts it may have.
        lease, sequence: the lease that its newest attempt was sent on, and the number of the attempt. The lease is None
            before the first attempt, and for an attempt in the submitter's own process.
        attempts_count: how many attempts were sent.
        deaths: descriptions of the attempts that ended their workers; opaque here.
        memory_deaths_count: how many of the attempts ended because they used too much memory.
    """

    __slots__ = (
        "attempts_count",
        "deaths",
        "depth",
        "kind",
        "lease",
        "memory_deaths_count",
        "missing_count",
        "number",
        "retries_left",
        "sequence",
        "state",
    )

    def __init__(self, number: int, kind: TaskKind, depth: int = 0) -> None:
        self.number = number
        self.kind = kind
        self.depth = depth
        self.state = TaskState.WAITING
        self.lease: Lease[Any] | None = None
        self.sequence = self.attempts_count = self.missing_count = self.memory_deaths_count = 0
        self.retries_left = kind.retries
        self.deaths: tuple[Any, ...] = ()

    @property
    def queue(self) -> ClassQueue[Any]:
        """The queue of its class."""
        queue = self.kind.queue
        assert queue is not None, f"it was not taken in: {self.story}"
        return queue

    @property
    def is_repeatable(self) -> bool:
        """Whether it may run more than once."""
        return self.kind.retries > 0

    @property
    def story(self) -> str:
        """The task in words, for the text of a broken invariant."""
        queue, lease = self.kind.queue, self.lease
        return (
            f"task {self.number} of class {'?' if queue is None else queue.number} is {self.state.name}, attempt "
            f"{self.attempts_count}, on lease {0 if lease is None else lease.number} as {self.sequence}, "
            f"{self.missing_count} results missing"
        )
