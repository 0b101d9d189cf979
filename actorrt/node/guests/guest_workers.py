"""Makes workers for actors of other nodes, and keeps the jobs of these workers as guest jobs.

`actorrt.node.placement.far_workers` is the other node's side, which is the *home* of the actors. The home decides what
happens to them, and this node what happens to the processes. A worker ends by the order of its home, with its home's
node, or by itself, and this node tells the home.

    MakeWorker ──▶ reserved ──▶ launched ──ready──▶ answered ──▶ ended: WorkerEnded, nothing is reserved any more
                      └─ lacking: answered, nothing is left
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from actorrt import errors
from actorrt.actors.authority.registry import Registry
from actorrt.actors.wire.control import Control
from actorrt.ids import JobId, PeerAddress, PeerId, short
from actorrt.node.guests.guest_objects import GuestObjects
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.workers import (
    EndGuestJob,
    GuestJob,
    GuestJobBegun,
    KillWorker,
    LeaveWorker,
    MakeWorker,
    WorkerEnded,
    WorkerMade,
)
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

EndJob: TypeAlias = Callable[[JobId], Awaitable[None]]


class GuestWorkers:
    """The workers of a node that host actors of other nodes.

    Args:
        jobs, workers, resources, registry: the node's.
        control: speaks with the other nodes.
        scope: owns the ends of guest jobs.
        address_of: returns where a process that has spoken to this one is reached.
        end_job: stops what a job has on this node.
        objects: what the actors of the workers are started from; None if the node exchanges no objects.

    Attributes:
        is_closing: whether the node is being stopped, and makes no workers any more.
    """

    def __init__(
        self,
        jobs: JobTable,
        workers: Workers,
        resources: Resources,
        registry: Registry,
        control: Control,
        scope: Scope,
        address_of: Callable[[PeerId], str | None],
        end_job: EndJob,
        objects: GuestObjects | None = None,
    ) -> None:
        self._jobs = jobs
        self._workers = workers
        self._resources = resources
        self._registry = registry
        self._control = control
        self._scope = scope
        self._address_of = address_of
        self._end_job = end_job
        self.is_closing = False
        self._objects = objects
        control.handle(MakeWorker.by(self._make))
        control.handle(KillWorker.by(self._kill))
        control.handle(LeaveWorker.by(self._leave))
        control.handle(GuestJobBegun.by(self._begun_elsewhere))
        control.handle(EndGuestJob.by(lambda _, asked: self._end(asked.job)))

    # Workers

    def _make(self, peer: PeerId, asked: MakeWorker) -> Coroutine[Any, Any, WorkerMade]:
        """Take the worker at once: an order to kill it may follow directly, and must find it."""
        if self.is_closing:
            return self._refused("the node is being stopped")
        owner = PeerAddress(peer, self._address_of(peer) or "")
        job = self._guest(asked.job, owner)
        worker = Worker(asked.worker, WorkerKind(asked.kind), job, asked.label, asked.env_vars)
        lacks = self._resources.reserve_for_guest(worker.peer, asked.label, asked.reserved)
        if lacks:
            return self._refused(lacks)
        worker.env_vars = {**self._resources.gpu_variables(worker.peer), **asked.env_vars}
        worker.owner = owner
        worker.preload, worker.hang_timeout_s = tuple(asked.preload), asked.hang_timeout_s
        self._workers.begin(worker)
        return self._made(worker)

    async def _made(self, worker: Worker) -> WorkerMade:
        try:
            await worker.ready
        except errors.ActorStartError:
            self._resources.release_for_guest(worker.peer)  # if it got no process, nobody reports its end
            raise
        return WorkerMade(pid=worker.pid, lacks="", free=self._resources.free())

    async def _refused(self, lacks: str) -> WorkerMade:
        return WorkerMade(pid=None, lacks=lacks, free={} if self.is_closing else self._resources.free())

    def _owned(self, home: PeerId, worker: PeerId) -> Worker | None:
        found = self._workers.find(worker)
        return found if found is not None and found.owner is not None and found.owner.peer == home else None

    def _kill(self, home: PeerId, asked: KillWorker) -> None:
        worker = self._owned(home, asked.worker)
        if worker is not None:
            worker.hang = asked.why
            self._end_worker(worker, is_expected=asked.is_expected)

    def _end_worker(self, worker: Worker, *, is_expected: bool) -> None:
        if is_expected or worker.process is None:  # one that is being forked ends as soon as it has a process
            self._workers.end(worker)
        else:
            self._workers.kill(worker)

    def _leave(self, home: PeerId, asked: LeaveWorker) -> None:
        worker = self._owned(home, asked.worker)
        if worker is not None:
            self._workers.dismiss(worker, asked.grace_s)

    def worker_ended(self, worker: Worker, reason: ExitReason) -> None:
        """Called when the process of a worker has ended, and its actors' children here have been told to stop."""
        if worker.owner is None:
            return
        self._resources.release_for_guest(worker.peer)
        if self._objects is not None:
            self._objects.worker_ended(worker.peer)
        told = WorkerEnded(
            worker=worker.peer,
            reason=reason,
            in_hand=worker.in_hand,
            begun_count=worker.begun_count,
            parents=[actor for actor in worker.parents if self._registry.has_children(actor)],
            free=self._resources.free(),
        )
        self._control.notify(worker.owner, told)

    def node_ended(self, daemon: PeerId) -> None:
        """Called when another node has ended: end the workers that belong to it, and the jobs of its drivers."""
        for worker in self._workers.here():
            if worker.owner is not None and worker.owner.peer == daemon:
                self._workers.end(worker)
        for job in self._jobs.all():
            job.guests = {guest: None for guest in job.guests if guest.peer != daemon}
            if job.home is not None and job.home.peer == daemon:
                self._scope.start(self._end(job.job_id), f"end job {short(job.job_id)}")

    # Jobs

    def _guest(self, asked: GuestJob, asker: PeerAddress) -> Job:
        """Return the job of a worker, which begins here if it is not known."""
        job = self._jobs.find(asked.job)
        if job is not None:
            return job
        job = self._jobs.begin(asked.job, asked.driver, asked.setting, asked.home)
        logger.info("job %s began as a guest of node %s", short(job.job_id), short(asked.home.peer))
        if asked.home.peer != asker.peer:  # the home of the actors is not that of the driver
            self._scope.start(self._tell_begun(job, asked.home), f"begin job {short(job.job_id)}")
        return job

    async def _tell_begun(self, job: Job, home: PeerAddress) -> None:
        """Tell the node of the driver, which is to end the job here too. If it has ended the job, end it here."""
        try:
            await self._control.request(home, GuestJobBegun(job=job.job_id))
        except errors.ActorRtError as error:
            logger.info("job %s has ended: %s", short(job.job_id), error)
            await self._end(job.job_id)

    def _begun_elsewhere(self, peer: PeerId, asked: GuestJobBegun) -> None:
        self._jobs.job(asked.job).guests[PeerAddress(peer, self._address_of(peer) or "")] = None

    async def end_guests(self, job: Job) -> None:
        """End a job of a driver of this node on all nodes where it is a guest; return when it has ended there."""
        guests, job.guests = job.guests, {}
        asked = [self._control.request(guest, EndGuestJob(job=job.job_id)) for guest in guests]
        for answer in asked:
            try:
                await answer
            except errors.ActorRtError as error:
                logger.info("job %s ended elsewhere with its node: %s", short(job.job_id), error)

    async def _end(self, job_id: JobId) -> None:
        job = self._jobs.find(job_id)
        if job is not None and job.home is not None:
            await self._end_job(job_id)
