"""Ends tasks that nobody wants any more, because they were cancelled or are late, wherever they are.

Whoever waits is told at once. What a worker still has of the task is withdrawn: an attempt that has not begun never
runs, a coroutine is cancelled, and plain code runs on, unless its end is forced. Then the node kills the worker, after
a grace in which the code may end by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from actorrt import errors
from actorrt.ids import PeerAddress
from actorrt.protocol.leases import EndWorker
from actorrt.store.client.ref import ObjectRef
from actorrt.tasks.policy.class_queue import Lease
from actorrt.tasks.policy.task import TaskState

if TYPE_CHECKING:
    from actorrt.actors.refs.operation import Operation
    from actorrt.actors.wire.by_reference import StoredValue
    from actorrt.actors.wire.control import Control
    from actorrt.tasks.policy.book import Book
    from actorrt.tasks.submitting.submission import Submission
    from actorrt.tasks.submitting.task_ref import TaskRef
    from actorrt.tasks.submitting.workers import Workers

FORCE_AFTER_S: Final = 0.5
"""How long code may go on after its task was cancelled by force, before its worker is killed."""


class EndsTasks(Protocol):
    """The part of a submitter that ends tasks.

    Attributes:
        arriving: the results of tasks that have ended, which other tasks make.
    """

    arriving: dict[TaskRef[Any], ObjectRef[Any] | StoredValue]

    def end_with(self, task: Submission, error: BaseException) -> None:
        """End a task with an error."""


class Withdrawals:
    """Withdraws the tasks of one submitter.

    Args:
        book: the tasks.
        workers: the workers that have them.
        control: carries orders to the node.
        node: the node, which kills workers.
        submitter: ends tasks.
    """

    def __init__(
        self,
        book: Book[Submission],
        workers: Workers,
        control: Control,
        node: PeerAddress,
        submitter: EndsTasks,
    ) -> None:
        self._book = book
        self._workers = workers
        self._control = control
        self._node = node
        self._submitter = submitter
        self._forced: set[int] = set()

    def cancel(self, ref: TaskRef[Any], outcome: Operation[bool], *, force: bool) -> None:
        """Cancel a task, or the task that makes its result. Complete `outcome` with whether that makes a difference."""
        followed = self._submitter.arriving.get(ref)
        if isinstance(followed, ObjectRef) and followed.maker is not None:
            followed.cancel(force).add_callback(outcome.end_as)
        else:
            outcome.set_value(self._cancel(ref, force=force))

    def _cancel(self, ref: TaskRef[Any], *, force: bool) -> bool:
        """By force, it may make a difference although the task has ended for those who wait: its code may still run."""
        task = ref.task
        if task is not None and task.state is not TaskState.ENDED:
            executed: errors.Executed = "no" if not task.attempts_count else "maybe"
            error = errors.CallCancelledError(f"task {ref.name}() was cancelled", executed=executed)
            self._withdraw(task, error, is_late=False)
        else:
            task = None
        return (force and self._force(ref)) or task is not None

    def expired(self, task: Submission) -> None:
        """Called at the deadline of a task."""
        if task.state is TaskState.ENDED:
            return
        task.timer = None
        executed: errors.Executed = "no" if not task.attempts_count else "maybe"
        error = errors.CallTimeoutError(f"task {task.ref.name}() did not end by its deadline", executed=executed)
        self._withdraw(task, error, is_late=True)

    def retried(self, task: Submission) -> None:
        """Called when an attempt has failed, and another one will follow: what it has submitted is cancelled."""
        self._give_up(task, is_late=False)

    def _withdraw(self, task: Submission, error: BaseException, *, is_late: bool) -> None:
        if task.state is TaskState.ASSIGNED:
            self._give_up(task, is_late=is_late)
        self._submitter.end_with(task, error)

    def _give_up(self, task: Submission, *, is_late: bool) -> None:
        if task.lease is not None:
            self._workers.withdraw(task.lease, task, is_late=is_late)
        elif task.withdraw_here is not None:
            task.withdraw_here(is_late)

    def _force(self, ref: TaskRef[Any]) -> bool:
        """Have the code of a task end in a while, if a worker has it. Return whether one has."""
        for lease in self._book.leases():
            for sequence, task in lease.in_hand.items():
                if task.ref is ref:
                    if sequence not in self._forced:
                        self._forced.add(sequence)
                        self._end_later(lease, sequence)
                    return True
        return False

    def _end_later(self, lease: Lease[Submission], sequence: int) -> None:
        self._control.after(FORCE_AFTER_S, lambda: self._end_worker(lease, sequence))

    def _end_worker(self, lease: Lease[Submission], sequence: int) -> None:
        """Have the node kill a worker. It does not while the attempt has not begun, so ask again in a while."""
        if sequence in lease.in_hand and self._book.lease(lease.number) is lease:
            self._control.notify(self._node, EndWorker(lease=lease.number, sequence=sequence))
            self._end_later(lease, sequence)
        else:
            self._forced.discard(sequence)
