"""Pure: every option of an actor. Options are checked when they are given, before anything starts.

Other modules apply the options: `supervision` restarts, the mailbox holds its bounds, the node layer makes processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final, Self

from actorrt import config
from actorrt.actors.policy import checks, node_placement
from actorrt.actors.policy.backoff import DEFAULT_BACKOFF, Backoff
from actorrt.actors.policy.node_placement import Placement


class RestartType(StrEnum):
    """The exits of a child that its supervisor answers with a restart."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class IfExists(StrEnum):
    """What a spawn does when its name is taken."""

    FAIL = "fail"
    GET = "get"
    REPLACE = "replace"


class Isolation(StrEnum):
    """Where an actor lives: on a loop with others, or in a process of its own."""

    SHARED = "shared"
    PROCESS = "process"


class Overflow(StrEnum):
    """What happens to a message that finds the mailbox at its bound."""

    BLOCK = "block"
    FAIL = "fail"
    DROP_OLD = "drop_old"
    DROP_NEW = "drop_new"
    LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOptions:
    """All options of an actor, checked; strings become enums, sizes of reservations become floats.

    Attributes:
        name: its name for look-ups, in its namespace.
        if_exists: what happens when the name is taken.
        detached: whether it outlives the job that spawned it, together with every actor that it spawns.
        cpus, gpus, resources: its reservations; an actor that reserves a CPU or GPU has a process of its own.
        isolation: whether it shares a process; None: the other options decide.
        restart, max_restarts, period_s, backoff: how it is kept alive.
        shutdown_s: how long a graceful stop may take before it is killed; None waits for ever.
        hang_timeout_s: the seconds without an answer after which its process is replaced; None: never. An actor with
            this option has a process of its own. The option has no effect in local mode, since a breakpoint is no hang.
        crash_on: exceptions of methods that fail the actor instead of only the call.
        snapshot_every: an int counts messages, a float seconds; None takes no snapshots. One more is taken when it
            stops and will be restarted.
        snapshot_dir: a directory, seen from the driver's, in which snapshots are kept as files too, under the actor's
            name. A later actor of that name begins with the newest file. One more is written whenever the actor stops.
        mailbox_messages, mailbox_bytes, overflow: the mailbox's bounds, and what happens at them.
        max_concurrency: how many async calls may interleave.
        call_timeout_s: the time limit of calls that give none; None: no limit.
        start_timeout_s: how long a start may take, with the wait for a node with room and `on_start`; None: no limit.
        placement: on which node of a cluster it runs; None: on that of its spawner if it fits there.
        env_vars: environment variables of its process; an actor with any has a process of its own.
        preload: modules that are imported before its process is forked; an actor with any has a process of its own.

    Raises:
        TypeError: a value of a wrong type.
        ValueError: a value outside its range, or options that contradict each other.
    """

    name: str | None = None
    if_exists: IfExists = IfExists.FAIL
    detached: bool = False
    cpus: float = 0.0
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    isolation: Isolation | None = None
    restart: RestartType = RestartType.TEMPORARY
    max_restarts: int = config.DEFAULT_MAX_RESTARTS
    period_s: float = config.DEFAULT_PERIOD_S
    backoff: Backoff = DEFAULT_BACKOFF
    shutdown_s: float | None = config.DEFAULT_SHUTDOWN_S
    hang_timeout_s: float | None = None
    crash_on: tuple[type[BaseException], ...] = ()
    snapshot_every: int | float | None = None
    snapshot_dir: str | None = None
    mailbox_messages: int = config.DEFAULT_MAILBOX_MESSAGES
    mailbox_bytes: int = config.DEFAULT_MAILBOX_BYTES
    overflow: Overflow = Overflow.BLOCK
    max_concurrency: int = 1
    call_timeout_s: float | None = None
    start_timeout_s: float | None = None
    placement: Placement | None = None
    env_vars: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, check in _CHECKS.items():
            value = getattr(self, option)
            if value is not _GOOD[option]:
                object.__setattr__(self, option, check(option, value))
        if self.snapshot_dir is not None and (self.name is None or self.snapshot_every is None):
            raise ValueError(
                f"snapshot_dir={self.snapshot_dir!r} goes with name=, by which a later actor finds its state, and with "
                "snapshot_every="
            )
        if self.isolation is Isolation.SHARED and self._has_needs:
            raise ValueError(
                f"isolation='shared' with cpus={self.cpus:g}, gpus={self.gpus:g}, env_vars={dict(self.env_vars)}, "
                f"preload={self.preload}, hang_timeout_s={self.hang_timeout_s}: these need a process of "
                "the actor's own; leave out either them or isolation"
            )
        if self.if_exists is not IfExists.FAIL and self.name is None:
            raise ValueError(f"if_exists={self.if_exists.value!r} without a name: give name= as well")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Make options from those that a user gave.

        Raises:
            TypeError: an unknown option, with the nearest known one; or a value of a wrong type.
            ValueError: as the class says.
        """
        return cls(**_known(options))

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with `changes` made; errors as `of`."""
        return replace(self, **_known(changes))

    @property
    def needs_own_process(self) -> bool:
        """Whether the actor gets a process of its own."""
        return self.isolation is Isolation.PROCESS or self._has_needs

    @property
    def _has_needs(self) -> bool:
        """Whether an option needs a process of the actor's own."""
        return bool(self.cpus or self.gpus or self.env_vars or self.preload or self.hang_timeout_s is not None)

    @property
    def is_light(self) -> bool:
        """Whether the actor lives on the loop of the actor that spawns it, if an actor does."""
        return (
            not self.needs_own_process
            and self.isolation is not Isolation.SHARED
            and not self.detached
            and self.placement is None
        )

    def to_data(self) -> dict[str, Any]:
        """Return the policy as plain data for the wire: the options that differ from their defaults.

        Classes stay behind: `crash_on` is read where the actor's class is known.
        """
        data = {name: getattr(self, name) for name in _POLICY if getattr(self, name) != getattr(_DEFAULTS, name)}
        if "backoff" in data:
            data["backoff"] = self.backoff.to_data()
        if self.placement is not None:
            data["placement"] = node_placement.to_data(self.placement)
        return {name: value.value if isinstance(value, StrEnum) else value for name, value in data.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the policy that `to_data` made."""
        read = {name: _READ[name](value) for name, value in data.items() if name in _READ}
        return cls.of({**data, **read} if read else data)


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "name": checks.optional(checks.text),
    "if_exists": checks.choice(IfExists),
    "detached": checks.flag,
    "cpus": checks.number(0),
    "gpus": checks.number(0),
    "resources": checks.mapping(checks.number(0)),
    "isolation": checks.optional(checks.choice(Isolation)),
    "restart": checks.choice(RestartType),
    "max_restarts": checks.count(0),
    "period_s": checks.above_zero,
    "backoff": checks.instance(Backoff),
    "shutdown_s": checks.optional(checks.number(0)),
    "hang_timeout_s": checks.optional(checks.above_zero),
    "crash_on": checks.exception_classes,
    "snapshot_every": checks.optional(checks.count_or_seconds),
    "snapshot_dir": checks.optional(checks.path),
    "mailbox_messages": checks.count(1),
    "mailbox_bytes": checks.count(1),
    "overflow": checks.choice(Overflow),
    "max_concurrency": checks.count(1),
    "call_timeout_s": checks.optional(checks.above_zero),
    "start_timeout_s": checks.optional(checks.above_zero),
    "placement": node_placement.check,
    "env_vars": checks.mapping(checks.any_text),
    "preload": checks.modules,
}
OPTION_NAMES: Final = frozenset(f.name for f in fields(ActorOptions))
_GOOD: Final = {f.name: f.default for f in fields(ActorOptions)}
"""The defaults, which are not checked; `MISSING` where each actor gets a new one."""
_POLICY: Final = tuple(f.name for f in fields(ActorOptions) if f.name != "crash_on")
_DEFAULTS: Final = ActorOptions()
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "backoff": Backoff.from_data,
    "placement": node_placement.from_data,
}


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in OPTION_NAMES:
            near = get_close_matches(name, OPTION_NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(sorted(OPTION_NAMES))}"
            raise TypeError(f"unknown actor option {name!r}: {hint}")
    return dict(options)
