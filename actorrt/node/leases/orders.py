"""Pure: what `Grants` has its shell do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from actorrt.errors import ActorStartError
from actorrt.ids import JobId, PeerId


@dataclass(frozen=True, slots=True)
class Launch:
    """Make a worker of a job, with environment variables beside those of the job, or for light tasks."""

    worker: int
    job: JobId
    env_vars: tuple[tuple[str, str], ...]
    is_light: bool


@dataclass(frozen=True, slots=True)
class Dismiss:
    """End a worker. `may_work`: it may have a task in hand, and gets time to end it."""

    worker: int
    may_work: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """Tell a submitter that a worker is lent to it."""

    submitter: PeerId
    task_class: int
    lease: int
    worker: int


@dataclass(frozen=True, slots=True)
class Recall:
    """Tell a submitter to return a lease."""

    submitter: PeerId
    lease: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell a submitter that the want of a class is forgotten."""

    submitter: PeerId
    task_class: int
    error: ActorStartError


@dataclass(frozen=True, slots=True)
class Warn:
    """Say something to people."""

    text: str


GrantOrder: TypeAlias = Launch | Dismiss | Grant | Recall | Refuse | Warn
