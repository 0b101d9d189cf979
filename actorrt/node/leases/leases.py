"""Lends workers to the processes that submit tasks: carries out what `Grants` decides, and tells it what happens.

The node never sees a task: submitters send tasks to the workers that are lent to them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from actorrt.actors.wire.control import Control
from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.node.leases.grants import Grants
from actorrt.node.leases.memory_watch import MemoryWatch
from actorrt.node.leases.needs import MEMORY, Need
from actorrt.node.leases.orders import Dismiss, Grant, GrantOrder, Launch, Recall, Refuse, Warn
from actorrt.node.leases.shares import Holder
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers
from actorrt.protocol.leases import (
    EndWorker,
    LeaseGranted,
    LeasesRefused,
    RecallLease,
    ReturnLease,
    TaskBlocked,
    TasksPending,
    TaskUnblocked,
    WantLeases,
    WornOut,
)
from actorrt.scopes import Scope
from actorrt.texts import text_of

logger = logging.getLogger(__name__)

TASK_GRACE_S: Final = 2.0
"""How long a worker may take to end a task whose submitter has ended."""
KEPT_CPUS: Final = 1
"""The CPUs that actors leave to tasks, where reservations may exceed the CPUs of the node."""


class Leases:
    """The leases of one node.

    Args:
        jobs, workers, resources: the node's.
        control: carries the notices.
        scope: owns the timer.
        clock: the time.
    """

    def __init__(
        self,
        jobs: JobTable,
        workers: Workers,
        resources: Resources,
        control: Control,
        scope: Scope,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._workers = workers
        self._resources = resources
        self._control = control
        self._scope = scope
        self._clock = clock
        kept_cpus = KEPT_CPUS if resources.may_exceed else 0
        self._grants = Grants({**resources.total, MEMORY: resources.memory_bytes}, kept_cpus)
        self._memory = MemoryWatch(scope, self._memory_limits, workers.kill)
        self._by_number: dict[int, Worker] = {}
        self._numbers: dict[PeerId, int] = {}
        self._cancel_timer: Callable[[], None] = lambda: None
        self._orders: deque[GrantOrder] = deque()
        self._is_carrying_out = False
        self._is_change_waiting = False
        resources.watchers.append(self._reservations_changed)

    def serve(self) -> None:
        """Register the handlers of notices."""
        self._control.handle(WantLeases.by(self._want))
        self._control.handle(TasksPending.by(self._pending))
        self._control.handle(ReturnLease.by(self._return))
        self._control.handle(EndWorker.by(self._end_worker))
        self._control.handle(TaskBlocked.by(lambda peer, told: self._blocked(peer, told.lease, is_blocked=True)))
        self._control.handle(TaskUnblocked.by(lambda peer, told: self._blocked(peer, told.lease, is_blocked=False)))
        self._control.handle(WornOut.by(self._worn_out))

    def state_of(self, worker: Worker) -> str | None:
        """Return whether a worker for tasks is free, leased, blocked and so on; None for other workers."""
        number = self._numbers.get(worker.peer)
        return None if number is None else self._grants.state_of(number)

    def submitters(self) -> set[PeerId]:
        """Return the processes that have submitted tasks which have not ended."""
        return self._grants.submitters()

    def lacks(self) -> dict[tuple[PeerId, int], str]:
        """Return what submitters wait for that lack leases, in words, by submitter and number of the class."""
        return self._grants.lacks(self._clock.now())

    def leased(self, name: str) -> float:
        """Return how much of a resource is lent to tasks now."""
        return self._grants.leased().get(name, 0.0)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the leases contradict themselves; for tests."""
        self._grants.check_invariants()

    # What submitters and workers say

    def _want(self, peer: PeerId, asked: WantLeases) -> None:
        if not asked.count and not self._is_known(peer):
            return  # a driver that has detached wants nothing, and has nothing
        submitter, job = self._submitter(peer)
        if job.has_ended and submitter == job.driver:
            ended = ActorStartError(f"job {short(job.job_id)} has ended: nothing can be started in it")
            self._control.notify(submitter, LeasesRefused(task_class=asked.task_class, error=ended))
            return
        holder = Holder(job.job_id, peer, asked.task_class)
        self._carry_out(self._grants.wanted(holder, Need.of(asked), asked.count, asked.depth, self._clock.now()))

    def _pending(self, peer: PeerId, told: TasksPending) -> None:
        if not told.is_so and not self._is_known(peer):
            return  # as above
        _, job = self._submitter(peer)
        self._carry_out(self._grants.pending(peer, job.job_id, self._clock.now(), is_so=told.is_so))

    def _is_known(self, peer: PeerId) -> bool:
        return self._workers.find(peer) is not None or bool(self._jobs.of_driver(peer))

    def _submitter(self, peer: PeerId) -> tuple[PeerAddress, Job]:
        worker = self._workers.find(peer)
        if worker is not None:
            return worker.peer_address, worker.job
        jobs = self._jobs.of_driver(peer)
        if not jobs:
            raise RuntimeStateError(f"{short(peer)} is neither a driver nor a worker of this node: it gets no leases")
        return jobs[0].driver, jobs[0]

    def _return(self, peer: PeerId, asked: ReturnLease) -> None:
        self._carry_out(self._grants.returned(peer, asked.lease, self._clock.now()))

    def _end_worker(self, peer: PeerId, asked: EndWorker) -> None:
        """Kill a worker whose task does not end. Until it has ended, it is lent to nobody else."""
        number = self._grants.worker_of(peer, asked.lease)
        if number is None or not self._workers.notes(self._by_number[number]).has_begun(peer, asked.sequence):
            return
        worker = self._by_number[number]
        worker.kill_reason = worker.kill_reason or "a task that it ran was cancelled with force=True"
        self._carry_out(self._grants.worn_out(number, self._clock.now()))
        self._workers.kill(worker)

    def _blocked(self, peer: PeerId, lease: int, *, is_blocked: bool) -> None:
        number = self._numbers.get(peer)
        if number is not None:
            self._carry_out(self._grants.blocked(number, lease, self._clock.now(), is_blocked=is_blocked))

    def _worn_out(self, peer: PeerId, _: WornOut) -> None:
        number = self._numbers.get(peer)
        if number is not None:
            self._carry_out(self._grants.worn_out(number, self._clock.now()))

    # What happens on the node

    def _reservations_changed(self) -> None:
        """Called for each reservation that is made or released. Many at a time are one change."""
        if not self._is_change_waiting:
            self._is_change_waiting = True
            self._scope.loop.call_soon(self._tell_reservations)

    def _tell_reservations(self) -> None:
        self._is_change_waiting = False
        self._carry_out(self._grants.reserved(self._resources.sums(), self._clock.now()))

    def _launch_ended(self, number: int, worker: Worker) -> None:
        """Called when a worker is ready, or will never be."""
        error = worker.ready.error()
        if error is None:
            self._carry_out(self._grants.worker_ready(number, worker.peer, self._clock.now()))
        else:
            self._forget(worker, text_of(error))

    def process_ended(self, peer: PeerId, why: str) -> None:
        """Called when the process of a driver or of a worker has ended."""
        self._memory.ended(peer)
        self._carry_out(self._grants.submitter_ended(peer, self._clock.now()))
        number = self._numbers.get(peer)
        if number is not None:
            self._forget(self._by_number[number], why)

    def submitters_of(self, peer: PeerId) -> list[PeerId]:
        """Return the submitters that a worker is lent to."""
        number = self._numbers.get(peer)
        return [] if number is None else self._grants.submitters_of(number)

    def _memory_limits(self) -> dict[Worker, float]:
        return {self._by_number[number]: limit for number, limit in self._grants.memory_limits().items()}

    def _forget(self, worker: Worker, why: str) -> None:
        number = self._numbers.pop(worker.peer, None)
        if number is not None:
            del self._by_number[number]
            self._carry_out(self._grants.worker_ended(number, why, self._clock.now()))

    def job_ended(self, job: Job) -> None:
        """Called when the actors of a job have stopped, but for detached ones. Its workers for tasks are dismissed.

        Workers that are lent to a process with detached actors stay, and those that are lent to such workers.
        """
        staying = found = {worker.peer for worker in self._workers.all() if worker.job is job and worker.actors}
        while found:
            found = {self._by_number[number].peer for number in self._grants.lent_to(found)} - staying
            staying = staying | found
        self._carry_out(self._grants.job_ended(job.job_id, staying, self._clock.now()))

    # Orders

    def _carry_out(self, orders: Sequence[GrantOrder]) -> None:
        """Carry out orders. Those that follow from a failure of one of them come behind them."""
        self._orders.extend(orders)
        if self._is_carrying_out:
            return
        self._is_carrying_out = True
        try:
            while self._orders and not self._scope.is_closed:
                self._carry_out_one(self._orders.popleft())
        finally:
            self._is_carrying_out = False
        self._cancel_timer()
        if self._grants.wake_at < inf and not self._scope.is_closed:
            self._cancel_timer = self._scope.after(max(0.0, self._grants.wake_at - self._clock.now()), self._due)

    def _due(self) -> None:
        self._carry_out(self._grants.decided(self._clock.now()))

    def _carry_out_one(self, order: GrantOrder) -> None:
        match order:
            case Launch():
                self._launch(order)
            case Dismiss(number, may_work):
                self._workers.dismiss(self._by_number[number], TASK_GRACE_S if may_work else None)
            case Grant(submitter, task_class, lease, number):
                worker = self._by_number[number]
                self._memory.lent(worker)
                self._tell(submitter, LeaseGranted(task_class=task_class, lease=lease, worker=worker.peer_address))
            case Recall(submitter, lease):
                self._tell(submitter, RecallLease(lease=lease))
            case Refuse(submitter, task_class, error):
                self._tell(submitter, LeasesRefused(task_class=task_class, error=error))
            case Warn(text):
                logger.warning("%s", text)

    def _tell(self, submitter: PeerId, notice: LeaseGranted | RecallLease | LeasesRefused) -> None:
        try:
            address, _ = self._submitter(submitter)
        except RuntimeStateError as error:  # its end is told in a moment, or was told in this moment
            logger.debug("a notice %r was not sent: %s", notice.verb, error)
        else:
            self._control.notify(address, notice)

    def _launch(self, order: Launch) -> None:
        label = f"tasks-{order.worker}"
        try:
            worker = self._workers.launch(WorkerKind.TASKS, self._jobs.job(order.job), label, dict(order.env_vars))
        except Exception as error:
            self._carry_out(self._grants.worker_ended(order.worker, text_of(error), self._clock.now()))
            return
        worker.is_light = order.is_light  # its process is made in a later step
        self._by_number[order.worker] = worker
        self._numbers[worker.peer] = order.worker
        worker.ready.add_callback(lambda _: self._launch_ended(order.worker, worker))
