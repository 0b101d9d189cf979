"""Pure: the instructions that `Supervision` gives to its shell, and its information about children."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitReason


@dataclass(frozen=True, slots=True)
class StartOne:
    """Start the child's next incarnation; for a child that was forgotten before, as a new actor."""

    id: str


@dataclass(frozen=True, slots=True)
class StopOne:
    """Ask the child to end, and kill it after its `shutdown_s`; with `kill`, kill it at once."""

    id: str
    kill: bool = False
    manner: Manner = Manner.ORDERLY


@dataclass(frozen=True, slots=True)
class StartSeveral:
    """Start several children again, each when the one before has started.

    When a start fails, the shell first reports `start_not_reached` for the children behind it, last first, and then the
    failure.
    """

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopSeveral:
    """End several children as `StopOne` does, each when the one before has ended."""

    ids: tuple[str, ...]
    manner: Manner = Manner.ORDERLY


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Report `retry_due(id)` in `delay_s` seconds."""

    id: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Forget:
    """The child's actor is gone for good: tell its monitors and callers, free its name.

    Attributes:
        id: the child.
        reason: why the child is not started again, if its supervisor gave up; None: the reason of its last end.
    """

    id: str
    reason: ExitReason | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """Every child that the supervisor began with has started."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Every child has ended and been forgotten: the supervisor ends by its own decision.

    Attributes:
        reason: `intensity` where there were too many failures or a quorum was lost, `shutdown` where significant
            children ended, and before `Ready` the reason of the first start that failed.
    """

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Stopped:
    """Every child has ended and been forgotten: the supervisor ends as it was asked to."""


Instruction: TypeAlias = (
    StartOne | StopOne | StartSeveral | StopSeveral | RetryAfter | Forget | Ready | GiveUp | Stopped
)


class ChildState(StrEnum):
    """Where a child is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKING_OFF = "backing_off"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """What a supervisor knows of one child."""

    id: str
    state: ChildState
    restart_count: int
    last_reason: ExitReason | None
