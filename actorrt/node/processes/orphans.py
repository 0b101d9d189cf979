"""Ends the subprocesses, and their subprocesses, that user code of a dead worker left running.

When a worker ends, the kernel makes the daemon, the nearest subreaper, the parent of the processes that the worker had
started. `Orphans` kills these processes, waits for each by its pidfd, and reaps it. If a descriptor is lacking, it
tries again after `RETRY_S`.

A process that left the worker's session on purpose (`setsid`) is ended only when the node closes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
from collections.abc import Callable, Collection
from typing import Final

from actorrt.node.processes.process_stat import stat_of
from actorrt.node.processes.process_watch import kill_group

logger = logging.getLogger(__name__)

RETRY_S: Final = 0.2


class Orphans:
    """Kills and reaps adopted processes; the loop's thread owns it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pidfds: dict[int, int] = {}
        self._retries: dict[int, asyncio.TimerHandle] = {}  # by the session or process that is to be ended
        self._idle = asyncio.Event()
        self._idle.set()

    def end_session(self, session_id: int) -> None:
        """Kill every process of the session, and reap each when it ends.

        The session is examined again at each end, when the children of the ended process become children of this one.
        """
        try:
            for pid in session_members(session_id):
                self._end(pid, session_id)
        except OSError as error:
            logger.warning("the processes that process %d started can't be ended yet: %s", session_id, error)
            self._again(session_id, lambda: self.end_session(session_id))

    def end_unwatched(self, pid: int) -> None:
        """Kill a child for which there is no descriptor, and reap it. Its id is not reused before it is reaped."""
        kill_group(pid)
        _kill(pid)
        self._reap(pid)

    def _reap(self, pid: int) -> None:
        try:
            is_reaped = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
        except ChildProcessError:
            is_reaped = True
        if not is_reaped:
            self._again(pid, lambda: self._reap(pid))

    def _again(self, key: int, work: Callable[[], None]) -> None:
        def due() -> None:
            del self._retries[key]
            work()

        if key not in self._retries:
            self._retries[key] = self._loop.call_later(RETRY_S, due)

    async def end_children(self) -> None:
        """Kill and reap every child of this process, in any session, until no child is left that it may kill."""
        while self._end_each_child():
            while self._pidfds:
                await self._idle.wait()
            await asyncio.sleep(0)

    def _end_each_child(self) -> bool:
        """Kill every child; return whether there was one. Return True, too, if no descriptor is left to list them."""
        try:
            return any([self._end(pid, None) for pid in child_pids(os.getpid())])
        except OSError as error:
            logger.warning("the children of this process can't be ended yet: %s", error)
            return True

    def reap_strays(self, spared_pids: Collection[int]) -> None:
        """Reap ended children that no watch waits for: processes that had left their worker's session.

        It must not be called while a worker is being forked, whose id is not known yet. It stops at a child in
        `spared_pids`, since the watch of that child is about to reap it.
        """
        while (pid := _some_zombie()) is not None and pid not in spared_pids and pid not in self._pidfds:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)

    def _end(self, pid: int, session_id: int | None) -> bool:
        """Kill a process; return whether to wait for its end: False if it is gone or has changed its user."""
        if pid in self._pidfds:
            return True
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            signals.pidfd_send_signal(pidfd, signals.SIGKILL)
        except (ProcessLookupError, PermissionError):
            os.close(pidfd)
            return False
        self._pidfds[pid] = pidfd
        self._idle.clear()
        self._loop.add_reader(pidfd, self._ended, pid, session_id)
        return True

    def _ended(self, pid: int, session_id: int | None) -> None:
        pidfd = self._pidfds[pid]
        try:
            is_ours = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG) is not None
        except ChildProcessError:
            is_ours = False  # its parent is ending too; it is found again when the parent has ended
        self._forget(pid)
        if is_ours and session_id is not None:
            self.end_session(session_id)

    def _forget(self, pid: int) -> None:
        pidfd = self._pidfds.pop(pid)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        if not self._pidfds:
            self._idle.set()

    def close(self) -> None:
        """Stop waiting for processes that have not ended. Idempotent."""
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()
        for pid in list(self._pidfds):
            self._forget(pid)


def kill_sessions(session_ids: Collection[int]) -> None:
    """Send SIGKILL to every process of these sessions, children or not; reap none."""
    for session_id in session_ids:
        kill_group(session_id)
    for pid in all_pids():
        if session_of(pid) in session_ids:
            _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signals.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it has ended since it was listed, or has changed its user


def _some_zombie() -> int | None:
    try:
        status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if status is None else status.si_pid


def session_members(session_id: int) -> list[int]:
    """Return the processes of a session, zombies included."""
    return [pid for pid in all_pids() if session_of(pid) == session_id]


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def child_pids(parent_pid: int) -> list[int]:
    """Return the children of a process, zombies included."""
    stats = ((pid, stat_of(pid)) for pid in all_pids())
    return [pid for pid, stat in stats if stat is not None and stat.parent_pid == parent_pid]


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
