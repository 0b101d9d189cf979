"""Asks every worker process for signs of life, and carries out what `hangs` makes of their absence."""

from __future__ import annotations

import logging
import os
import signal as signals
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from actorrt.actors.control import Control, Request
from actorrt.clock import Clock
from actorrt.ids import PeerId
from actorrt.node.hangs import Dump, Finding, Recovered, Replace, Silence, Vigil, Warn
from actorrt.node.jobs import Worker
from actorrt.node.processes import oom_kill_count
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

STACK_SIGNAL: Final = signals.SIGRTMIN + 7
"""What makes a worker print the stacks of its threads, from whatever it does; no library is known to use it."""

LATE_S: Final = 1.0
"""A look that comes so much later than it was meant to says that the daemon was held up, not the workers."""

_HINTS: Final = {
    Silence.STOPPED: "it is stopped by a signal; SIGCONT lets it go on",
    Silence.BLOCKED: "its loop is blocked, its output has the stack; await what waits, or run it in a thread",
    Silence.BUSY: "its loop computes, its output has the stack",
}


class Heartbeat:
    """The watch over a node's workers.

    Args:
        control, clock, scope: how they are asked, and when.
        workers: gives the workers to watch over.
        kill: ends one.
    """

    def __init__(
        self,
        control: Control,
        clock: Clock,
        scope: Scope,
        workers: Callable[[], list[Worker]],
        kill: Callable[[Worker], None],
    ) -> None:
        self._control = control
        self._clock = clock
        self._scope = scope
        self._workers = workers
        self._kill = kill
        self._vigils: dict[PeerId, Vigil] = {}
        self._asked: dict[PeerId, Request] = {}
        self._due_at = 0.0

    def start(self) -> None:
        """Begin; the scope's end ends it."""
        self._due_at = self._clock.now()
        self._look_round()

    def _look_round(self) -> None:
        now = self._clock.now()
        if now > self._due_at + LATE_S:
            for vigil in self._vigils.values():
                vigil.paused(now)
        present = {worker.peer: worker for worker in self._workers() if worker.pid is not None and worker.is_watchable}
        for peer in self._vigils.keys() - present.keys():
            del self._vigils[peer]
            self._asked.pop(peer, None)
        oom_kills_count = oom_kill_count() if present else 0
        for worker in present.values():
            worker.process.outlived(oom_kills_count)
            self._look_at(worker, now)
        next_look_s = min((vigil.next_look_s for vigil in self._vigils.values()), default=1.0)
        self._due_at = now + next_look_s
        self._scope.after(next_look_s, self._look_round)

    def _look_at(self, worker: Worker, now: float) -> None:
        is_stopped, cpu_s = _state_of(worker.pid or 0)
        vigil = self._vigils.get(worker.peer)
        if vigil is None:
            vigil = self._vigils[worker.peer] = Vigil(worker.hang_timeout_s, now, cpu_s)
        asked = self._asked.get(worker.peer)
        if asked is None:
            asked = self._asked[worker.peer] = self._control.request(worker.endpoint, "ping", {})
            asked.add_callback(partial(self._answered, worker))
        else:
            self._carry_out(worker, vigil.looked(now, is_stopped, cpu_s))

    def _answered(self, worker: Worker, asked: Request) -> None:
        if self._asked.get(worker.peer) is not asked:
            return
        del self._asked[worker.peer]
        vigil = self._vigils.get(worker.peer)
        if asked.error() is None and vigil is not None:
            self._carry_out(worker, vigil.answered(self._clock.now(), _state_of(worker.pid or 0)[1]))

    def _carry_out(self, worker: Worker, findings: list[Finding]) -> None:
        for finding in findings:
            match finding:
                case Dump():
                    worker.process.kill(STACK_SIGNAL)
                case Warn(silence, silent_s):
                    level = logging.INFO if silence is Silence.BUSY else logging.WARNING
                    hint = _HINTS[silence]
                    logger.log(level, "%s (pid %s) is silent for %.1f s: %s", worker.label, worker.pid, silent_s, hint)
                case Replace(silence, silent_s):
                    worker.hang = f"it gave no sign of life for {silent_s:.1f} s ({silence}), and was replaced"
                    self._kill(worker)
                case Recovered(silent_s):
                    logger.info("%s (pid %s) answers again after %.1f s", worker.label, worker.pid, silent_s)


def _state_of(pid: int) -> tuple[bool, float]:
    """Return whether a process is stopped, and the CPU time it has used, in seconds; of one that is gone, nothing."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False, 0.0
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before it may hold any character
    return fields[0] in b"Tt", (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
