"""Chooses the worker that hosts an actor, and reserves what the actor needs on this node.

`node_choice` chooses the node, and the node of a worker reserves. An actor with a process of its own gets a new worker.
So does one that reserves anything on another node, since a node reserves for workers of others and not for their
actors. The supervisors of a job share one worker. Light actors share as many workers as the node has CPUs, in rotation.
There are two exceptions: an actor that is spawned beside another actor goes to the worker of that actor, and the light
children of one supervisor go to workers in groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, JobId, PeerAddress
from actorrt.node.placement.jobs import Job, SharedWorkers, Worker, WorkerKind
from actorrt.node.placement.node_choice import choose
from actorrt.node.placement.nodes import Nodes
from actorrt.node.placement.resources import Resources, amounts_of
from actorrt.node.placement.waiting_starts import NoRoomError
from actorrt.node.placement.workers import Workers


class WorkerChoice:
    """Gives actors their workers.

    Args:
        workers: the node's workers.
        resources: the resources of this node that actors can reserve.
        job_of: returns a job, or raises ActorStartError when it has ended.
        nodes: the nodes where they can run.
    """

    def __init__(self, workers: Workers, resources: Resources, job_of: Callable[[JobId], Job], nodes: Nodes) -> None:
        self._workers = workers
        self._resources = resources
        self._job_of = job_of
        self._nodes = nodes
        self.release = resources.release
        self.reserving = resources.reserving

    def worker_of(self, record: ActorRecord, refused: Collection[PeerAddress] = ()) -> Worker:
        """Return the worker of an actor. An actor without a usable worker gets one.

        Args:
            record: the actor.
            refused: the nodes that had no room for it just now, whatever they have told.

        Raises:
            ActorStartError: its job has ended.
            NoRoomError: no node has room for it now.
            PlacementError: no node will ever have room for it.
        """
        worker: Worker | None = record.place
        return worker if worker is not None and worker.is_usable else self._place(record, refused)

    def _place(self, record: ActorRecord, refused: Collection[PeerAddress]) -> Worker:
        """Reserve what the actor needs and give it a worker, which may not be ready yet."""
        job = self._job_of(record.job)
        host = self._host_of(record, refused)
        if host is None:
            self._resources.reserve(record.actor_id, record.label, record.options)
        else:
            self._resources.release(record.actor_id)
        is_alone = record.options.needs_own_process or (host is not None and bool(amounts_of(record.options)))
        give = self._own if is_alone else self._shared
        worker = give(record, job, host)
        record.place = worker
        worker.actors[record.actor_id] = None
        return worker

    @staticmethod
    def line_of(record: ActorRecord) -> Hashable:
        """Return what is equal for actors that wait for the same."""
        return tuple(sorted(amounts_of(record.options).items())), str(record.options.placement)

    def _host_of(self, record: ActorRecord, refused: Collection[PeerAddress]) -> PeerAddress | None:
        """Return the node for an actor; None for this one."""
        if record.order.is_beside and self._beside(record) is not None:
            return None
        options, resources = record.options, self._resources
        need = amounts_of(options)
        if options.placement is None and resources.has_room(record.actor_id, need):
            return None
        views = self._nodes.views(record, refused)
        choice = choose(record.label, need, options.placement, views)
        if not choice.nodes:
            raise NoRoomError(choice.lacks)
        return choice.nodes[0].daemon

    def _beside(self, record: ActorRecord) -> Worker | None:
        """Return the worker of the actor that a light actor was spawned by, if that can host it."""
        at = record.order.beside_peer_address
        worker = None if at is None else self._workers.find(at.peer)
        return worker if worker is not None and worker.is_usable else None

    def _own(self, record: ActorRecord, job: Job, host: PeerAddress | None) -> Worker:
        options = record.options
        gpus = {} if host is not None else self._resources.gpu_variables(record.actor_id)
        worker = self._launch(host, WorkerKind.OWN, job, record.label, {**gpus, **options.env_vars})
        worker.hang_timeout_s, worker.preload = options.hang_timeout_s, options.preload
        if host is not None:
            worker.reserved = amounts_of(options)
        return worker

    def _launch(
        self, host: PeerAddress | None, kind: WorkerKind, job: Job, label: str, env_vars: dict[str, str]
    ) -> Worker:
        if host is None:
            return self._workers.launch(kind, job, label, env_vars)
        return self._workers.launch_at(host, kind, job, label, env_vars)

    def _shared(self, record: ActorRecord, job: Job, host: PeerAddress | None) -> Worker:
        """Return the worker of an actor that shares one."""
        places = job.workers_at(host)
        if record.is_supervisor:
            if places.supervisors is None or not places.supervisors.is_usable:
                places.supervisors = self._launch(host, WorkerKind.SUPERVISORS, job, "supervisors", {})
            return places.supervisors
        beside = self._beside(record) if record.order.is_beside else None
        if beside is not None:
            return beside
        cpu_count = self._resources.cpu_count if host is None else self._nodes.cpu_count(host)
        child_group = _child_group_of(record, cpu_count)
        found = None if child_group is None else places.child_groups.get(child_group)
        if found is None or not found.is_usable:
            found = self._next_shared(places, job, host, cpu_count)
        if child_group is not None:
            places.child_groups[child_group] = found
        return found

    def _next_shared(self, places: SharedWorkers, job: Job, host: PeerAddress | None, cpu_count: int) -> Worker:
        places.shared = [worker for worker in places.shared if worker.is_usable]
        if len(places.shared) < cpu_count:
            worker = self._launch(host, WorkerKind.SHARED, job, f"shared-{len(places.shared) + 1}", {})
            places.shared.append(worker)
            return worker
        places.round_robin_index += 1
        return places.shared[places.round_robin_index % len(places.shared)]

    def forget_children_of(self, supervisor: ActorRecord) -> None:
        """Forget the workers of the groups of a supervisor that has ended."""
        job = supervisor.place.job
        for places in (job.here, *job.there.values()):
            groups = places.child_groups
            places.child_groups = {key: part for key, part in groups.items() if key[0] != supervisor.actor_id}


def _child_group_of(record: ActorRecord, cpu_count: int) -> tuple[ActorId, int] | None:
    """Return the group of a supervisor's light children that a child belongs to; None if it is no such child.

    There are as many groups as CPUs. A group shares a worker, so that one order stops or starts the whole group.
    """
    child_index = record.order.share
    if child_index is None or record.supervisor is None:
        return None
    if record.options.needs_own_process or record.is_supervisor:
        return None
    index, count = child_index
    return record.supervisor, index * cpu_count // count
