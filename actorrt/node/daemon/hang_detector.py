"""Detects workers that hang: asks the kernel about silent ones, and carries out what `hangs` decides.

A sign of life is an acknowledgement of the transport. The transport probes watched peers, and measures how long each
has been silent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from actorrt.background import in_background
from actorrt.ids import PeerId
from actorrt.machine.clock import Clock
from actorrt.node.daemon.hangs import LOOK_EVERY_S, Dump, Finding, HangWatch, Recovered, Replace, SilenceCause, Warn
from actorrt.node.placement.jobs import Worker, WorkerKind
from actorrt.node.processes.forker import WorkerProcess
from actorrt.protocol.nodes import SilenceReport
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Transport

logger = logging.getLogger(__name__)

_HINTS: Final = {
    SilenceCause.STOPPED: "it is stopped by a signal; SIGCONT continues it",
    SilenceCause.BLOCKED: "its loop is blocked (its output has the stack); await the blocking call or use a thread",
    SilenceCause.BUSY: "its loop computes",
}


class HangDetector:
    """Watches the workers of a node.

    Args:
        transport: probes workers, and measures how long they are silent.
        clock, scope: time, and the timer of the next look.
        workers: returns the workers to watch.
        kill: ends a worker.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        scope: Scope,
        workers: Callable[[], list[Worker]],
        kill: Callable[[Worker], None],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._scope = scope
        self._workers = workers
        self._kill = kill
        self._watches: dict[PeerId, HangWatch] = {}
        self._is_paused = False

    def start(self) -> None:
        """Begin to watch; the watch ends with the scope."""
        self._look_at_all()

    def set_paused(self, is_paused: bool) -> None:
        """Look at nothing while the node's workers are stopped; then begin anew, as if they had started just now."""
        self._is_paused = is_paused
        for peer in self._watches:
            self._transport.unwatch(peer)
        self._watches.clear()

    def _look_at_all(self) -> None:
        if self._is_paused:
            in_background(self._scope.after, LOOK_EVERY_S, self._look_at_all)
            return
        present = {worker.peer: worker for worker in self._workers() if worker.pid is not None and worker.is_watchable}
        for peer in self._watches.keys() - present.keys():
            del self._watches[peer]
            self._transport.unwatch(peer)
        processes = [worker.process for worker in present.values() if worker.process is not None]
        oom_kills_count = processes[0].oom_kills_count() if processes else None
        for worker, process in zip(present.values(), processes, strict=True):  # a watchable worker has a process
            process.outlived(oom_kills_count)
            if worker.kind is not WorkerKind.TASKS:  # such a worker is silent while it runs a plain task
                self._look_at(worker, process)
        next_look_s = min((watch.next_look_s for watch in self._watches.values()), default=LOOK_EVERY_S)
        in_background(self._scope.after, next_look_s, self._look_at_all)

    def _look_at(self, worker: Worker, process: WorkerProcess) -> None:
        now = self._clock.now()
        seen = process.state()
        if seen is None:
            return  # the next look may succeed
        state, cpu_s = seen
        watch = self._watches.get(worker.peer)
        if watch is None:
            watch = self._watches[worker.peer] = HangWatch(worker.hang_timeout_s, now, cpu_s)
        self._transport.watch(*worker.peer_address)
        silent_s = self._transport.silent_s(worker.peer)
        if silent_s:
            self._carry_out(worker, process, watch.looked(now, silent_s, state, cpu_s))
        else:
            self._carry_out(worker, process, watch.answered(now, cpu_s))

    def explain(self, peer: PeerId) -> SilenceReport:
        """Return how long a process has been silent, and why."""
        worker = next((worker for worker in self._workers() if worker.peer == peer), None)
        watch = self._watches.get(peer)
        silent_s = self._transport.silent_s(peer)
        seen = None if worker is None or worker.process is None else worker.process.state()
        if worker is None or watch is None or seen is None or not silent_s:
            return SilenceReport(silence=None)
        silence = watch.silence(self._clock.now(), *seen)
        return SilenceReport(silence=silence.value, silent_s=silent_s, pid=worker.pid)

    def _carry_out(self, worker: Worker, process: WorkerProcess, findings: list[Finding]) -> None:
        for finding in findings:
            match finding:
                case Dump():
                    process.print_stacks()
                case Warn(silence, silent_s):
                    level = logging.INFO if silence is SilenceCause.BUSY else logging.WARNING
                    hint = _HINTS[silence]
                    logger.log(level, "%s (pid %s) is silent for %.1f s: %s", worker.label, worker.pid, silent_s, hint)
                case Replace(silence, silent_s):
                    worker.hang = f"it gave no sign of life for {silent_s:.1f} s ({silence}), and was replaced"
                    self._kill(worker)
                case Recovered(silent_s):
                    logger.info("%s (pid %s) answers again after %.1f s", worker.label, worker.pid, silent_s)
