"""What one driver started: its job, and the workers that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, JobId, PeerAddress, PeerId
from actorrt.protocol.nodes import JobSetting
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason


class WorkerKind(StrEnum):
    """What a worker hosts."""

    OWN = "own"  # one actor that has the process to itself, and its light children
    SHARED = "shared"
    SUPERVISORS = "supervisors"


class Worker:
    """One worker of a node, from before its process exists to after its end.

    Attributes:
        endpoint: where it is reached; known before it listens there.
        ready: ends when it does.
        number: its place in the listings of its node; 0 until it is listed.
        actors: what was placed on it and has not gone, in that order.
        burials_count: how many actors that are gone it has still to bury, whose children may be ending there.
        process: its process, opaque here; None in local mode.
        hang_timeout_s: after how long without a sign of life it is replaced.
        hang: why it was replaced, if it was.
        ordered_count: how many orders to start an actor it was sent.
        begun_count: how many of them it had begun when it ended; None: that is not known.
        in_hand: the calls with retries that it was handling when it ended, by caller and number.
    """

    def __init__(self, endpoint: PeerAddress, kind: WorkerKind, job: Job, label: str, env_vars: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.kind = kind
        self.job = job
        self.label = label
        self.env_vars = env_vars
        self.ready: Completion[None] = Completion()
        self.actors: dict[ActorId, None] = {}
        self.burials_count = 0
        self.number = 0
        self.pid: int | None = None
        self.process: Any = None
        self.exit_reason: ExitReason | None = None
        self.is_leaving = False
        self.hang_timeout_s: float | None = None
        self.hang = ""
        self.in_hand: Sequence[CallInHand] = ()
        self.ordered_count = 0
        self.begun_count: int | None = None

    @property
    def peer(self) -> PeerId:
        return self.endpoint.peer

    @property
    def is_usable(self) -> bool:
        """Whether an actor can be placed on it."""
        return self.exit_reason is None and not self.is_leaving

    @property
    def is_up(self) -> bool:
        """Whether it has said that it is ready, and has not ended: whether it can be told anything."""
        return self.exit_reason is None and self.ready.done() and self.ready.error() is None

    @property
    def is_watchable(self) -> bool:
        """Whether it should answer when it is asked."""
        return self.process is not None and self.is_usable and self.is_up

    def failed_to_launch(self, error: Exception) -> None:
        """It got no process; those who wait for it hear why."""
        if not isinstance(error, ActorStartError):
            error = ActorStartError(f"{self.label} got no process: {type(error).__name__}: {error}")
        self.exit_reason = ExitReason(ExitKind.ERROR, str(error))
        self.ready.set_error(error)

    def ended(self, reason: ExitReason) -> None:
        """Its process is gone."""
        self.exit_reason = reason
        self.ready.set_error(
            ActorStartError(f"the process of {self.label} ended while it started: {reason}", reason=reason)
        )


@dataclass
class Job:
    """What one driver started.

    Attributes:
        job_id: the job.
        driver: the driver's endpoint.
        setting: how its workers find code: `sys_path`, `cwd`; and their `log_level`.
        shared: its shared workers, as many as there were light actors, at most one for each CPU.
        child_groups: the workers of supervisors' light children, by supervisor and number of the group.
        supervisors: the worker of its supervisors.
        has_ended: whether its driver is gone; only its detached actors live on.
        is_left_behind: whether the others have stopped since then.
    """

    job_id: JobId
    driver: PeerAddress
    setting: JobSetting
    shared: list[Worker] = field(default_factory=list)
    child_groups: dict[tuple[ActorId, int], Worker] = field(default_factory=dict)
    supervisors: Worker | None = None
    round_robin_index: int = 0
    has_ended: bool = False
    is_left_behind: bool = False
