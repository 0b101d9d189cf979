"""Pure: what the silence of a worker means, and what follows from it.

A worker gives a sign of life by answering on its loop. One that does not may be *stopped* (by a signal), *blocked*
(its loop waits for something that is not on the loop) or *busy* (its loop computes). A thread that needs the
interpreter's lock proves nothing about a method that holds it, so the kernel is asked for the other two facts. What
asks and carries out is `heartbeat`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

WARN_AFTER_S: Final = 5.0
BUSY_SHARE: Final = 0.5
"""The share of the silence that a busy process spent computing, at the least."""


class Silence(StrEnum):
    """Why a worker is silent."""

    STOPPED = "stopped"
    BLOCKED = "blocked"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Dump:
    """Have the process print its stack, while there is time."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Say that the worker has been silent for so long."""

    silence: Silence
    silent_s: float


@dataclass(frozen=True, slots=True)
class Replace:
    """End the process: it has been silent for longer than its actor may be."""

    silence: Silence
    silent_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """Say that a worker that was warned of answers again."""

    silent_s: float


Finding: TypeAlias = Dump | Warn | Replace | Recovered


class Vigil:
    """Watches over one worker.

    Args:
        hang_timeout_s: how long it may be silent before it is replaced; None: for ever.
        now: when the watch begins.
        cpu_s: the CPU time that the process had used then.
    """

    def __init__(self, hang_timeout_s: float | None, now: float, cpu_s: float = 0.0) -> None:
        self._hang_timeout_s = hang_timeout_s
        self._sign_at = now
        self._sign_cpu_s = cpu_s
        self._is_dumped = self._is_warned = self._is_replaced = False

    @property
    def next_look_s(self) -> float:
        """How long after a look, in seconds, the next one should be."""
        return 1.0 if self._hang_timeout_s is None else min(1.0, self._hang_timeout_s / 4)

    def answered(self, now: float, cpu_s: float) -> list[Finding]:
        """The worker gave a sign of life."""
        findings: list[Finding] = [Recovered(now - self._sign_at)] if self._is_warned else []
        self._sign_at, self._sign_cpu_s = now, cpu_s
        self._is_dumped = self._is_warned = False
        return findings

    def paused(self, now: float) -> None:
        """The watcher itself was held up until `now`: silence meanwhile proves nothing."""
        self._sign_at = now

    def looked(self, now: float, is_stopped: bool, cpu_s: float) -> list[Finding]:
        """A question is unanswered, and the kernel said so much of the process.

        Args:
            now: when.
            is_stopped: whether a signal or a debugger stopped it.
            cpu_s: the CPU time that it has used.
        """
        silent_s = now - self._sign_at
        silence = self._silence(silent_s, is_stopped, cpu_s)
        findings: list[Finding] = []
        if not self._is_dumped and silence is not Silence.STOPPED and silent_s >= self._dump_after_s:
            self._is_dumped = True
            findings.append(Dump())
        if not self._is_warned and silent_s >= WARN_AFTER_S:
            self._is_warned = True
            findings.append(Warn(silence, silent_s))
        if self._hang_timeout_s is not None and silent_s >= self._hang_timeout_s and not self._is_replaced:
            self._is_replaced = True
            findings.append(Replace(silence, silent_s))
        return findings

    @property
    def _dump_after_s(self) -> float:
        """Early enough for the stack to be printed before the process is ended."""
        return WARN_AFTER_S if self._hang_timeout_s is None else min(WARN_AFTER_S, self._hang_timeout_s / 2)

    def _silence(self, silent_s: float, is_stopped: bool, cpu_s: float) -> Silence:
        if is_stopped:
            return Silence.STOPPED
        return Silence.BUSY if cpu_s - self._sign_cpu_s >= BUSY_SHARE * silent_s else Silence.BLOCKED
