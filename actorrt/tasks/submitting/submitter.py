"""The submitter of an endpoint: it takes tasks from any thread, sends them to workers that it is lent, and ends them.

`Book` decides; this carries out what it decides, on the endpoint's loop. Other threads hand their tasks over.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.policy.backoff import DEFAULT_BACKOFF
from actorrt.actors.refs.operation import Operation
from actorrt.actors.wire.by_reference import Arrival, StoredValue
from actorrt.actors.wire.failures import as_executed, copied, noted
from actorrt.actors.wire.plain_values import is_plain
from actorrt.errors import AttemptEnd
from actorrt.ids import PeerId
from actorrt.protocol.envelopes import RaisedError
from actorrt.protocol.leases import LeaseGranted, LeasesRefused, RecallLease
from actorrt.reasons import ExitKind, ExitReason
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.required import required
from actorrt.tasks.policy.book import Book
from actorrt.tasks.policy.class_queue import ClassQueue
from actorrt.tasks.policy.task import TaskState, WorkerEnd
from actorrt.tasks.submitting import in_hand
from actorrt.tasks.submitting.functions import Functions
from actorrt.tasks.submitting.leasing import Leasing
from actorrt.tasks.submitting.lineage import Lineage
from actorrt.tasks.submitting.listing import Listing
from actorrt.tasks.submitting.promises import Promises
from actorrt.tasks.submitting.room import Room
from actorrt.tasks.submitting.submission import Submission
from actorrt.tasks.submitting.task_ref import TaskRef
from actorrt.tasks.submitting.withdrawals import Withdrawals
from actorrt.tasks.submitting.workers import Workers

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.store.client.client import StoreClient
    from actorrt.tasks.submitting.functions import TaskFunction

_ENDS: Final = {ExitKind.OUT_OF_MEMORY: WorkerEnd.LACKED_MEMORY, ExitKind.KILLED: WorkerEnd.KILLED}


class Submitter:
    """The submitter of one endpoint.

    Args:
        endpoint: the endpoint.

    Attributes:
        book: the tasks that have not ended, and the leases.
        payloads: opens results.
        promises: the objects that are promised for results, because other processes have refs to them.
        workers: those that are lent to it.
        lineage: makes results again that are lost.
        numbers: of tasks.
        cycles: finds tasks that wait for themselves.
        arriving: the results of tasks that have ended, while they are not there: other tasks make them, or they travel.
    """

    def __init__(self, endpoint: ActorEndpoint) -> None:
        self._endpoint = endpoint
        self._threads = endpoint.threads
        self._clock = endpoint.clock
        self._peers = endpoint.peers
        self._store = endpoint.store
        self.payloads = endpoint.payloads
        self.book: Book[Submission] = Book()
        self.workers = Workers(endpoint)
        self._functions = Functions(self, endpoint.store, endpoint, self.workers.function_ended)
        self.lineage = Lineage(self, endpoint)
        control = endpoint.control
        node, clock, after = endpoint.node, endpoint.clock, endpoint.scope.after
        self._leasing = Leasing(self.book, control, node, clock, after, lambda: bool(self.book or self.arriving))
        self._withdrawals = Withdrawals(self.book, self.workers, control, endpoint.node, self)
        Listing(self.book, self._leasing, control)
        control.handle(LeaseGranted.by(self._granted))
        control.handle(LeasesRefused.by(self._refused))
        control.handle(RecallLease.by(self._recalled))
        self.numbers = itertools.count(1)
        self._pump_is_due = self._is_telling = False
        self._told: deque[tuple[Submission, TaskRef[Any]]] = deque()  # tasks for which a result has come
        self.promises = Promises(self, endpoint)
        self.cycles: in_hand.CycleSearch
        self.arriving: dict[TaskRef[Any], ObjectRef[Any] | StoredValue] = {}
        self._room = Room(endpoint.threads)

    # From any thread

    def store(self) -> StoreClient:
        """Return the store of this process.

        Raises:
            RuntimeStateError: it has none.
        """
        return required(self._store)

    def submit(self, function: TaskFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskRef[Any]:
        """Submit one task; see `RemoteFunction.submit`."""
        task = self._captured(function, args, kwargs)
        if get_ident() == self._threads.thread:
            self._take(task)
        else:
            self._threads.on_loop(partial(self._take, task))
        return task.ref

    def submit_many(self, function: TaskFunction, many: Iterable[tuple[Any, ...]]) -> list[TaskRef[Any]]:
        """Submit a task for each tuple of arguments; see `RemoteFunction.submit_many`."""
        captured = [self._captured(function, args, {}) for args in many]

        def take() -> None:
            for task in captured:
                self._take(task)

        self._threads.on_loop(take)
        return [task.ref for task in captured]

    def _captured(self, function: TaskFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Submission:
        kind = function.kind()
        if kind is None or kind.submitter is not self:
            kind = self._functions.kind(function)
        timeout_s = kind.options.timeout_s
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        parent, depth = in_hand.task.get(), 0
        if parent is not None:
            depth = parent.depth + 1
            if parent.deadline is not None:
                deadline = parent.deadline if deadline is None else min(deadline, parent.deadline)
        ref: TaskRef[Any] = TaskRef(self, function.name)
        task = Submission(next(self.numbers), kind, ref, depth, deadline, args)
        if kwargs or not is_plain(args):
            task.capture(self.payloads, args, kwargs)
        try:
            self._room.take(function.name, task.size_bytes)
        except errors.MailboxFullError:
            task.forget_arguments(self._store)
            raise
        if parent is not None:
            parent.submitted(ref)
        return task

    def cancel(self, ref: TaskRef[Any], *, force: bool) -> Operation[bool]:
        """Withdraw a task; see `TaskRef.cancel`."""
        outcome: Operation[bool] = Operation(f"cancelling task {ref.name}()")
        self._threads.on_loop(partial(self._withdrawals.cancel, ref, outcome, force=force))
        return outcome

    # On the loop

    def _take(self, task: Submission) -> None:
        """Take a task in: it waits for its inputs, or is ready."""
        ref, kind = task.ref, task.kind
        if self._endpoint.is_closed or self._threads.closed_by is not None:
            self._forget(task)
            ref.set_error(self._threads.closed_by or self._endpoint.refusal())
            return
        if kind.queue is None:
            kind.queue = self._leasing.queue_of(kind.options.task_class)
        ref.task = task
        missing = [value for _, value in task.inputs if not value.done()] if task.inputs else ()
        task.missing_count = len(missing)
        self.book.submitted(task)
        if task.deadline is not None:
            left_s = max(0.0, task.deadline - self._clock.now())
            task.timer = self._threads.call_later(left_s, self._withdrawals.expired, task)
        for _, value in task.inputs:
            if value.error() is not None:
                self._input_failed(task, value)
                return
        for value in missing:
            self.await_input(task, value)
        if not missing:
            self._is_ready(kind.queue)
        else:
            self._leasing.tell_pending()

    def await_input(self, task: Submission, value: Any) -> None:
        if not isinstance(value, TaskRef) or value.submitter is not self:
            value.add_callback(lambda arrived: self._threads.on_loop(lambda: self._input_ended(task, arrived)))
        elif value.dependants is None:
            value.dependants = [task]
            value.add_callback(lambda ended: self._threads.on_loop(lambda: self._producer_ended(ended)))
        else:
            value.dependants.append(task)

    def _producer_ended(self, ref: TaskRef[Any]) -> None:
        """Called when a task has ended whose result others wait for. Its error goes down a chain without recursion."""
        dependants, ref.dependants = ref.dependants, None
        self._told += [(task, ref) for task in dependants or ()]
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._told:
                self._input_ended(*self._told.popleft())
        finally:
            self._is_telling = False

    def _input_ended(self, task: Submission, value: Any) -> None:
        if task.state is not TaskState.WAITING:
            return  # it has ended
        if value.error() is not None:
            self._input_failed(task, value)
        else:
            if self.book.input_arrived(task):
                self._is_ready(task.queue)

    def _input_failed(self, task: Submission, value: Any) -> None:
        """End a task that needs the result of a task that has failed: it fails with the same error."""
        if task.state is TaskState.ENDED:
            return
        error = copied(value.error())
        name = task.ref.name
        source = f"the result of task {value.name}()" if isinstance(value, TaskRef) else "an object"
        error = noted(as_executed(error, "no"), f"task {name}() did not run: {source}, which it takes, failed")
        self.end_with(task, error)

    def _is_ready(self, queue: ClassQueue[Submission]) -> None:
        """Called when a task is ready: send it at once if a worker is free, otherwise with all others of this tick.

        What plain code of a task on this loop submits is sent later, since that code may wait for it in this step.
        """
        if queue.has_idle and not self._pump_is_due and in_hand.task.get() is None:
            self._pump_queue(queue)
        else:
            self._call_for_pump()

    def _call_for_pump(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._endpoint.loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send the ready tasks for which there is room."""
        self._pump_is_due = False
        for queue in list(self.book.classes.values()):
            self._pump_queue(queue)

    def _pump_queue(self, queue: ClassQueue[Submission]) -> None:
        being_made = self.lineage.being_made
        for lease, task in queue.assign():
            if being_made and task.inputs and self.lineage.holds_up(lease, task):
                continue
            self.workers.send(lease, task)
        self._leasing.update(queue)

    def take_again(self, task: Submission) -> None:
        """Take in a task that runs again, because its result was lost."""
        self._room.take_at_once(task.size_bytes)
        self._take(task)

    # What workers say

    def succeeded(self, lease: int, sequence: int, body: Any, duration_s: float, buffers: Sequence[Any]) -> None:
        """Called when a RESULT has arrived."""
        task = self._over(lease, sequence, duration_s)
        if task is None:
            self.payloads.release(body, buffers)
            return
        self.take_result(task, body, buffers)

    def _over(self, number: int, sequence: int, duration_s: float | None) -> Submission | None:
        """Called when an attempt is over. Return its task; None if the attempt was given up."""
        lease = self.book.lease(number)
        if lease is None:
            self.book.late_count += 1
            return None
        task = self.book.over(lease, sequence, self._clock.now(), duration_s)
        queue = lease.queue
        if queue.ready_count:
            self._call_for_pump()
        elif queue.has_idle:
            self._leasing.is_idle()
        return task

    def take_result(self, task: Submission, body: Any, buffers: Sequence[Any]) -> None:
        """End a task with its result."""
        if type(body) is not dict:
            self._end(task).set_result(body, buffers)
            return
        kept = self.lineage.kept(task)
        ref = self._end(task)
        try:
            stored = self.payloads.stored(body, buffers)
            assert stored is not None, "a map is the body of a value in the store"
            if kept is not None and isinstance(stored, ObjectRef):
                self.lineage.made(ref, stored, kept)
        except Exception as error:  # there is no store, or it is gone
            ref.set_error(as_executed(error))
            return
        if "is_sealed" in body:
            ref.set_stored(stored)
            return
        self.arriving[ref] = stored
        self._leasing.tell_pending()
        self.cycles.suspect(ref)
        self._endpoint.scope.start(self._arrived(ref, stored), f"result of {ref.name}")

    async def _arrived(self, ref: TaskRef[Any], stored: ObjectRef[Any] | StoredValue) -> None:
        """End a task whose result lies in the store, as soon as it is there."""
        try:
            await Arrival(stored)
        except Exception as error:  # the object is lost
            ref.set_error(as_executed(error))
        else:
            ref.set_stored(stored)
        self.arriving.pop(ref, None)
        self._leasing.one_has_ended()

    def failed(self, lease: int, sequence: int, data: Any, executed: errors.Executed, duration_s: float) -> None:
        """Called when a FAILURE has arrived."""
        task = self._over(lease, sequence, duration_s if executed == "yes" else None)
        if task is not None:
            self.take_failure(task, data, executed)

    def take_failure(self, task: Submission, data: Any, executed: errors.Executed) -> None:
        """End a task with an error, or let it rest until its next attempt if the error is one to retry on."""
        if isinstance(data, dict):
            error: BaseException = errors.from_data(data)
        else:
            error = self.payloads.open_error(RaisedError._make(data), executed)
            retry_on = task.kind.options.retry_on
            if executed == "yes" and retry_on and isinstance(error, retry_on) and self.book.rests(task):
                self._withdrawals.retried(task)
                task.failures_count += 1
                delay_s = DEFAULT_BACKOFF.delay_s(task.failures_count, self._endpoint.surroundings.random())
                self._threads.call_later(delay_s, self._rested, task)
                return
        self.end_with(task, error)

    def _rested(self, task: Submission) -> None:
        self.book.rested(task)
        self._call_for_pump()

    def skipped(self, lease: int, sequence: int) -> None:
        """Called when a SKIPPED has arrived."""
        held = self.book.lease(lease)
        if held is not None:
            self.book.skipped(held, sequence, self._clock.now())
            self._call_for_pump()

    def gives_back(self, task: Submission) -> None:
        """Called when a task was to run here, and has not begun: it is ready again."""
        task.withdraw_here = None
        self.book.given_back(task)
        self._call_for_pump()

    def worker_gone(self, peer: PeerId, reason: ExitReason, begun: int) -> None:
        """Called when a process has ended, and its last messages have arrived.

        Args:
            peer, reason: the process's endpoint, and how it ended.
            begun: the number of the newest attempt of this submitter that it had begun on its newest lease.
        """
        self.workers.lost(peer)
        end = AttemptEnd(self._endpoint.node.address, None, reason, has_begun=True)
        how = _ENDS.get(reason.kind, WorkerEnd.CRASHED)
        for interrupted in self.book.worker_lost(peer, begun, how, end):
            if not interrupted.runs_again and interrupted.task.ref.task is not None:  # else a callback has ended it
                self._died(interrupted.task)
        self._call_for_pump()

    def _died(self, task: Submission) -> None:
        count, last = len(task.deaths), task.deaths[-1]
        message = f"task {task.ref.name}() ended with its worker: {last.reason}"
        if count > 1:
            message = f"{message}; so did {count - 1} earlier attempts"
        self.end_with(task, errors.TaskDiedError(message, attempts=task.deaths))

    # What the node says

    def _granted(self, _: PeerId, granted: LeaseGranted) -> None:
        self.book.granted(granted.task_class, granted.lease, granted.worker, self._clock.now())
        if self._peers.is_lost(granted.worker.peer):
            self._leasing.give_back(granted.lease)
        self._call_for_pump()

    def _recalled(self, _: PeerId, recalled: RecallLease) -> None:
        lease = self.book.lease(recalled.lease)
        if lease is not None:
            lease.is_recalled = True
            if not lease.in_hand:
                self._leasing.give_back(lease.number)

    def _refused(self, _: PeerId, refused: LeasesRefused) -> None:
        """Called when the node can't lend workers of a class: the tasks that wait for one fail."""
        self._leasing.refused(refused.task_class)
        for task in list(self.book.classes[refused.task_class].ready()):
            if task.state is TaskState.READY:  # else a callback of one that was refused before has ended it
                error = noted(copied(refused.error), f"task {task.ref.name}() did not run")
                self.end_with(task, as_executed(error, "no"))

    # Ends

    def _end(self, task: Submission) -> TaskRef[Any]:
        self.book.ended(task)
        self._forget(task)
        ref = task.ref
        ref.task = None
        self._leasing.one_has_ended()
        return ref

    def end_with(self, task: Submission, error: BaseException) -> None:
        """End a task with an error."""
        self._end(task).set_error(error)

    def _forget(self, task: Submission) -> None:
        """Release what a task that ends has kept, and let those who wait for room submit."""
        if task.timer is not None:
            task.timer.cancel()
            task.timer = None
        self._room.give(task.size_bytes)
        task.forget_arguments(self._store)

    def is_awaited(self, refs: Iterator[TaskRef[Any]]) -> None:
        """Called when a coroutine begins to wait for tasks: a worker of tasks runs those itself that nobody has."""
        parent = in_hand.task.get()
        if parent is not None and get_ident() == self._threads.thread:
            parent.worker.run_beside(refs)

    def is_waited_for(self, ref: TaskRef[Any]) -> None:
        """Called when plain code begins to wait for a task: inside a task, it runs in place, if nobody has it yet."""
        parent = in_hand.task.get()
        if parent is not None and get_ident() == self._threads.thread:
            parent.worker.run_on_loop(ref)

    def close(self, error: errors.ActorRtError) -> None:
        """End every task with `error`."""
        for ref in [*(task.ref for task in self.book.tasks()), *self.arriving]:
            try:
                if ref.task is None:
                    ref.set_error(error)
                elif ref.task.state is not TaskState.ENDED:  # it may have ended with a task that it waited for
                    self.end_with(ref.task, error)
            except Exception as defect:  # of a callback: the other tasks end nevertheless
                self._endpoint.scope.fail(defect)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the tasks, or how results were made, contradict themselves."""
        self.book.check_invariants()
        self._room.check_invariants(len(self.book))
        self.lineage.check_invariants()
