"""The daemon's side of process creation: keeps a zygote running, has it fork workers, and sees them end.

The zygote's side is `zygote`; what is sent between them is listed there and here alone. Who decides *that* a
worker is needed is the daemon.

Life of a request: waits for the window, is sent, is answered. When the zygote dies, the end of the channel proves
that what has no answer has no worker (see `zygote`), so it is sent once more to the next zygote. A zygote that
dies before it is ready is not tried again by itself: its requests fail, and the next `fork` tries anew.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import actorrt.node
from actorrt.config import FORK_TIMEOUT_S, FORKS_IN_FLIGHT, PROCESS_END_TIMEOUT_S
from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node import channel, zygote
from actorrt.node.orphans import Orphans
from actorrt.node.processes import ProcessExit, ProcessWatch, watch_exit

log = logging.getLogger(__name__)

_PACKAGE_ROOT: Final = str(Path(actorrt.node.__file__).parents[2])
# Not `-m`: workers would find the zygote's names in `__main__`. The package's directory comes last in the path, so
# that nothing beside it hides a module; `-P` keeps the current directory out.
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[3]);"
    " from actorrt.node.zygote import main; main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[4:])"
)


class WorkerProcess(Protocol):
    """A process that runs and can be signalled."""

    pid: int

    @property
    def is_running(self) -> bool: ...

    def kill(self, signal: int = ...) -> None: ...


class ProcessFactory(Protocol):
    """Makes worker processes. `Spawner` makes real ones; simulations hand in their own."""

    async def start(self) -> None:
        """Begin to get ready; return at once."""

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int) -> int:
        """Make a worker and return its process id; see `Spawner.fork`."""

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> WorkerProcess:
        """Call `on_exit` once, when the worker has ended; to be called once for each worker."""

    async def close(self) -> None:
        """End every process that was made. Idempotent."""


@dataclass(slots=True)
class _Request:
    packet: bytes
    fds: tuple[int, int]
    answer: asyncio.Future[int]
    was_resent: bool = False


class Spawner:
    """Makes workers by a zygote; a `ProcessFactory` for the process's main thread.

    The calling process should be a subreaper (`processes.set_subreaper`): else the workers become somebody else's
    children, and end at once.

    Args:
        loop: does the reading and writing.
        preload: modules that the zygote imports before it forks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, preload: Sequence[str] = zygote.PRELOAD) -> None:
        self._loop = loop
        self._preload = tuple(preload)
        self._zygote: _ZygoteProcess | None = None
        self._window = asyncio.Semaphore(FORKS_IN_FLIGHT)
        self._numbers = itertools.count()
        self._requests: dict[int, _Request] = {}
        self._abandoned: set[int] = set()
        self._watches: dict[int, ProcessWatch] = {}
        self._orphans = Orphans(loop)
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def zygote_pid(self) -> int | None:
        """The process id of the running zygote."""
        return self._zygote.pid if self._zygote is not None else None

    async def start(self) -> None:
        """Start the zygote and return without waiting for it; requests wait in its socket until it is ready."""
        self._running_zygote()

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int) -> int:
        """Fork a worker and return its process id.

        By then the worker is a child of this process, leads its own session and dies with this process. Requests
        may overlap. A caller that is cancelled leaves no worker behind.

        Args:
            config: passed to the worker's entry; msgpack's types only. Read here: `entry` ("module:function"),
                `env_vars`, `cwd`, `sys_path`.
            stdout_fd, stderr_fd: the worker's output; the caller keeps its copies and closes them.

        Raises:
            ValueError: the configuration is too large to send.
            ActorStartError: the zygote refused, died twice, could not start, or gave no answer in time; there is no
                worker.
            RuntimeStateError: the spawner is closed.
        """
        number = next(self._numbers)
        packet = channel.pack({"kind": "fork", "id": number, "config": config})
        async with self._window:
            request = _Request(packet, (stdout_fd, stderr_fd), self._loop.create_future())
            self._submit(number, request)
            try:
                async with asyncio.timeout(FORK_TIMEOUT_S):
                    return await request.answer
            except TimeoutError:
                self._running_zygote().kill()  # stuck or stopped; its death is dealt with like any other
                raise ActorStartError(f"the zygote gave no answer to a fork request in {FORK_TIMEOUT_S} s") from None
            finally:
                self._withdraw(number)

    def _submit(self, number: int, request: _Request) -> None:
        process = self._running_zygote()
        self._requests[number] = request
        process.send(request.packet, request.fds, number)

    def _withdraw(self, number: int) -> None:
        if self._requests.pop(number, None) is None:
            return  # answered
        if self._zygote is not None and not self._zygote.unsend(number):
            self._abandoned.add(number)

    def _running_zygote(self) -> _ZygoteProcess:
        if self._is_closed:
            raise RuntimeStateError("the node is closing: no more workers are started")
        if self._zygote is None:
            self._zygote = _ZygoteProcess(self._loop, self._preload, self._answered, self._zygote_ended)
            if self._watches:
                self._zygote.send(channel.pack({"kind": "keep", "pids": list(self._watches)}))
        return self._zygote

    def _answered(self, message: dict[str, Any]) -> None:
        """Take an answer; a worker answers like its zygote, so the second answer to a request is ignored."""
        number = message["id"]
        request = self._requests.pop(number, None)
        is_forked = message["kind"] == "forked"
        if request is not None and not request.answer.done():
            if is_forked:
                request.answer.set_result(message["pid"])
            else:
                request.answer.set_exception(ActorStartError(f"no worker could be forked: {message['message']}"))
        elif number in self._abandoned or request is not None:
            self._abandoned.discard(number)
            if is_forked:
                self.watch(message["pid"], lambda _: None).kill()

    def _zygote_ended(self, was_ready: bool) -> None:
        self._zygote = None
        self._abandoned.clear()
        if self._is_closed:
            return
        log.warning(
            "the zygote ended %s; starting another when needed", "unexpectedly" if was_ready else "before it was ready"
        )
        for number, request in list(self._requests.items()):
            if was_ready and not request.was_resent:
                request.was_resent = True
                self._submit(number, request)
            else:
                self._fail(number, "the zygote ended before it forked the worker; its own output says why")
        if was_ready:
            self._running_zygote()

    def _fail(self, number: int, why: str) -> None:
        request = self._requests.pop(number)
        if not request.answer.done():
            request.answer.set_exception(ActorStartError(f"no worker could be forked: {why}"))

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> ProcessWatch:
        """Call `on_exit` once, when the worker has ended, is reaped, and what it started was sent SIGKILL."""

        def ended(exit: ProcessExit) -> None:
            self._worker_ended(pid)
            on_exit(exit)

        self._watches[pid] = watch_exit(self._loop, pid, ended)
        return self._watches[pid]

    def _worker_ended(self, pid: int) -> None:
        del self._watches[pid]
        self._changed.set()
        self._orphans.end_session(pid)
        if self._zygote is not None:
            self._zygote.send(channel.pack({"kind": "forget", "pid": pid}))

    async def close(self) -> None:
        """End the zygote, every worker and everything they started, and reap them. Idempotent.

        Requests under way fail with `RuntimeStateError`. What is still there `PROCESS_END_TIMEOUT_S` after SIGKILL
        (a process stuck in the kernel) is reported and left.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for request in self._requests.values():
            if not request.answer.done():
                request.answer.set_exception(RuntimeStateError("the node is closing: the worker was not started"))
        try:
            async with asyncio.timeout(PROCESS_END_TIMEOUT_S):
                await self._end_processes()
        except TimeoutError:
            log.error("processes left after SIGKILL: workers %s", sorted(self._watches))
        for watch in self._watches.values():
            watch.close()
        self._orphans.close()

    async def _end_processes(self) -> None:
        if self._zygote is not None:
            await self._zygote.close()
        for watch in self._watches.values():
            watch.kill()
        while self._watches:
            self._changed.clear()
            await self._changed.wait()
        self._orphans.end_children(spared_pids=())
        await self._orphans.wait_idle()


class _ZygoteProcess:
    """One zygote: its process and our end of its channel."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        preload: Sequence[str],
        on_answer: Callable[[dict[str, Any]], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._on_answer = on_answer
        self._on_end = on_end
        self._is_ready = False
        self._unsent: deque[tuple[bytes, tuple[int, ...], int | None]] = deque()
        self._end, theirs = channel.open_pair()
        self._end.setblocking(False)
        with theirs:
            self._popen = _execute(theirs.fileno(), preload)
        self.pid = self._popen.pid
        self._reaped = asyncio.Event()
        self._watch = watch_exit(loop, self.pid, self._process_ended)
        loop.add_reader(self._end.fileno(), self._readable)

    def kill(self) -> None:
        """Send the zygote SIGKILL; `on_end` follows."""
        self._watch.kill()

    def send(self, packet: bytes, fds: tuple[int, ...] = (), number: int | None = None) -> None:
        """Send now or, while the socket is full, later; in order."""
        self._unsent.append((packet, fds, number))
        if len(self._unsent) == 1:
            self._flush()

    def unsend(self, number: int) -> bool:
        """Take back the request of that number; return whether it had not left yet."""
        for entry in self._unsent:
            if entry[2] == number:
                self._unsent.remove(entry)
                return True
        return False

    def _flush(self) -> None:
        fd = self._end.fileno()
        while self._unsent:
            packet, fds, _ = self._unsent[0]
            try:
                channel.send(self._end, packet, fds)
            except BlockingIOError:
                self._loop.add_writer(fd, self._flush)
                return
            except ConnectionError:
                break  # it is dead; the reader says so, and whoever waits is served by the next one
            self._unsent.popleft()
        self._unsent.clear()
        self._loop.remove_writer(fd)

    def _readable(self) -> None:
        try:
            received = channel.receive(self._end)
        except BlockingIOError:
            return
        if received is None:
            self._disconnect()
            self._watch.kill()
            self._on_end(self._is_ready)
        elif received[0]["kind"] == "ready":
            self._is_ready = True
        else:
            self._on_answer(received[0])

    def _disconnect(self) -> None:
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end.fileno())
            self._loop.remove_writer(self._end.fileno())
            self._end.close()

    def _process_ended(self, exit: ProcessExit) -> None:
        # An exit status for `Popen` to know: it must not wait for a process id that is free.
        self._popen.returncode = exit.exit_status if exit.exit_status is not None else -(exit.signal or 0)
        self._reaped.set()

    async def close(self) -> None:
        """Close the channel, by which the zygote kills the process groups it keeps and exits; reap it."""
        self._disconnect()
        await self._reaped.wait()


def _execute(channel_fd: int, preload: Sequence[str]) -> subprocess.Popen[bytes]:
    arguments = [str(channel_fd), str(os.getpid()), _PACKAGE_ROOT, *preload]
    environment = {
        **zygote.ENVIRONMENT,
        **os.environ,
        "JE_ARROW_MALLOC_CONF": zygote.ENVIRONMENT["JE_ARROW_MALLOC_CONF"],
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT, *arguments],
        pass_fds=(channel_fd,),
        stdin=subprocess.DEVNULL,
        env=environment,
    )
