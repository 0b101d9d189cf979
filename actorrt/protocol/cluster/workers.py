"""Pure: requests by which the home of actors has another node make their workers, and hears of the workers' ends.

A node that makes workers for another one knows the job of these workers as a *guest job*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from actorrt.ids import ActorId, JobId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.nodes import JobSetting
from actorrt.protocol.processes import CallInHand
from actorrt.protocol.verb import Record, Request, verb
from actorrt.reasons import ExitReason

KindOfWorker: TypeAlias = Literal["own", "shared", "supervisors"]


class GuestJob(Record):
    """A job, as another node than that of its driver knows it.

    Attributes:
        job, setting: the job.
        driver: the endpoint of the driver, to which output goes.
        home: the daemon of the driver's node, which ends the job.
    """

    job: JobId
    driver: PeerAddress
    home: PeerAddress
    setting: JobSetting


class WorkerMade(Record):
    """The process of a new worker, or what the node lacks for it now.

    Attributes:
        pid: the id of the process; None if there is none.
        lacks: what the node lacks, in words; empty if it made the worker.
        free: what is free on the node now, by resource.
    """

    pid: Count | None
    lacks: str
    free: dict[str, float]


@verb("make_worker", asked_by="the home of the actors that it is for")
class MakeWorker(Request[WorkerMade]):
    """Make a worker for actors of the asker. The answer comes when the worker listens.

    The asker hears of the end of a worker that was made by `WorkerEnded`. The worker ends with the asker's node.

    Attributes:
        worker: its endpoint.
        kind, label, env_vars, preload, hang_timeout_s: see `Worker`.
        job: its job, which the node may not know yet.
        reserved: what is reserved for it until its process has ended, by resource.

    Raises:
        PlacementError: the node has nothing of a resource.
        ActorStartError: the worker got no process, or its process has ended already, or the job has ended.
    """

    worker: PeerAddress
    kind: KindOfWorker
    label: str
    env_vars: dict[str, str]
    preload: list[str]
    hang_timeout_s: Seconds | None
    job: GuestJob
    reserved: dict[str, float]


@verb("kill_worker", asked_by="the home of its actors")
class KillWorker(Request[None]):
    """End a worker at once. One that is unknown has ended.

    Attributes:
        is_expected: whether its end is no failure.
        why: the defect for which it is killed; an empty text if there is none.
    """

    worker: PeerId
    is_expected: bool
    why: str


@verb("leave_worker", asked_by="the home of its actors")
class LeaveWorker(Request[None]):
    """Have a worker without actors send its last messages and end; kill it if it has not ended after `grace_s`."""

    worker: PeerId
    grace_s: Seconds


@verb("hold_for_actor", asked_by="the home of the actor")
class HoldForActor(Request[None]):
    """Hold objects of the asker that an actor is started from, until the actor or its worker ends.

    They replace those that were held for the actor before.

    Raises:
        ActorStartError: the worker has ended.
    """

    worker: PeerId
    actor: ActorId
    objects: Sequence[ObjectId]


@verb("release_for_actor", asked_by="the home of the actor")
class ReleaseForActor(Request[None]):
    """Release what is held for an actor that has ended."""

    worker: PeerId
    actor: ActorId


@verb("worker_ended", asked_by="the node that has made the worker")
class WorkerEnded(Request[None]):
    """The process of a worker is gone.

    Attributes:
        worker, reason: the worker, and how it ended.
        in_hand, begun_count: see `Worker`.
        parents: those of its actors whose children are still ending on the node.
        free: what is free on the node now, by resource.
    """

    worker: PeerId
    reason: ExitReason
    in_hand: Sequence[CallInHand]
    begun_count: Count | None
    parents: Sequence[ActorId]
    free: dict[str, float]


@verb("guest_job_begun", asked_by="a node that has begun a guest job for a third node")
class GuestJobBegun(Request[None]):
    """The asker makes workers for a job of the node: it is to be told of the job's end.

    Raises:
        ActorStartError: the job has ended.
    """

    job: JobId


@verb("end_guest_job", asked_by="the node of the job's driver")
class EndGuestJob(Request[None]):
    """End a guest job. The answer comes when the actors that were spawned on the node have stopped, but for detached
    ones; with those, the job goes on until the last one has ended.
    """

    job: JobId


@verb("node_room", asked_by="a node of the cluster")
class NodeRoom(Request[None]):
    """What is free on the asker, by resource: a hint, since each node grants its own resources."""

    free: dict[str, float]
