"""Pure: decides why a worker is silent, and what the node does about it.

A worker gives a sign of life when its loop acknowledges an envelope. A silent worker may be *stopped* (by a signal),
*blocked* (its loop waits for something that is not on the loop) or *busy* (its loop computes). A thread in the worker
could not tell these apart, because a method may hold the interpreter's lock; so the node asks the kernel. Silence alone
ends no worker: only a worker whose actor has a limit is replaced. A computation is no fault, so a busy process prints
its stack only if it is going to be replaced. `hang_detector` looks at processes and carries out the findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

WARN_AFTER_S: Final = 5.0
WARN_OF_STOPPED_AFTER_S: Final = 1.0
"""A shorter time, because the kernel is sure; long enough for a debugger or shell that stops a process briefly."""

LOOK_EVERY_S: Final = 0.5
BUSY_SHARE: Final = 0.5
"""A process that computed for at least this part of the silence is busy, even if it sleeps now."""


class SilenceCause(StrEnum):
    """Why a worker is silent."""

    STOPPED = "stopped"
    BLOCKED = "blocked"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Dump:
    """Have the process print the stacks of its threads."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Warn of a worker that has been silent for `silent_s` seconds."""

    silence: SilenceCause
    silent_s: float


@dataclass(frozen=True, slots=True)
class Replace:
    """End the process: it has been silent for longer than its actor's limit."""

    silence: SilenceCause
    silent_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """Say that a worker answers again, after a warning."""

    silent_s: float


Finding: TypeAlias = Dump | Warn | Replace | Recovered


class HangWatch:
    """The watch on the silence of one worker.

    Args:
        hang_timeout_s: how long the worker may be silent before it is replaced; None: without limit.
        now: the time at which the watch begins.
        cpu_s: the CPU time that its process has used until `now`.
    """

    def __init__(self, hang_timeout_s: float | None, now: float, cpu_s: float = 0.0) -> None:
        self._hang_timeout_s = hang_timeout_s
        self._sign_at = now
        self._sign_cpu_s = cpu_s
        self._silent_s = 0.0
        self._is_dumped = self._is_warned = self._is_replaced = False

    @property
    def next_look_s(self) -> float:
        """The time from one look to the next, in seconds."""
        return LOOK_EVERY_S if self._hang_timeout_s is None else min(LOOK_EVERY_S, self._hang_timeout_s / 4)

    def answered(self, now: float, cpu_s: float) -> list[Finding]:
        """Called when the worker owes no sign of life."""
        findings: list[Finding] = [Recovered(self._silent_s)] if self._is_warned else []
        self._sign_at, self._sign_cpu_s = now, cpu_s
        self._silent_s = 0.0
        self._is_dumped = self._is_warned = False
        return findings

    def looked(self, now: float, silent_s: float, state: str, cpu_s: float) -> list[Finding]:
        """Called when the worker owes a sign of life, with what the kernel says of its process.

        Args:
            now: the time of the look.
            silent_s: for how long it has owed one. This is less than the time since the last sign of life if the
                watcher itself was delayed.
            state: the kernel's letter for the state of its main thread (proc(5)).
            cpu_s: the CPU time that its process has used.
        """
        self._silent_s = silent_s
        silence = self.silence(now, state, cpu_s)
        is_stopped = silence is SilenceCause.STOPPED
        findings: list[Finding] = []
        is_over = self._hang_timeout_s is not None and silent_s >= self._hang_timeout_s and not self._is_replaced
        if is_over and (self._is_dumped or is_stopped):
            self._is_replaced = True
            findings.append(Replace(silence, silent_s))
        has_limit = self._hang_timeout_s is not None
        is_of_use = silence is SilenceCause.BLOCKED or (silence is SilenceCause.BUSY and has_limit)
        if not self._is_dumped and is_of_use and silent_s >= self._dump_after_s:
            self._is_dumped = True  # one look before the process is ended, so that there is time to print
            findings.append(Dump())
        if not self._is_warned and silent_s >= (WARN_OF_STOPPED_AFTER_S if is_stopped else WARN_AFTER_S):
            self._is_warned = True
            findings.append(Warn(silence, silent_s))
        return findings

    @property
    def _dump_after_s(self) -> float:
        return WARN_AFTER_S if self._hang_timeout_s is None else min(WARN_AFTER_S, self._hang_timeout_s / 2)

    def silence(self, now: float, state: str, cpu_s: float) -> SilenceCause:
        """Return why the worker is silent, from the kernel's state of its process."""
        if state in ("T", "t"):
            return SilenceCause.STOPPED
        is_busy = state == "R" or cpu_s - self._sign_cpu_s >= BUSY_SHARE * (now - self._sign_at)
        return SilenceCause.BUSY if is_busy else SilenceCause.BLOCKED
