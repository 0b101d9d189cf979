"""Pure: what only a node is asked: by its processes, by commands, and by supervisors that order for several children.

A node that is being stopped takes no new drivers and starts no actors: `RuntimeStateError` and `ActorStartError`.
"""

from __future__ import annotations

from typing import NamedTuple

from actorrt.ids import ActorId, JobId, PeerId
from actorrt.protocol.authorities import ActorCard
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Record, Request, record, verb

# Processes come and go


@record
class JobSetting(Record):
    """How the workers of a job find code, and how much they log."""

    namespace: str
    sys_path: list[str]
    cwd: str
    env_vars: dict[str, str]
    log_level: Count


@record
class Attached(Record):
    """What a node is: its version of actorrt, and what actors can reserve there."""

    version: str
    cpus: Count
    gpus: Count


@verb("attach_driver", asked_by="a driver")
class AttachDriver(Request[Attached]):
    """Begin the asker's job.

    Attributes:
        address, pid: where the driver is reached, and its process.

    Raises:
        RuntimeStateError: the asker is no driver, or it has a job already.
        ValueError: it is reached elsewhere.
    """

    job: JobId
    address: str
    pid: Count
    setting: JobSetting


@verb("detach", asked_by="a driver")
class Detach(Request[None]):
    """End the asker's job; the answer comes when its actors have stopped, but for those that are detached.

    Raises:
        RuntimeStateError: the job is another driver's.
    """

    job: JobId


@verb("attach_worker", asked_by="a worker")
class AttachWorker(Request[None]):
    """The worker is ready to host actors.

    Raises:
        RuntimeStateError: it is no worker of this node.
    """

    pid: Count


@verb("goodbye", asked_by="a driver, a command")
class Goodbye(Request[None]):
    """The asker ends: it need not be looked for.

    Raises:
        RuntimeStateError: it is a worker, which leaves when it is told to.
    """


@verb("preload", asked_by="a driver")
class Preload(Request[None]):
    """Have workers that start later find modules imported."""

    modules: list[str]
    job: JobId


# Actors


@verb("lookup", asked_by="whoever looks up a name")
class LookUp(Request[ActorCard]):
    """Find an actor by its name, waiting for that up to `timeout_s` seconds.

    Raises:
        NameNotFoundError: no live actor has the name by then.
    """

    namespace: str
    name: str
    timeout_s: Seconds


@verb("orphaned", asked_by="the authority of a light child")
class Orphaned(Request[None]):
    """An actor ended that the node does not know: end what it spawned here; answer when that is gone."""

    actor: ActorId


@verb("restart_children", asked_by="a supervisor")
class RestartChildren(Request[None]):
    """Start children again, each when the one before has started; `ChildrenRestarted` tells how that went."""

    supervisor: ActorId
    actors: list[ActorId]


@verb("stop_children", asked_by="a supervisor")
class StopChildren(Request[None]):
    """End children, each when the one before has ended; their exits are reported."""

    actors: list[ActorId]
    reason: str
    manner: Manner


class HostedActor(NamedTuple):
    """What became of an order to start an incarnation in its turn."""

    actor: ActorId
    incarnation: Count
    has_started: bool


@verb("hosted", asked_by="the host of the actors")
class Hosted(Request[None]):
    """Orders for so many actors of a `HostInTurn` are carried out."""

    actors: list[HostedActor]


# What people ask


@record
class SilenceReport(Record):
    """Why a process gives no sign of life.

    Attributes:
        silence: `stopped`, `blocked` or `busy`; None for one that is not silent.
        silent_s, pid: for how long, and which process.
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


@record
class JobStatus(Record):
    """A job, by the beginning of its id, and the address of its driver."""

    job: str
    driver: str


@record
class WorkerStatus(Record):
    """A worker, what it hosts, and what its process uses.

    Attributes:
        kind: `own`, `shared` or `supervisors`.
        actors: how many.
        memory_bytes, cpu_s: None where there is no process.
        peer, address: where it is reached.
    """

    label: str
    kind: str
    job: str
    pid: Count | None
    actors: Count
    memory_bytes: Count | None
    cpu_s: Seconds | None
    peer: PeerId
    address: str


@record
class ActorStatus(Record):
    """An actor, by the beginning of its id: where it is in its life, and in which process.

    Attributes:
        worker, pid: None where it is in none.
        reserved: how much of what it reserves.
        last_exit: why its last incarnation ended.
    """

    actor: str
    label: str
    job: str
    namespace: str
    is_detached: bool
    state: str
    incarnation: Count
    worker: str | None
    pid: Count | None
    reserved: dict[str, float]
    last_exit: str | None


@record
class Totals(Record):
    """How many there are."""

    jobs: Count
    workers: Count
    actors: Count


@record
class StatusPage(Record):
    """What a node has and does, and a page of its workers and actors; `next` is what the following page comes after."""

    version: str
    address: str
    jobs: list[JobStatus]
    totals: Totals
    workers: list[WorkerStatus]
    actors: list[ActorStatus]
    next: Cursor | None
    cpus: float
    reserved_cpus: float
    gpus: float
    reserved_gpus: float


@verb("status", asked_by="a driver, a command")
class AskStatus(Request[StatusPage]):
    """List what the node runs: `count` rows of workers and actors, those that come after a page.

    Raises:
        TypeError, ValueError: no such page.
    """

    after: Cursor | None
    count: Count


@record
class ActorRow(Record):
    """What its authority knows of an actor, for the tree of all actors.

    Attributes:
        home: the endpoint where it runs.
        restarts: how often it was started again.
        is_own: whether its process is its own.
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


@record
class JobRow(Record):
    """A job, and the address of its driver."""

    job: JobId
    driver: str


@record
class ActorTree(Record):
    """The jobs and actors of a node.

    Attributes:
        jobs, actors: parents come before their children, siblings in the order in which they were spawned.
        left_out: for each parent or job, how many below it are not listed; under no id, how many of ended jobs.
        queued: how many messages wait in the mailboxes of actors, for those whose process has answered.
        child_ids: what the children of supervisors are called by.
        memory_bytes: of the processes of actors that have one of their own.
    """

    jobs: list[JobRow]
    actors: list[ActorRow]
    left_out: dict[bytes, Count]
    queued: dict[ActorId, Count]
    child_ids: dict[ActorId, str]
    memory_bytes: dict[ActorId, Count]


@verb("tree", asked_by="a command")
class AskTree(Request[ActorTree]):
    """List the jobs and actors of the node and of its processes.

    Raises:
        ValueError: `siblings_count`, how many children of one parent are listed, is out of range.
    """

    siblings_count: Count
