"""Pure: the options of a task function, and the class of resources that its tasks need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, Self

from actorrt.actors.policy import checks
from actorrt.actors.policy.checks import Check

DEFAULT_RETRIES: Final = 3


class TaskClass(NamedTuple):
    """What a worker must offer to run a task. Tasks of one class share the leases of workers.

    Attributes:
        cpus, gpus: how many it uses; 0 CPUs: a light task, beside others in one worker.
        resources, env_vars: sorted pairs of names and values.
        memory_bytes: how much memory it may use; None: not reserved.
    """

    cpus: float
    gpus: float
    resources: tuple[tuple[str, float], ...]
    memory_bytes: int | None
    env_vars: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """The options of a task function.

    Attributes:
        cpus, gpus, resources: what a task reserves while it runs; `cpus=0` for light tasks, many at a time.
        memory_bytes: memory that it reserves.
        retries: further attempts after its worker or node died, 3 by default. A task with retries may run more than
            once, so it must not matter if it does.
        retry_on: exceptions that are retried too, out of the same number of attempts, after a delay.
        timeout_s: the deadline of each task, in seconds from its submission.
        max_calls: how many tasks a worker runs before its process is replaced.
        env_vars: environment variables of the worker's process.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: int | None = None
    retries: int = DEFAULT_RETRIES
    retry_on: tuple[type[BaseException], ...] = ()
    timeout_s: float | None = None
    max_calls: int | None = None
    env_vars: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def checked(cls, **options: Any) -> Self:
        """Return the options with these values.

        Raises:
            TypeError, ValueError: there is no such option, or its value is wrong; the message says what to give.
        """
        return cls().replaced(**options)

    def replaced(self, **options: Any) -> Self:
        """Return these options with other values for some; raises as `checked`."""
        for name in options:
            if name not in _CHECKS:
                near = get_close_matches(name, _CHECKS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_CHECKS)}"
                raise TypeError(f"unknown task option {name!r}: {hint}")
        return replace(self, **{name: _CHECKS[name](name, value) for name, value in options.items()})

    @property
    def task_class(self) -> TaskClass:
        """The class of resources that a task needs."""
        return TaskClass(
            self.cpus,
            self.gpus,
            tuple(sorted(self.resources.items())),
            self.memory_bytes,
            tuple(sorted(self.env_vars.items())),
        )


_CHECKS: Final[dict[str, Check]] = {
    "cpus": checks.number(0),
    "gpus": checks.number(0),
    "resources": checks.mapping(checks.number(0)),
    "memory_bytes": checks.optional(checks.count(1)),
    "retries": checks.count(0),
    "retry_on": checks.exception_classes,
    "timeout_s": checks.optional(checks.above_zero),
    "max_calls": checks.optional(checks.count(1)),
    "env_vars": checks.mapping(checks.any_text),
}
assert set(_CHECKS) == {option.name for option in fields(TaskOptions)}
