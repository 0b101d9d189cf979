"""Chooses the worker that hosts an actor, and reserves what the actor needs.

An actor with a process of its own gets a new worker. The supervisors of a job share one worker. Light actors share as
many workers as the node has CPUs, in rotation. There are two exceptions: an actor that is spawned beside another actor
goes to the worker of that actor, and the light children of one supervisor go to workers in groups.
"""

from __future__ import annotations

from collections.abc import Callable

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, JobId
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers


class WorkerChoice:
    """Gives actors their workers.

    Args:
        workers: the node's workers.
        resources: the resources that actors can reserve.
        job_of: returns a job, or raises ActorStartError when it has ended.
    """

    def __init__(self, workers: Workers, resources: Resources, job_of: Callable[[JobId], Job]) -> None:
        self._workers = workers
        self._resources = resources
        self._job_of = job_of
        self.release = resources.release
        self.reserving = resources.reserving

    def worker_of(self, record: ActorRecord) -> Worker:
        """Return the worker of an actor. An actor without a usable worker gets one.

        Raises:
            ActorStartError: its job has ended, or there is not enough left to reserve.
            PlacementError: the node has nothing of a resource that the actor reserves.
        """
        worker: Worker | None = record.place
        return worker if worker is not None and worker.is_usable else self._place(record)

    def _place(self, record: ActorRecord) -> Worker:
        """Reserve what the actor needs and give it a worker, which may not be ready yet."""
        job = self._job_of(record.job)
        child_group = self._child_group_of(record)
        worker = self._existing(record, job, None if child_group is None else job.child_groups.get(child_group))
        if worker is None:
            worker = self._new(record, job)
        if child_group is not None:
            job.child_groups[child_group] = worker
        record.place = worker
        worker.actors[record.actor_id] = None
        return worker

    def _child_group_of(self, record: ActorRecord) -> tuple[ActorId, int] | None:
        """Return the group of a supervisor's light children that a child belongs to; None if it is no such child.

        There are as many groups as CPUs. A group shares a worker, so that one order stops or starts the whole group.
        """
        child_index = record.order.share
        if child_index is None or record.supervisor is None:
            return None
        if record.options.needs_own_process or record.is_supervisor:
            return None
        index, count = child_index
        return record.supervisor, index * self._resources.cpu_count // count

    def _existing(self, record: ActorRecord, job: Job, of_child_group: Worker | None) -> Worker | None:
        self._resources.reserve(record.actor_id, record.label, record.options)
        if record.options.needs_own_process:
            return None
        if record.is_supervisor:
            return job.supervisors if job.supervisors is not None and job.supervisors.is_usable else None
        if record.order.is_beside and record.order.beside_peer_address is not None:
            beside = self._workers.find(record.order.beside_peer_address.peer)
            if beside is not None and beside.is_usable:
                return beside
        if of_child_group is not None and of_child_group.is_usable:
            return of_child_group
        job.shared = [worker for worker in job.shared if worker.is_usable]
        if len(job.shared) < self._resources.cpu_count:
            return None
        job.round_robin_index += 1
        return job.shared[job.round_robin_index % len(job.shared)]

    def _new(self, record: ActorRecord, job: Job) -> Worker:
        if record.options.needs_own_process:
            worker = self._workers.launch(WorkerKind.OWN, job, record.label, dict(record.options.env_vars))
            worker.hang_timeout_s, worker.preload = record.options.hang_timeout_s, record.options.preload
            return worker
        if record.is_supervisor:
            job.supervisors = self._workers.launch(WorkerKind.SUPERVISORS, job, "supervisors", {})
            return job.supervisors
        worker = self._workers.launch(WorkerKind.SHARED, job, f"shared-{len(job.shared) + 1}", {})
        job.shared.append(worker)
        return worker

    def forget_children_of(self, supervisor: ActorRecord) -> None:
        """Forget the workers of the groups of a supervisor that has ended."""
        job = supervisor.place.job
        job.child_groups = {key: part for key, part in job.child_groups.items() if key[0] != supervisor.actor_id}
