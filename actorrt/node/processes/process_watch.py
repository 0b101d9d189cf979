"""Watches child processes, and sets which process adopts orphans and which process dies with its parent.

A watch has one child, which it reaps. `forker` makes processes; `orphans` ends what the user code of a dead worker left
running.

Invariants: a child is reaped only here and through its pidfd, so a process id that was recycled is never waited for or
signalled. The process group of a dead child is killed before the child is reaped: until then, its id can't be the id of
another group.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal as signals
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actorrt.node.processes.process_stat import stat_of
from actorrt.reasons import ExitKind, ExitReason

STACK_SIGNAL: Final = signals.SIGRTMIN + 7
"""The signal at which a worker prints the stacks of its threads. No library is known to use it."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_VMSTAT: Final = Path("/proc/vmstat")

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int | ctypes.c_char_p) -> None:
    value = ctypes.c_ulong(argument) if isinstance(argument, int) else argument
    if _libc.prctl(ctypes.c_int(option), value, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {argument}): {os.strerror(number)}")


def set_subreaper() -> None:
    """Make this process the parent of every descendant whose own parent dies (prctl(2)).

    A worker is forked twice, so that the zygote is not its parent. Without this call it would become a child of
    init, and its exit status would be lost.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_parent_death_signal(signal: int) -> None:
    """Have the kernel send `signal` to this process when its parent ends.

    The kernel watches the parent *thread*. The signal does not come if the parent has ended already: compare
    `os.getppid()` afterwards.
    """
    _prctl(_PR_SET_PDEATHSIG, signal)


def set_process_name(name: str) -> None:
    """Name this process for `ps` and `top`; the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


def oom_kill_count() -> int | None:
    """Return how many processes the kernel has killed for lack of memory since the machine started.

    The count is the whole machine's, kills by container limits included, so an increase is a suspicion, not a proof.
    It is 0 if the kernel does not count (before 4.13). None: it can't be read, for lack of a descriptor or of memory.
    """
    try:
        counts = _VMSTAT.read_bytes()
    except OSError:
        return None
    for line in counts.splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a child process ended.

    Attributes:
        pid: its process id, free for reuse by now.
        exit_status: the status it exited with, or None if a signal ended it.
        signal: the number of the signal that ended it, or None if it exited. Both are None if other code reaped
            it.
        was_killed_by_us: whether this process had sent it a signal that ends processes.
        is_oom_suspected: whether another process or the kernel sent it SIGKILL, and the kernel has killed for lack of
            memory since the child was last known to live; see `ProcessWatch.outlived`.
    """

    pid: int
    exit_status: int | None = None
    signal: int | None = None
    was_killed_by_us: bool = False
    is_oom_suspected: bool = False

    def to_reason(self, detail: str = "", traceback: str = "") -> ExitReason:
        """Return the exit reason of the process's actors; `detail` and `traceback` come from its last lines."""
        if self.is_oom_suspected:
            kind = ExitKind.OUT_OF_MEMORY
        else:
            kind = ExitKind.KILLED if self.was_killed_by_us and self.signal is not None else ExitKind.CRASHED
        return ExitReason(kind, detail, traceback, signal=self.signal, exit_status=self.exit_status)


class ProcessWatch:
    """Watches one child, signals it by its pidfd, and reaps it and its group when it ends.

    Args:
        loop: calls back; the watch belongs to its thread.
        pid: a child of this process that no other code waits for.
        on_exit: called once, on the loop, after the child is reaped and its process group was sent SIGKILL.

    Raises:
        ProcessLookupError: there is no such process.
        OSError: there is no descriptor for it; it is not watched, and lives on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pid: int, on_exit: Callable[[ProcessExit], None]) -> None:
        self.pid = pid
        self._loop = loop
        self._on_exit = on_exit
        self._was_killed = False
        self._oom_kills = self._oom_kills_before = oom_kill_count()
        self._pidfd: int | None = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._ended)

    @property
    def is_running(self) -> bool:
        """Whether the child is not reaped, and the watch not closed."""
        return self._pidfd is not None

    def outlived(self, oom_kills_count: int | None) -> None:
        """Note that the child lives after that many kills for lack of memory. Call it about once a second.

        A kill that was counted between the last two notes may be the child's: the kernel counts a kill before the
        process is gone.
        """
        self._oom_kills_before, self._oom_kills = self._oom_kills, oom_kills_count

    @staticmethod
    def oom_kills_count() -> int | None:
        """Return how many processes the kernel has killed for lack of memory; see `oom_kill_count`."""
        return oom_kill_count()

    def state(self) -> tuple[str, float] | None:
        """Return the kernel's letter for the child's state (X if it is gone), and the CPU time it has used, in seconds.

        None: they can't be read now, because a descriptor or memory is lacking.
        """
        try:
            stat = stat_of(self.pid)
        except OSError:
            return None
        return ("X", 0.0) if stat is None else (stat.state, stat.cpu_s)

    def print_stacks(self) -> None:
        """Have the child print the stacks of its threads."""
        self.kill(STACK_SIGNAL)

    def kill(self, signal: int = signals.SIGKILL) -> None:
        """Send a signal to the child; without effect once it has ended."""
        if self._pidfd is None:
            return
        self._was_killed = self._was_killed or signal in (signals.SIGKILL, signals.SIGTERM)
        try:
            signals.pidfd_send_signal(self._pidfd, signal)
        except ProcessLookupError:
            return  # other code reaped it, which `_ended` reports

    def _ended(self) -> None:
        assert self._pidfd is not None
        kill_group(self.pid)
        try:
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:  # other code reaped it, so only its end is known
            self.close()
            self._on_exit(ProcessExit(self.pid, was_killed_by_us=self._was_killed))
            return
        if status is not None:
            self.close()
            self._on_exit(self._describe(status))

    def _describe(self, status: os.waitid_result) -> ProcessExit:
        if status.si_code == os.CLD_EXITED:
            return ProcessExit(self.pid, exit_status=status.si_status, was_killed_by_us=self._was_killed)
        is_sudden = status.si_status == signals.SIGKILL and not self._was_killed
        return ProcessExit(
            self.pid,
            signal=status.si_status,
            was_killed_by_us=self._was_killed,
            is_oom_suspected=is_sudden and self._has_kernel_killed(),
        )

    def _has_kernel_killed(self) -> bool:
        """Whether the kernel has killed for lack of memory since the child was known to live."""
        now, before = oom_kill_count(), self._oom_kills_before
        return now is not None and before is not None and now > before

    def close(self) -> None:
        """Stop watching; the child is neither killed nor reaped. Idempotent."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None


def watch_exit(loop: asyncio.AbstractEventLoop, pid: int, on_exit: Callable[[ProcessExit], None]) -> ProcessWatch:
    """Call `on_exit` once when the child `pid` has ended and is reaped; see `ProcessWatch`."""
    return ProcessWatch(loop, pid, on_exit)


def kill_group(leader_pid: int) -> None:
    """Send SIGKILL to the process group that `leader_pid` leads or led; without effect if there is none.

    A worker that dies before it has made its own group is still in the zygote's, and no group has its id.
    """
    try:
        os.killpg(leader_pid, signals.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # the group is empty, or its members changed user and can't be ended
