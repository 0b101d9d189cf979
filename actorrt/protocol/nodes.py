"""Pure: requests that only a node answers, from its processes, commands, and supervisors of several children.

A node that is being stopped takes no new drivers and starts no actors: `RuntimeStateError` and `ActorStartError`.
"""

from __future__ import annotations

from typing import NamedTuple

from actorrt.ids import ActorId, JobId, NodeId, PeerId
from actorrt.protocol.authorities import ActorCard
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.leases import TaskClassRow, TaskRow
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Record, Request, verb

# Processes come and go


class JobSetting(Record):
    """How the workers of a job find code, and how much they log."""

    namespace: str
    sys_path: list[str]
    cwd: str
    env_vars: dict[str, str]
    log_level: Count


class Attached(Record):
    """A node's version of actorrt, and the CPUs and GPUs that actors can reserve on it."""

    version: str
    cpus: Count
    gpus: Count


@verb("attach_driver", asked_by="a driver")
class AttachDriver(Request[Attached]):
    """Begin the asker's job.

    Attributes:
        address, pid: the address of the driver's endpoint, and the id of its process.

    Raises:
        RuntimeStateError: the asker is no driver, or it has a job already.
        ValueError: the driver is reached at another address.
    """

    job: JobId
    address: str
    pid: Count
    setting: JobSetting


@verb("detach", asked_by="a driver")
class Detach(Request[None]):
    """End the asker's job. The answer comes when its actors have stopped, but for the detached ones.

    Raises:
        RuntimeStateError: the job is another driver's.
    """

    job: JobId


@verb("attach_worker", asked_by="a worker")
class AttachWorker(Request[None]):
    """The worker is ready to host actors.

    Raises:
        RuntimeStateError: the asker is no worker of this node.
    """

    pid: Count


@verb("goodbye", asked_by="a driver, a command")
class Goodbye(Request[None]):
    """The asker is about to end, so the node does not have to find out.

    Raises:
        RuntimeStateError: the asker is a worker, which leaves when the node tells it to.
    """


@verb("preload", asked_by="a driver")
class Preload(Request[None]):
    """Import modules in the processes that fork workers, or apart in one that forks only workers that need them."""

    modules: list[str]
    job: JobId
    apart: bool


# Actors


@verb("lookup", asked_by="any process that looks up a name")
class LookUp(Request[ActorCard]):
    """Find an actor by its name; wait up to `timeout_s` seconds for it.

    Raises:
        NameNotFoundError: no live actor has the name by then.
    """

    namespace: str
    name: str
    timeout_s: Seconds


@verb("orphaned", asked_by="the authority of a light child")
class Orphaned(Request[None]):
    """An actor that the node does not know has ended: end the actors that it spawned on the node.

    The answer comes when these are gone.
    """

    actor: ActorId


@verb("restart_children", asked_by="a supervisor")
class RestartChildren(Request[None]):
    """Start children again, each when the one before has started. The supervisor hears `ChildrenRestarted`."""

    supervisor: ActorId
    actors: list[ActorId]


@verb("stop_children", asked_by="a supervisor")
class StopChildren(Request[None]):
    """End children, each when the one before has ended. The supervisor hears of each by `ChildExited`."""

    actors: list[ActorId]
    reason: str
    manner: Manner


class HostedActor(NamedTuple):
    """The outcome of an order to start an incarnation in its turn."""

    actor: ActorId
    incarnation: Count
    has_started: bool


@verb("hosted", asked_by="the host of the actors")
class Hosted(Request[None]):
    """The host has carried out the orders for these actors of a `HostInTurn`."""

    actors: list[HostedActor]


# What people ask


class SilenceReport(Record):
    """The reason why a process gives no sign of life.

    Attributes:
        silence: `stopped`, `blocked` or `busy`; None if the process is not silent.
        silent_s, pid: the time for which the process has been silent, and its process id.
    """

    silence: str | None
    silent_s: Seconds = 0.0
    pid: Count | None = None


@verb("silence", asked_by="a caller that waits long")
class ExplainSilence(Request[SilenceReport]):
    """Say why a process does not answer."""

    peer: PeerId


class Cursor(NamedTuple):
    """The numbers of the last worker and of the last actor on a page."""

    worker: Count
    actor: Count


class JobStatus(Record):
    """A job, by the beginning of its id, and the address of its driver."""

    job: str
    driver: str


class WorkerStatus(Record):
    """A worker, and the resources that its process uses.

    Attributes:
        kind: `own`, `shared`, `supervisors` or `tasks`.
        lent: whether a worker for tasks is `free`, `leased`, `blocked` (its task waits), `launching` or `ending`.
        actors: the number of its actors; 0 for a guest, whose actors belong to another node.
        is_guest: whether it hosts actors of another node.
        memory_bytes, cpu_s: None if there is no process.
        peer, address: its endpoint.
    """

    label: str
    kind: str
    lent: str | None
    job: str
    pid: Count | None
    actors: Count
    is_guest: bool
    memory_bytes: Count | None
    cpu_s: Seconds | None
    peer: PeerId
    address: str


class ActorStatus(Record):
    """An actor, by the beginning of its id, its state and its process.

    Attributes:
        waits_for: what its start waits for, if no node has room for it; else empty.
        worker, pid: None if it is in no process.
        node: the node where it runs; None if that is its home, the one that lists it.
        reserved: the amounts that it reserves, by resource.
        last_exit: the reason of the end of its last incarnation.
    """

    actor: str
    label: str
    job: str
    namespace: str
    is_detached: bool
    state: str
    waits_for: str
    incarnation: Count
    worker: str | None
    pid: Count | None
    node: NodeId | None
    reserved: dict[str, float]
    last_exit: str | None


class Totals(Record):
    """The numbers of jobs, workers and actors of a node."""

    jobs: Count
    workers: Count
    actors: Count


class StatusPage(Record):
    """The state of a node, and a page of its workers and actors; `next` is the cursor of the following page.

    Attributes:
        reserved_cpus, reserved_gpus: what actors have reserved.
        leased_cpus, leased_gpus: what is lent to tasks.
    """

    version: str
    address: str
    jobs: list[JobStatus]
    totals: Totals
    workers: list[WorkerStatus]
    actors: list[ActorStatus]
    next: Cursor | None
    cpus: float
    reserved_cpus: float
    leased_cpus: float
    gpus: float
    reserved_gpus: float
    leased_gpus: float


@verb("status", asked_by="a driver, a command")
class AskStatus(Request[StatusPage]):
    """List workers and actors of the node: the `count` rows after a cursor.

    Raises:
        TypeError, ValueError: there is no such page.
    """

    after: Cursor | None
    count: Count


class ActorRow(Record):
    """A row about an actor, from its authority, for the tree of all actors.

    Attributes:
        home: the endpoint where it runs.
        restarts: the number of its restarts.
        is_own: whether it has a process of its own.
    """

    actor: ActorId
    parent: ActorId | None
    job: JobId
    home: PeerId | None
    label: str
    state: str
    restarts: Count
    last_exit: str | None
    pid: Count | None
    is_own: bool
    is_supervisor: bool
    is_detached: bool


class JobRow(Record):
    """A job, and the address of its driver.

    Attributes:
        task_workers: the number of its workers for tasks by what they do; see `WorkerStatus`.
        tasks: the number of its tasks that have not ended, by their states; see `TaskRow`.
    """

    job: JobId
    driver: str
    task_workers: dict[str, Count]
    tasks: dict[str, Count]


class ActorTree(Record):
    """The jobs and actors of a node.

    Attributes:
        jobs, actors: parents come before their children, siblings in the order in which they were spawned.
        left_out: the number of actors below each parent or job that are not listed; under the empty id, those of ended
            jobs.
        queued: the number of messages in the mailbox of each actor whose process has answered.
        child_ids: the ids by which supervisors know their children.
        memory_bytes: the memory of each process that belongs to one actor.
        nodes: the nodes of those endpoints in `actors` that are not on the node itself.
    """

    jobs: list[JobRow]
    actors: list[ActorRow]
    left_out: dict[bytes, Count]
    queued: dict[ActorId, Count]
    child_ids: dict[ActorId, str]
    memory_bytes: dict[ActorId, Count]
    nodes: dict[PeerId, NodeId]


@verb("tree", asked_by="a command")
class AskTree(Request[ActorTree]):
    """List the jobs and actors of the node and of its processes.

    Raises:
        ValueError: `siblings_count`, how many children of one parent are listed, is out of range.
    """

    siblings_count: Count


class SubmitterRow(Record):
    """A process that has submitted tasks which have not ended.

    Attributes:
        process, pid: its name for people, and its process id.
        has_answered: whether it has told of its tasks. A worker does not while plain code computes there.
        classes, tasks: as in `TaskListing`.
    """

    job: JobId
    process: str
    pid: Count | None
    has_answered: bool
    classes: list[TaskClassRow]
    tasks: list[TaskRow]


class NodeTasks(Record):
    """The tasks of a node, by the processes that have submitted them."""

    submitters: list[SubmitterRow]


@verb("tasks", asked_by="a command")
class AskTasks(Request[NodeTasks]):
    """List the tasks that have not ended, by submitters and classes, and the `count` oldest ones of each submitter.

    Raises:
        ValueError: `count` is out of range.
    """

    count: Count
