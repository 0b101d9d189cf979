"""Kills a simulator in the middle of a run, from another process, and checks that training continues.

The check looks at the learner's batches: a simulator is back when a fragment from its new process has been trained on.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from actorrt.rl.records.progress import Progress

KILL = """
import os, signal, sys
pidfd = os.pidfd_open(int(sys.argv[1]))
signal.pidfd_send_signal(pidfd, signal.SIGKILL)
"""


class Chaos:
    """Sends SIGKILL to one simulator after some updates.

    Args:
        note: prints a line.
        after_updates: number of updates after which the simulator is killed.
    """

    def __init__(self, note: Callable[[str], None], after_updates: int = 8) -> None:
        self._note = note
        self._after_updates = after_updates
        self._update_count = 0
        self._victim: tuple[int, int, int] | None = None
        self._killer: subprocess.Popen[bytes] | None = None
        self._successor_pid: int | None = None

    def on_progress(self, progress: Progress) -> None:
        """Called after an update: kill the simulator when it is time, and then look for its new process."""
        self._update_count += 1
        if self._victim is None:
            if self._update_count >= self._after_updates:
                self._kill(progress.trained_on[0])
        elif self._successor_pid is None:
            self._look_for_successor(progress)

    def _kill(self, victim: tuple[int, int, int]) -> None:
        self._victim = victim
        self._killer = subprocess.Popen([sys.executable, "-I", "-S", "-c", KILL, str(victim[2])])
        self._note(f"chaos: process {self._killer.pid} kills simulator {victim[0]}, process {victim[2]}, with SIGKILL")

    def _look_for_successor(self, progress: Progress) -> None:
        assert self._victim is not None
        index, old_incarnation, old_pid = self._victim
        for simulator, incarnation, pid in progress.trained_on:
            if simulator == index and incarnation > old_incarnation and pid != old_pid:
                self._successor_pid = pid
                self._note(
                    f"chaos: simulator {index} is back as process {pid}; its fragments are being trained on "
                    f"after {progress.steps:,} steps"
                )

    @property
    def is_over(self) -> bool:
        """Whether the simulator was killed, and fragments of its new process were trained on."""
        return self._successor_pid is not None

    def finish(self) -> str | None:
        """Reap the killing process, and return why the check failed; None if it passed."""
        if self._victim is None or self._killer is None:
            return f"no simulator was killed: the run ended after {self._update_count} updates"
        status = self._killer.wait(timeout=10.0)
        if status != 0:
            return f"process {self._victim[2]} was not killed: the killing process ended with status {status}"
        if self._successor_pid is None:
            return f"simulator {self._victim[0]} was killed, but nothing from a new process was trained on"
        return None
