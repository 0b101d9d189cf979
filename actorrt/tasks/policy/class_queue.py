"""Pure: the tasks of one class at their submitter: those that are ready, and the leases of workers that run them.

A ready task is bound to no worker until a lease has room for it. A lease without work gets the next task. Further tasks
are sent ahead to a worker as long as all that it has in hand takes a millisecond at the most, or, while much work is
ready, half of its share of that, and 10 ms at the most. So short tasks stream, a worker does not wait for the next of
many tasks, and the last tasks go to the workers that are free first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from actorrt.ids import PeerAddress
from actorrt.invariants import about
from actorrt.tasks.policy.task import Task, TaskState

T = TypeVar("T", bound=Task)

SHORT_S: Final = 0.001
HORIZON_S: Final = 0.01
"""How much work a worker may have in hand, by the mean durations of functions: always, and while much work is ready."""
MAX_AHEAD_COUNT: Final = 64
"""How many tasks a worker may have in hand."""
MAX_LIGHT_COUNT: Final = 1_000
"""The same for light tasks, which run beside each other."""
KEEP_S: Final = 0.05
"""How long a lease without work is kept, so that a task at a time needs no new lease."""
MAX_WANTED_COUNT: Final = 256
"""How many leases a submitter asks for in one class."""


class Lease(Generic[T]):
    """One worker that is lent to this submitter.

    Attributes:
        number: the node's number of the lease.
        queue: the queue of the class that it is for.
        worker: where the worker is reached.
        in_hand: the tasks that were sent on it and have not ended, by the numbers of their attempts.
        load_s: how long the tasks in hand take by the means of their functions.
        is_recalled: whether the node wants it back.
        is_blocked: whether its worker waits inside a task, so that it begins no other one.
        idle_since: since when it has nothing in hand.
    """

    __slots__ = ("idle_since", "in_hand", "is_blocked", "is_recalled", "load_s", "number", "queue", "worker")

    def __init__(self, number: int, queue: ClassQueue[T], worker: PeerAddress, now: float) -> None:
        self.number = number
        self.queue = queue
        self.worker = worker
        self.in_hand: dict[int, T] = {}
        self.load_s = 0.0
        self.is_recalled = self.is_blocked = False
        self.idle_since = now

    @property
    def is_open(self) -> bool:
        """Whether tasks may be sent on it."""
        return not self.is_recalled and not self.is_blocked


class ClassQueue(Generic[T]):
    """The ready tasks and the leases of one class.

    Args:
        number: the number of the class.
        new_sequence: returns the number of a new attempt; numbers grow.
        is_light: whether its tasks take no CPUs, so that a worker has many in hand, however long they take.

    Attributes:
        leases: the leases, by number.
        ready_count: how many tasks wait for a lease.
        in_hand_count: how many tasks were sent on the leases and have not ended.
    """

    def __init__(self, number: int, new_sequence: Callable[[], int], *, is_light: bool = False) -> None:
        self.number = number
        self._is_light = is_light
        self._new_sequence = new_sequence
        self.leases: dict[int, Lease[T]] = {}
        self.ready_count = 0
        self.in_hand_count = 0
        self._ready: deque[T] = deque()  # tasks that were cancelled stay until their turn comes, and are skipped
        self._idle: dict[int, Lease[T]] = {}
        self._rotation: deque[Lease[T]] = deque()

    @property
    def wanted_count(self) -> int:
        """How many leases there is work for."""
        return min(self.ready_count + self.in_hand_count, MAX_WANTED_COUNT)

    def add(self, task: T, *, is_next: bool = False) -> None:
        """Queue a task; one that was sent and did not begin is the next one again."""
        task.state = TaskState.READY
        self.ready_count += 1
        if is_next:
            self._ready.appendleft(task)
        else:
            self._ready.append(task)

    def withdraw(self, task: T) -> None:
        """Called when a ready task leaves the queue otherwise than by a lease; its state is no longer READY."""
        assert task.state is not TaskState.READY, task.story
        self.ready_count -= 1
        if not self.ready_count:
            self._ready.clear()

    def ready(self) -> Iterator[T]:
        """Yield the ready tasks, the next one first."""
        return (task for task in self._ready if task.state is TaskState.READY)

    def granted(self, number: int, worker: PeerAddress, now: float) -> Lease[T]:
        """Called when the node has lent a worker."""
        lease = self.leases[number] = self._idle[number] = Lease(number, self, worker, now)
        self._rotation.append(lease)
        return lease

    def removed(self, number: int) -> Lease[T]:
        """Called when a lease was given back, or its worker is lost. Return it, with the tasks in hand."""
        lease = self.leases.pop(number)
        self._idle.pop(number, None)
        self._rotation.remove(lease)
        self.in_hand_count -= len(lease.in_hand)
        return lease

    def assign(self) -> Iterator[tuple[Lease[T], T]]:
        """Send ready tasks: yield each with the lease that it is sent on, as long as there is room."""
        ready = self._ready
        while self.ready_count:
            task = ready[0]
            if task.state is not TaskState.READY:
                ready.popleft()
                continue
            lease = self._lease_for(task)
            if lease is None:
                return
            ready.popleft()
            self.ready_count -= 1
            self._send(lease, task)
            yield lease, task

    def _lease_for(self, task: T) -> Lease[T] | None:
        for lease in self._idle.values():
            if lease.is_open:
                return lease
        if self._is_light:
            return next(
                (one for one in self.leases.values() if one.is_open and len(one.in_hand) < MAX_LIGHT_COUNT), None
            )
        mean_s, rotation = task.kind.cost.mean_s, self._rotation
        if mean_s is None or mean_s >= HORIZON_S or not rotation or self.ready_count <= len(rotation):
            return None  # the last tasks wait for the worker that is free first
        share_s = mean_s * self.ready_count / len(rotation)
        most_s = min(HORIZON_S, max(SHORT_S, share_s / 2))
        for _ in range(len(rotation)):
            lease = rotation[0]
            rotation.rotate(-1)
            has_room = lease.load_s + mean_s <= most_s and len(lease.in_hand) < MAX_AHEAD_COUNT
            if has_room and lease.is_open:
                return lease
        return None

    def _send(self, lease: Lease[T], task: T) -> None:
        if not lease.in_hand:
            del self._idle[lease.number]
        sequence, mean_s = self._new_sequence(), task.kind.cost.mean_s
        lease.in_hand[sequence] = task
        lease.load_s += HORIZON_S if mean_s is None else mean_s
        task.state = TaskState.ASSIGNED
        task.lease, task.sequence = lease, sequence
        task.attempts_count += 1
        self.in_hand_count += 1

    def take_back(self, lease: Lease[T], sequence: int, now: float) -> T | None:
        """Called when an attempt is over: remove it from its lease, and return its task; None if it is not known."""
        task = lease.in_hand.pop(sequence, None)
        if task is None:
            return None
        self.in_hand_count -= 1
        if lease.in_hand:
            lease.load_s = max(
                0.0, lease.load_s - (HORIZON_S if task.kind.cost.mean_s is None else task.kind.cost.mean_s)
            )
        else:
            lease.load_s = 0.0
            lease.idle_since = now
            self._idle[lease.number] = lease
        return task

    def to_return(self, now: float) -> list[Lease[T]]:
        """Return the leases to give back: those that the node wants, and those that had no work for a while."""
        return [
            lease
            for lease in self._idle.values()
            if lease.is_recalled or (not self.ready_count and now - lease.idle_since >= KEEP_S)
        ]

    @property
    def has_idle(self) -> bool:
        """Whether a lease has no work, and so may have to be given back."""
        return bool(self._idle)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the queue and its leases contradict each other."""
        ready = list(self.ready())
        assert len(ready) == self.ready_count, f"class {self.number}: {len(ready)} are ready, not {self.ready_count}"
        in_hand = sum(len(lease.in_hand) for lease in self.leases.values())
        assert in_hand == self.in_hand_count, f"class {self.number}: {in_hand} are in hand, not {self.in_hand_count}"
        assert set(self._rotation) == set(self.leases.values()), f"class {self.number}: the rotation has other leases"
        for lease in self.leases.values():
            assert (lease.number in self._idle) == (not lease.in_hand), f"lease {lease.number} is wrongly idle, or not"
            for sequence, task in lease.in_hand.items():
                with about(task.number):
                    is_newest = task.lease is lease and task.sequence == sequence
                    is_over = task.state is TaskState.ENDED
                    assert is_over or (is_newest and task.state is TaskState.ASSIGNED), task.story
