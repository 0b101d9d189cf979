"""The guard of a node's lease: a process that stops all workers when the lease is over, and continues them later.

It depends on nobody: it reads the lease from a shared page (`lease_page`), so it also stops the workers of a daemon
that is itself stopped, swapped out, or blocked. Each zygote forks one before its imports, so it is small. It is a child
of the daemon, and ends with it, as the workers do; `forker` notices its own end.

It keeps no list of workers. They are the daemon's descendants in other sessions than its own, also what users' code
has started. So a guard that follows one which ended needs to know nothing, and a worker that is forked at any moment is
either seen here, or sees itself that there is no lease (`after_fork`). Continuing continues everything, so a process
that an operator had stopped by hand goes on too.
"""

from __future__ import annotations

import os
import signal as signals
import socket
import time
import traceback
from collections.abc import Iterator
from typing import Final, NoReturn

from actorrt.node.processes import channel
from actorrt.node.processes.after_fork import be_adopted
from actorrt.node.processes.lease_page import LeaseReader, boot_time_s
from actorrt.node.processes.orphans import all_pids, session_of
from actorrt.node.processes.process_stat import stat_of
from actorrt.node.processes.process_watch import set_process_name

LOOK_EVERY_S: Final = 0.05
"""How often the page is read. The end of a lease that was known before is met exactly."""
STOP_AGAIN_S: Final = 0.25
"""How often all workers are stopped while there is no lease: processes may have started that did not exist before."""


class Guard:
    """Pure: what the guard does at each look.

        unknown, running ── the lease is over ──▶ stopped ── so for `kill_after_s` ──▶ ended
        unknown, stopped ── there is a lease ──▶ running

    Args:
        kill_after_s: how long workers stay stopped before they are ended.
    """

    def __init__(self, kill_after_s: float) -> None:
        self._kill_after_s = kill_after_s
        self._is_running = False
        self._stopped_at: float | None = None
        self._next_stop = 0.0

    def look(self, until_s: float, now: float) -> signals.Signals | None:
        """Return the signal for all workers, given the end of the lease; None if none is due."""
        if now < until_s:
            was_running, self._is_running, self._stopped_at = self._is_running, True, None
            return None if was_running else signals.SIGCONT
        self._is_running = False
        if self._stopped_at is None:
            self._stopped_at = self._next_stop = now
        if now < self._next_stop:
            return None
        self._next_stop = now + STOP_AGAIN_S
        return signals.SIGSTOP if now - self._stopped_at < self._kill_after_s else signals.SIGKILL

    def failed(self) -> None:
        """Called when the workers could not be signalled: the next look is to do it again."""
        self._is_running = False
        self._next_stop = 0.0


def run_guard(lease: LeaseReader, zygote_channel: socket.socket, daemon_pid: int, parent_pidfd: int) -> NoReturn:
    """Be the guard, from the fork to the end of the process; see `after_fork.run_worker` for the arguments.

    The daemon is told its process id after the first look.
    """
    try:
        be_adopted(parent_pidfd, daemon_pid)
        os.setpgid(0, 0)  # the terminal's Ctrl-Z stops the daemon, and must not stop this process
        for number in (signals.SIGINT, signals.SIGHUP, signals.SIGTERM, signals.SIGTSTP):
            signals.signal(number, signals.SIG_IGN)  # it ends with the daemon
        set_process_name("actorrt-guard")
        guard = Guard(lease.kill_after_s())
        _look(guard, lease, daemon_pid)
        channel.send(zygote_channel, channel.pack({"kind": "guarded", "pid": os.getpid()}))
        zygote_channel.close()
        while True:
            left_s = lease.until_s() - boot_time_s()
            # The guard is told nothing: it looks at a page, so that it works also when the daemon is stopped.
            time.sleep(min(LOOK_EVERY_S, left_s) if left_s > 0 else LOOK_EVERY_S)
            _look(guard, lease, daemon_pid)
    except BaseException:  # the process ends here: only its stderr can say why
        traceback.print_exc()
    finally:
        os._exit(1)


def _look(guard: Guard, lease: LeaseReader, daemon_pid: int) -> None:
    signal = guard.look(lease.until_s(), boot_time_s())
    if signal is not None:
        try:
            signal_workers(daemon_pid, signal)
        except OSError:  # descriptors or memory are lacking, also to say so
            guard.failed()


def signal_workers(daemon_pid: int, signal: signals.Signals) -> None:
    """Send a signal to all workers of the node with this daemon, and to all that they have started."""
    session = session_of(daemon_pid)
    if session is None:
        return  # the daemon has ended, and so do its workers
    for pid in _descendants(daemon_pid):
        if session_of(pid) not in (session, None):
            _send(pid, signal, session)


def _descendants(root: int) -> Iterator[int]:
    """Return the processes below another one, parents first."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        stat = stat_of(pid)
        if stat is not None:
            children.setdefault(stat.parent_pid, []).append(pid)
    left = [root]
    while left:
        below = children.pop(left.pop(), [])
        left += below
        yield from below


def _send(pid: int, signal: signals.Signals, spared_session: int) -> None:
    """Send a signal to a process, unless its id was that of a worker, and now is another's."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if session_of(pid) not in (spared_session, None):
            signals.pidfd_send_signal(pidfd, signal)
    except (ProcessLookupError, PermissionError):
        return  # it has ended since it was listed, or has changed its user
    finally:
        os.close(pidfd)
