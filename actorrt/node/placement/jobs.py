"""Jobs, and the workers that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, JobId, PeerAddress, PeerId
from actorrt.protocol.nodes import JobSetting
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.node.processes.forker import WorkerProcess


class WorkerKind(StrEnum):
    """The kind of actors that a worker hosts, or that it runs tasks and hosts none."""

    OWN = "own"  # one actor, and its light children
    SHARED = "shared"
    SUPERVISORS = "supervisors"
    TASKS = "tasks"


class Worker:
    """One worker of a node, from before its process exists to after its end.

    Attributes:
        endpoint: its endpoint; known before the worker listens there.
        ready: completes when the worker listens.
        preload: modules that are imported before its process is forked.
        is_light: whether it runs light tasks, of all submitters.
        number: its place in the node's listings; 0 until it is listed.
        actors: the actors that were placed on it and have not gone, in the order of placement.
        burials_count: the number of orders to bury an actor that it has not answered; children may be ending there.
        process: its process; None without one, as in local mode.
        hang_timeout_s: how long it may give no sign of life before it is replaced; None: without limit.
        hang: the reason why it was replaced, or an empty text.
        memory_excess: how it used more memory than it may, for which it was killed; or an empty text.
        kill_reason: why it was killed for the sake of a task; or an empty text.
        ordered_count: the number of orders to start an actor that were sent to it.
        begun_count: the number of these orders that it had begun when it ended; None if that is unknown.
        in_hand: the calls with retries that it was handling when it ended, by caller and number.
        host: the daemon of the other node that makes it; None: this node does.
        owner: the daemon of the other node that its actors belong to; None: they belong to this node.
        reserved: what its host reserves for it, by resource; empty if this node is the host.
        lacks: what its host lacked for it, in words; empty if it was not refused for that.
        parents: actors that have spawned others on the node where it runs, as far as that is known here.
    """

    def __init__(
        self, peer_address: PeerAddress, kind: WorkerKind, job: Job, label: str, env_vars: dict[str, str]
    ) -> None:
        self.peer_address = peer_address
        self.kind = kind
        self.job = job
        self.label = label
        self.env_vars = env_vars
        self.preload: tuple[str, ...] = ()
        self.ready: Completion[None] = Completion()
        self.actors: dict[ActorId, None] = {}
        self.burials_count = 0
        self.is_light = False
        self.number = 0
        self.pid: int | None = None
        self.process: WorkerProcess | None = None
        self.exit_reason: ExitReason | None = None
        self.is_leaving = False
        self.hang_timeout_s: float | None = None
        self.hang = ""
        self.memory_excess = ""
        self.kill_reason = ""
        self.in_hand: Sequence[CallInHand] = ()
        self.ordered_count = 0
        self.begun_count: int | None = None
        self.host: PeerAddress | None = None
        self.owner: PeerAddress | None = None
        self.reserved: Mapping[str, float] = {}
        self.lacks = ""
        self.parents: dict[ActorId, None] = {}

    @property
    def peer(self) -> PeerId:
        return self.peer_address.peer

    @property
    def is_usable(self) -> bool:
        """Whether an actor can be placed on it."""
        return self.exit_reason is None and not self.is_leaving

    @property
    def is_up(self) -> bool:
        """Whether it is ready and has not ended, so that orders reach it."""
        return self.exit_reason is None and self.ready.done() and self.ready.error() is None

    @property
    def is_watchable(self) -> bool:
        """Whether it has a process that owes answers."""
        return self.process is not None and self.is_usable and self.is_up

    def failed_to_launch(self, error: Exception) -> None:
        """Called when the worker got no process. Starts that wait for it fail with the error."""
        if not isinstance(error, ActorStartError):
            error = ActorStartError(f"{self.label} got no process: {type(error).__name__}: {error}")
        if error.reason is None:
            error.reason = ExitReason(ExitKind.ERROR, str(error))
        self.exit_reason = error.reason
        self.ready.set_error(error)

    def ended(self, reason: ExitReason) -> None:
        """Called when the process of the worker is gone."""
        self.exit_reason = reason
        self.ready.set_error(
            ActorStartError(f"the process of {self.label} ended while it started: {reason}", reason=reason)
        )


@dataclass
class SharedWorkers:
    """The workers of a job on one node that several of its actors share.

    Attributes:
        shared: the workers of light actors. Each light actor gets a new one, until there are as many as CPUs.
        child_groups: the workers of supervisors' light children, by supervisor and number of the group.
        supervisors: the worker of supervisors.
        round_robin_index: the number of placements on shared workers, which are used in rotation.
    """

    shared: list[Worker] = field(default_factory=list)
    child_groups: dict[tuple[ActorId, int], Worker] = field(default_factory=dict)
    supervisors: Worker | None = None
    round_robin_index: int = 0


@dataclass
class Job:
    """The job of one driver.

    Attributes:
        job_id: the job.
        driver: the driver's endpoint.
        setting: how its workers find code, and how much they log.
        home: the daemon of the driver's node if that is another one: the job is a guest here.
        guests: the daemons of the nodes where it is a guest.
        here: the workers on this node that its actors share.
        there: the same for other nodes, by their daemons.
        has_ended: whether its end has begun, so that only its detached actors live on.
        is_left_behind: whether only detached actors are left.
    """

    job_id: JobId
    driver: PeerAddress
    setting: JobSetting
    home: PeerAddress | None = None
    guests: dict[PeerAddress, None] = field(default_factory=dict)
    here: SharedWorkers = field(default_factory=SharedWorkers)
    there: dict[PeerAddress, SharedWorkers] = field(default_factory=dict)
    has_ended: bool = False
    is_left_behind: bool = False

    def workers_at(self, host: PeerAddress | None) -> SharedWorkers:
        """Return the workers that actors share on a node; None: this node."""
        return self.here if host is None else self.there.setdefault(host, SharedWorkers())
