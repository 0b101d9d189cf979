"""Pure: all tasks of one submitter, from their submission to their end. It is told events and returns what follows.

The submitter alone decides about a task; workers and nodes report facts. Whatever a worker says of a task names the
lease and the number of the attempt on it, so that the words of an attempt that was given up are told apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from actorrt.ids import PeerAddress, PeerId
from actorrt.invariants import about
from actorrt.tasks.policy.class_queue import ClassQueue, Lease
from actorrt.tasks.policy.task import Task, TaskState

MAX_DEATHS_COUNT: Final = 3
"""A task that has ended so many workers fails, whatever its retries say."""
MAX_MEMORY_DEATHS_COUNT: Final = 3
"""A task that has used too much memory in so many attempts fails, whatever its retries are."""


class Interrupted(NamedTuple):
    """A task whose worker was lost.

    Attributes:
        task: the task.
        has_begun: whether the worker had begun it.
        runs_again: whether it is ready again; otherwise it has ended, and its waiters are to be told.
    """

    task: Task
    has_begun: bool
    runs_again: bool


class Book:
    """The tasks of one submitter.

    Attributes:
        classes: the queues, by the number of the class.
        late_count: how many outcomes came for attempts that had been given up.
    """

    def __init__(self) -> None:
        self.classes: dict[int, ClassQueue] = {}
        self.late_count = 0
        self._tasks: dict[int, Task] = {}
        self._sequences = itertools.count(1)
        self._queue_of_lease: dict[int, ClassQueue] = {}

    def __len__(self) -> int:
        """How many tasks have not ended."""
        return len(self._tasks)

    def tasks(self) -> list[Task]:
        """Return the tasks that have not ended, oldest first."""
        return list(self._tasks.values())

    def begin_class(self, task_class: int, *, is_light: bool) -> None:
        """Begin a class; see `ClassQueue`."""
        self.classes[task_class] = ClassQueue(task_class, self._sequences.__next__, is_light=is_light)

    def queue(self, task_class: int) -> ClassQueue:
        """Return the queue of a class."""
        return self.classes[task_class]

    # Tasks

    def submitted(self, task: Task) -> None:
        """Take in a new task."""
        self._tasks[task.number] = task
        if task.missing_count == 0:
            self.queue(task.task_class).add(task)

    def input_arrived(self, task: Task) -> bool:
        """Called when one of the results that a task takes is there. Return whether the task is ready now."""
        task.missing_count -= 1
        is_ready = task.missing_count == 0 and task.state is TaskState.WAITING
        if is_ready:
            self.queue(task.task_class).add(task)
        return is_ready

    def ended(self, task: Task) -> None:
        """End a task that is not at a worker, or is given up there: what an attempt of it still says is late."""
        was_ready = task.state is TaskState.READY
        task.state = TaskState.ENDED
        if was_ready:
            self.queue(task.task_class).withdraw(task)
        self._tasks.pop(task.number, None)

    def takes_in_place(self, task: Task) -> bool:
        """Take a ready task out of its queue, to be run in this process; return whether that was possible."""
        if task.state is not TaskState.READY:
            return False
        task.state = TaskState.ASSIGNED
        task.lease = task.sequence = 0
        task.attempts_count += 1
        self.queue(task.task_class).withdraw(task)
        return True

    def given_back(self, task: Task) -> None:
        """Called when a task that was taken to be run in this process has not begun: it is the next one again."""
        if task.state is TaskState.ASSIGNED:
            self.queue(task.task_class).add(task, is_next=True)

    def rests(self, task: Task) -> bool:
        """Let a task rest before another attempt, if it has one left. Return whether it has."""
        if task.retries_left <= 0:
            return False
        task.retries_left -= 1
        task.state = TaskState.RESTING
        return True

    def rested(self, task: Task) -> None:
        """Called when a task has rested."""
        if task.state is TaskState.RESTING:
            self.queue(task.task_class).add(task)

    # Leases

    def granted(self, task_class: int, lease: int, worker: PeerAddress, now: float) -> None:
        """Called when the node has lent a worker for a class."""
        queue = self.queue(task_class)
        queue.granted(lease, worker, now)
        self._queue_of_lease[lease] = queue

    def recalled(self, lease: int) -> None:
        """Called when the node wants a lease back. Without effect if it was given back already."""
        queue = self._queue_of_lease.get(lease)
        if queue is not None:
            queue.recalled(lease)

    def queue_of(self, lease: int) -> ClassQueue | None:
        """Return the queue of a lease; None if it was given back, or its worker is lost."""
        return self._queue_of_lease.get(lease)

    def returned(self, lease: int) -> None:
        """Called when a lease was given back."""
        self._queue_of_lease.pop(lease).removed(lease)

    def leases(self) -> Iterator[Lease]:
        """Yield every lease."""
        for queue in self.classes.values():
            yield from queue.leases.values()

    # What workers say

    def over(self, lease: int, sequence: int, now: float, duration_s: float | None = None) -> Task | None:
        """Called when a worker says how an attempt ended. Return its task; None if the attempt was given up."""
        queue = self._queue_of_lease.get(lease)
        task = None
        if queue is not None:
            held = queue.leases[lease]
            held.is_blocked = False
            task = queue.take_back(held, sequence, now)
        if task is not None and duration_s is not None:
            task.cost.took(duration_s)
        if task is None or task.state is TaskState.ENDED:
            self.late_count += 1
            return None
        return task

    def skipped(self, lease: int, sequence: int, now: float) -> None:
        """Called when a worker gives back an attempt that it did not begin, because it waits inside another task."""
        queue = self._queue_of_lease.get(lease)
        if queue is None:
            return
        held = queue.leases[lease]
        held.is_blocked = bool(held.in_hand)
        task = queue.take_back(held, sequence, now)
        if not held.in_hand:
            held.is_blocked = False
        if task is not None and task.state is TaskState.ASSIGNED:
            queue.add(task, is_next=True)

    def worker_lost(self, peer: PeerId, begun: int, end: Any, *, lacked_memory: bool = False) -> list[Interrupted]:
        """Called when the process of a worker has ended. Only attempts that it had begun are charged.

        Args:
            peer: the worker.
            begun: the number of the newest attempt that it had begun.
            end: describes how attempts ended that had begun, for the error that tells of it.
            lacked_memory: whether it ended because it used too much memory, which is charged apart from retries.

        Returns:
            The tasks that were there, oldest first.
        """
        interrupted: list[Interrupted] = []
        for lease in [lease for lease in self.leases() if lease.worker.peer == peer]:
            queue = self._queue_of_lease.pop(lease.number)
            queue.removed(lease.number)
            for sequence, task in reversed(lease.in_hand.items()):  # so that those that are ready keep their order
                if task.state is TaskState.ASSIGNED:
                    if sequence <= begun and lacked_memory:
                        interrupted.append(self._lacked_memory(queue, task, end))
                    else:
                        interrupted.append(self._interrupted(queue, task, end, has_begun=sequence <= begun))
        return interrupted[::-1]

    def _lacked_memory(self, queue: ClassQueue, task: Task, end: Any) -> Interrupted:
        """Charge an attempt to the budget of memory. Only tasks that may run more than once have one."""
        task.deaths = (*task.deaths, end)
        task.memory_deaths_count += 1
        runs_again = task.is_repeatable and task.memory_deaths_count < MAX_MEMORY_DEATHS_COUNT
        if runs_again:
            queue.add(task, is_next=True)
        else:
            self.ended(task)
        return Interrupted(task, has_begun=True, runs_again=runs_again)

    def _interrupted(self, queue: ClassQueue, task: Task, end: Any, *, has_begun: bool) -> Interrupted:
        if has_begun:
            task.deaths = (*task.deaths, end)
            if task.retries_left <= 0 or len(task.deaths) - task.memory_deaths_count >= MAX_DEATHS_COUNT:
                self.ended(task)
                return Interrupted(task, has_begun, runs_again=False)
            task.retries_left -= 1
        queue.add(task, is_next=True)
        return Interrupted(task, has_begun, runs_again=True)

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
                is_at_worker = task.state is TaskState.ASSIGNED and task.lease != 0
                assert is_at_worker == (id(task) in at_workers), f"it is at a worker, or not: {task.story}"
        assert set(self._queue_of_lease) == {lease.number for lease in self.leases()}, "leases without a queue"
