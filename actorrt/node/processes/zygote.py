"""The zygote: a process that has imported everything once and forks workers.

It forks twice for each worker. The parent of the worker ends at once, so the daemon, which is the nearest subreaper,
adopts the worker: only a parent learns how a process ended. `after_fork` prepares the worker; `zygotes` is the daemon's
side.

Invariants:
    * One thread, checked before each fork: a fork copies locks, but not the threads that would release them. So the
      zygote has no ZeroMQ context, no user module that was not asked for, and Arrow's allocator without its background
      thread. Torch starts no thread in the zygote's environment, neither on import nor later. When a user's module
      starts a thread, the zygote ends, and the next one does not import it.
    * The zygote answers a request, and so does the worker itself. When the daemon reads the end of the channel, no
      process is left that could answer, so a request without an answer has no worker.
    * The end of the channel means that the daemon is gone. The workers die with the daemon (`PR_SET_PDEATHSIG`).
      Processes that their user code started do not, so the zygote kills the sessions that it knows.
"""

from __future__ import annotations

import gc
import importlib
import mmap
import os
import signal as signals
import socket
import struct
import sys
import tracemalloc
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from actorrt.node.processes import after_fork, channel
from actorrt.node.processes.lease_guard import run_guard
from actorrt.node.processes.lease_page import LeaseReader
from actorrt.node.processes.orphans import kill_sessions
from actorrt.node.processes.process_watch import set_process_name

PRELOAD: Final = (
    "numpy",
    "zmq",
    "uvloop",
    "msgpack",
    "cloudpickle",
    "pyarrow",
    "pyarrow.ipc",
    "actorrt",
    "actorrt.protocol.compiled",
    "actorrt.actors.supervisors.supervisor",
    "actorrt.node.worker.main",
)

SINGLE_THREADED: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Arrow's jemalloc starts a thread when it is loaded, even if another allocator is in use.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""The zygote's environment, without which a module of `PRELOAD` starts threads. Workers inherit it as defaults."""

LEAST_TABLE_BYTES: Final = 200_000
"""A new table of interned strings is larger: thousands of names are in it after the import of NumPy."""
_MOST_STRINGS: Final = 200_000

_FDS_COUNT: Final = 2
"""Standard output and standard error come with a request to fork."""
_PID: Final = struct.Struct("=q")


class Zygote:
    """Serves fork requests until the daemon is gone.

    Args:
        end: the zygote's end of the channel, blocking.
        daemon_pid: the process that adopts the workers.
        lease: without which no worker runs; None if the node has none.
    """

    def __init__(self, end: socket.socket, daemon_pid: int, lease: LeaseReader | None = None) -> None:
        self._end = end
        self._daemon_pid = daemon_pid
        self._lease = lease
        self._session_ids: set[int] = set()
        self._is_unsafe_to_fork = False
        self._pid_cell = mmap.mmap(-1, _PID.size)  # shared with the intermediate process, to learn the worker's id

    def serve(self) -> None:
        """Fork on request; return when the daemon is gone and its workers' sessions are killed, or no fork is safe."""
        self._send({"kind": "ready"})
        while (received := channel.receive(self._end)) is not None:
            message, fds = received
            self._handle(message, fds)
            channel.close_all(fds)
            if self._is_unsafe_to_fork:
                return
        kill_sessions(self._session_ids)

    def _handle(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        match message["kind"]:
            case "fork":
                self._answer(message["id"], self._fork(message, fds))
            case "preload":
                self._preload(message["module"], message["sys_path"])
            case "keep":
                self._session_ids.update(message["pids"])
            case "forget":
                self._session_ids.discard(message["pid"])

    def _preload(self, module: str, sys_path: list[str]) -> None:
        """Import a user's module by the import path of the user's processes. The import may do anything."""
        own_path, sys.path[:] = sys.path[:], sys_path
        problem = None
        try:
            preload([module])
        except (Exception, SystemExit) as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            sys.path[:] = own_path
        threads = _thread_names_or_why_not()
        if isinstance(threads, str):
            problem, self._is_unsafe_to_fork = f"the zygote can't tell whether it starts threads: {threads}", True
        elif len(threads) != 1:
            problem = f"it starts threads ({', '.join(threads[1:])}), whose locks a fork would copy"
            self._is_unsafe_to_fork = True
        self._send({"kind": "preloaded", "module": module, "problem": problem, "is_end": self._is_unsafe_to_fork})

    def _answer(self, request_id: int, outcome: int | str) -> None:
        if isinstance(outcome, int):
            self._session_ids.add(outcome)
            self._send({"kind": "forked", "id": request_id, "pid": outcome})
        else:
            self._send({"kind": "refused", "id": request_id, "message": outcome})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            channel.send(self._end, channel.pack(message))
        except ConnectionError:
            return  # the daemon is gone, which the next receive reports

    def _fork(self, request: dict[str, Any], fds: Sequence[int]) -> int | str:
        """Return the process id of the worker, which is the daemon's child by then, or the reason why there is none."""
        threads = _thread_names_or_why_not()
        if isinstance(threads, str):
            return f"the zygote can't count its threads: {threads}"
        if len(fds) != _FDS_COUNT:
            return "the zygote has no descriptors left for the worker's output"
        if len(threads) != 1:
            return f"the zygote has {len(threads)} threads ({', '.join(threads)}); a fork would copy their locks"
        try:
            intermediate_pid = os.fork()
        except OSError as error:
            return f"fork failed: {error}"
        if intermediate_pid == 0:
            self._be_intermediate(request, fds)
        _, status = os.waitpid(intermediate_pid, 0)
        if status != 0:
            exit_code = os.waitstatus_to_exitcode(status)
            return f"second fork failed: {os.strerror(exit_code) if exit_code > 0 else f'signal {-exit_code}'}"
        pid: int = _PID.unpack_from(self._pid_cell)[0]
        return pid

    def _be_intermediate(self, request: dict[str, Any], fds: Sequence[int]) -> NoReturn:
        """Fork the worker and end; the exit status is 0 or the error number."""
        exit_status = 1
        try:
            own_pidfd = os.pidfd_open(os.getpid())
            pid = os.fork()
            if pid == 0:
                after_fork.run_worker(request, fds, self._end, self._daemon_pid, own_pidfd, self._lease)
            _PID.pack_into(self._pid_cell, 0, pid)
            exit_status = 0
        except OSError as error:
            exit_status = error.errno or 1
        finally:
            os._exit(exit_status)


def fork_guard(end: socket.socket, daemon_pid: int, lease: LeaseReader) -> None:
    """Fork the guard of the lease, which tells the daemon itself; the daemon misses it if that fails."""
    intermediate_pid = os.fork()
    if intermediate_pid:
        os.waitpid(intermediate_pid, 0)
        return
    try:
        own_pidfd = os.pidfd_open(os.getpid())
        if os.fork() == 0:
            run_guard(lease, end, daemon_pid, own_pidfd)
    finally:
        os._exit(0)


def _thread_names_or_why_not() -> list[str] | str:
    try:
        return thread_names()
    except OSError as error:
        return str(error)


def thread_names() -> list[str]:
    """Return the name of every thread of this process as the kernel counts them, Python's or not."""
    names = []
    for thread_id in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread_id}/comm") as file:
            names.append(file.read().strip())
    return names


def preload(modules: Iterable[str]) -> None:
    """Import `modules`, and hide all objects from the garbage collector.

    Otherwise a collection in a worker would write to every page that is shared with the zygote, and so copy it.
    """
    gc.disable()
    try:
        for module in modules:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()


def grow_table_of_interned_strings() -> None:
    """Intern strings until Python allocates a larger table for them, so that no worker has to.

    The names of all modules are in one table. When it is full, Python allocates another, about twice as large. A worker
    whose imports fill the table would have a copy of its own, of nearly 1 MB.
    """
    interned: list[str] = []
    peak = 0
    while peak < LEAST_TABLE_BYTES and len(interned) < _MOST_STRINGS:
        strings = [f"string {len(interned) + number} of the zygote" for number in range(1_000)]
        tracemalloc.start()
        for string in strings:
            sys.intern(string)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        interned += strings


def main(channel_fd: int, daemon_pid: int, lease_fd: int, modules: Sequence[str]) -> None:
    """Run the zygote on an inherited socket, and with the page of the node's lease; -1 if it has none."""
    signals.signal(signals.SIGINT, signals.SIG_IGN)
    set_process_name("actorrt-zygote")
    with socket.socket(fileno=channel_fd) as end:
        end.set_inheritable(False)
        end.setblocking(True)
        lease = LeaseReader(lease_fd) if lease_fd >= 0 else None
        if lease is not None:
            fork_guard(end, daemon_pid, lease)
        preload(modules)
        grow_table_of_interned_strings()
        Zygote(end, daemon_pid, lease).serve()
