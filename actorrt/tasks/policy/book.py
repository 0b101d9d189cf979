"""Pure: all tasks of one submitter, from their submission to their end. It is told events and returns what follows.

The submitter alone decides about a task; workers and nodes report facts. Whatever a worker says of a task names the
lease and the number of the attempt on it, so that the words of an attempt that was given up are told apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from actorrt.ids import PeerAddress, PeerId
from actorrt.invariants import about
from actorrt.tasks.policy.class_queue import ClassQueue, Lease
from actorrt.tasks.policy.task import Task, TaskState, WorkerEnd

T = TypeVar("T", bound=Task)

MAX_DEATHS_COUNT: Final = 3
"""A task that has ended so many workers fails, whatever its retries say."""
MAX_MEMORY_DEATHS_COUNT: Final = 3
"""A task that has used too much memory in so many attempts fails, whatever its retries are."""


class Interrupted(NamedTuple, Generic[T]):
    """A task whose worker was lost.

    Attributes:
        task: the task.
        has_begun: whether the worker had begun it.
        runs_again: whether it is ready again; otherwise it has ended, and its waiters are to be told.
    """

    task: T
    has_begun: bool
    runs_again: bool


class Book(Generic[T]):
    """The tasks of one submitter.

    Attributes:
        classes: the queues, by the number of the class.
        late_count: how many outcomes came for attempts that had been given up.
    """

    def __init__(self) -> None:
        self.classes: dict[int, ClassQueue[T]] = {}
        self.late_count = 0
        self._tasks: dict[int, T] = {}
        self._sequences = itertools.count(1)
        self._leases: dict[int, Lease[T]] = {}

    def __len__(self) -> int:
        """How many tasks have not ended."""
        return len(self._tasks)

    def tasks(self) -> list[T]:
        """Return the tasks that have not ended, oldest first."""
        return list(self._tasks.values())

    def begin_class(self, task_class: int, *, is_light: bool) -> ClassQueue[T]:
        """Begin a class, and return its queue; see `ClassQueue`."""
        queue: ClassQueue[T] = ClassQueue(task_class, self._sequences.__next__, is_light=is_light)
        self.classes[task_class] = queue
        return queue

    # Tasks

    def submitted(self, task: T) -> None:
        """Take in a new task."""
        self._tasks[task.number] = task
        if task.missing_count == 0:
            task.queue.add(task)

    def input_arrived(self, task: T) -> bool:
        """Called when one of the results that a task takes is there. Return whether the task is ready now."""
        task.missing_count -= 1
        is_ready = task.missing_count == 0 and task.state is TaskState.WAITING
        if is_ready:
            task.queue.add(task)
        return is_ready

    def waits_again(self, task: T, lease: Lease[T], missing_count: int, now: float) -> None:
        """Called when a task that has just been assigned is not to be sent: so many of its results are made again."""
        lease.queue.take_back(lease, task.sequence, now)
        task.state, task.lease, task.missing_count = TaskState.WAITING, None, missing_count
        task.attempts_count -= 1

    def ended(self, task: T) -> None:
        """End a task that is not at a worker, or is given up there: what an attempt of it still says is late."""
        was_ready = task.state is TaskState.READY
        task.state = TaskState.ENDED
        if was_ready:
            task.queue.withdraw(task)
        self._tasks.pop(task.number, None)

    def takes_in_place(self, task: T) -> bool:
        """Take a ready task out of its queue, to be run in this process; return whether that was possible."""
        if task.state is not TaskState.READY:
            return False
        task.state = TaskState.ASSIGNED
        task.lease, task.sequence = None, 0
        task.attempts_count += 1
        task.queue.withdraw(task)
        return True

    def given_back(self, task: T) -> None:
        """Called when a task that was taken to be run in this process has not begun: it is the next one again."""
        if task.state is TaskState.ASSIGNED:
            task.queue.add(task, is_next=True)

    def rests(self, task: T) -> bool:
        """Let a task rest before another attempt, if it has one left. Return whether it has."""
        if task.retries_left <= 0:
            return False
        task.retries_left -= 1
        task.state = TaskState.RESTING
        return True

    def rested(self, task: T) -> None:
        """Called when a task has rested."""
        if task.state is TaskState.RESTING:
            task.queue.add(task)

    # Leases

    def granted(self, task_class: int, lease: int, worker: PeerAddress, now: float) -> None:
        """Called when the node has lent a worker for a class."""
        self._leases[lease] = self.classes[task_class].granted(lease, worker, now)

    def lease(self, number: int) -> Lease[T] | None:
        """Return a lease; None if it was given back, or its worker is lost."""
        return self._leases.get(number)

    def returned(self, lease: int) -> None:
        """Called when a lease was given back."""
        self._leases.pop(lease).queue.removed(lease)

    def leases(self) -> Iterable[Lease[T]]:
        """Return every lease."""
        return self._leases.values()

    # What workers say

    def over(self, lease: Lease[T], sequence: int, now: float, duration_s: float | None = None) -> T | None:
        """Called when a worker says how an attempt ended. Return its task; None if the attempt was given up."""
        lease.is_blocked = False
        task = lease.queue.take_back(lease, sequence, now)
        if task is not None and duration_s is not None:
            task.kind.cost.took(duration_s)
        if task is None or task.state is TaskState.ENDED:
            self.late_count += 1
            return None
        return task

    def skipped(self, lease: Lease[T], sequence: int, now: float) -> None:
        """Called when a worker gives back an attempt that it did not begin, since it waits or an argument is lost."""
        task = lease.queue.take_back(lease, sequence, now)
        lease.is_blocked = bool(lease.in_hand)
        if task is not None and task.state is TaskState.ASSIGNED:
            lease.queue.add(task, is_next=True)

    def worker_lost(self, peer: PeerId, begun: int, how: WorkerEnd, end: Any) -> list[Interrupted[T]]:
        """Called when the process of a worker has ended. Only attempts that it had begun are charged.

        Args:
            peer: the worker.
            begun: the number of the newest attempt that it had begun.
            how: what they are charged with.
            end: describes how attempts ended that had begun, for the error that tells of it.

        Returns:
            The tasks that were there, oldest first.
        """
        interrupted: list[Interrupted[T]] = []
        for lease in [lease for lease in self.leases() if lease.worker.peer == peer]:
            queue = lease.queue
            self.returned(lease.number)
            for sequence, task in reversed(lease.in_hand.items()):  # so that those that are ready keep their order
                if task.state is TaskState.ASSIGNED:
                    has_begun = sequence <= begun
                    runs_again = not has_begun or self._charged(task, how, end)
                    if runs_again:
                        queue.add(task, is_next=True)
                    else:
                        self.ended(task)
                    interrupted.append(Interrupted(task, has_begun, runs_again))
        return interrupted[::-1]

    def _charged(self, task: T, how: WorkerEnd, end: Any) -> bool:
        """Charge a task for an attempt that had begun when its worker ended. Return whether it may run again."""
        if how is WorkerEnd.KILLED and task.is_repeatable:
            return True
        task.deaths = (*task.deaths, end)
        if how is WorkerEnd.KILLED:
            return False
        if how is WorkerEnd.LACKED_MEMORY:
            task.memory_deaths_count += 1
            return task.is_repeatable and task.memory_deaths_count < MAX_MEMORY_DEATHS_COUNT
        if task.retries_left <= 0 or len(task.deaths) - task.memory_deaths_count >= MAX_DEATHS_COUNT:
            return False
        task.retries_left -= 1
        return True

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError, with the task concerned, if the book contradicts itself."""
        for queue in self.classes.values():
            queue.check_invariants()
        at_workers = {id(task) for lease in self.leases() for task in lease.in_hand.values()}
        for number, task in self._tasks.items():
            with about(number):
                assert task.number == number, task.story
                assert task.state is not TaskState.ENDED, f"it has ended and is kept: {task.story}"
                assert (task.state is TaskState.WAITING) == (task.missing_count > 0), task.story
                is_at_worker = task.state is TaskState.ASSIGNED and task.lease is not None
                assert is_at_worker == (id(task) in at_workers), f"it is at a worker, or not: {task.story}"
        held = {number for queue in self.classes.values() for number in queue.leases}
        assert self._leases.keys() == held, "leases without a queue"
