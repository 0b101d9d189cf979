"""The daemon's side of process creation: keeps a zygote running, has it fork workers, and watches these.

`zygote` is the zygote's side; only these two modules know the messages between them. `preloads` keeps the modules that
users want imported. The daemon decides when a worker is needed.

Life of a request: it waits for the window, is sent, and is answered. When the zygote dies, the end of the channel
proves that a request without an answer has no worker (see `zygote`). So the request goes to the next zygote: the death
of a zygote is no failure of the actor that needs the worker. A request fails when `PATIENCE` zygotes have died. A
zygote that dies before it is ready may never become ready, so its death counts twice.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actorrt.config import FORK_TIMEOUT_S, PROCESS_END_TIMEOUT_S
from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node.processes import channel, zygote
from actorrt.node.processes.orphans import Orphans
from actorrt.node.processes.preloads import Preloads
from actorrt.node.processes.process_watch import ProcessExit, ProcessWatch, watch_exit
from actorrt.node.processes.zygote_process import ZygoteProcess

FORKS_IN_FLIGHT: Final = 16
logger = logging.getLogger(__name__)

PATIENCE: Final = 5
"""The number of deaths of zygotes at which a request fails."""
_NOT_PRELOADED: Final = "%s is not preloaded: %s; workers import it themselves"


class WorkerProcess(Protocol):
    """A process that runs and can be signalled."""

    pid: int

    @property
    def is_running(self) -> bool: ...

    def kill(self, signal: int = ...) -> None: ...


class ProcessFactory(Protocol):
    """Makes worker processes. `Forker` makes real ones; tests and simulations pass their own."""

    async def start(self) -> None:
        """Begin the start; return at once."""

    def preload(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have modules imported before the next fork; see `Forker.preload`."""

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int) -> int:
        """Make a worker and return its process id; see `Forker.fork`."""

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> WorkerProcess:
        """Have `on_exit` called once, when the worker has ended. Call this once for each worker."""

    async def close(self) -> None:
        """End every process that was made. Idempotent."""


@dataclass(slots=True)
class _ForkRequest:
    packet: bytes
    fds: tuple[int, int]
    answer: asyncio.Future[int]
    patience: int = PATIENCE


class Forker:
    """Makes workers by a zygote; a `ProcessFactory` for the process's main thread.

    The calling process should be a subreaper (`process_watch.set_subreaper`): otherwise the workers become the children
    of another process, and end at once. It should have no other children: `close` ends all of them.

    Args:
        loop: reads and writes the channel.
        preload: modules that the zygote imports before it forks.
        fork_timeout_s: the time without an answer after which a zygote is killed and replaced.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        preload: Sequence[str] = zygote.PRELOAD,
        fork_timeout_s: float = FORK_TIMEOUT_S,
    ) -> None:
        self._loop = loop
        self._fork_timeout_s = fork_timeout_s
        self._preload = tuple(preload)
        self._preloads = Preloads()
        self._zygote: ZygoteProcess | None = None
        self._former_zygotes: list[ZygoteProcess] = []  # they have ended; some may not be reaped yet
        self._window = asyncio.Semaphore(FORKS_IN_FLIGHT)
        self._numbers = itertools.count()
        self._requests: dict[int, _ForkRequest] = {}
        self._abandoned: set[int] = set()
        self._watches: dict[int, ProcessWatch] = {}
        self._unwatched_pids: set[int] = set()
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

    def preload(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have the zygote import modules, found in `sys_path`, before it forks the workers that are requested later.

        A module that can't be imported is logged with its error; workers import it themselves then.
        """
        self._ask(self._preloads.order(modules, sys_path))

    def _ask(self, requests: Sequence[dict[str, Any]]) -> None:
        if self._zygote is not None:
            for request in requests:
                self._zygote.send(channel.pack(request))

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int) -> int:
        """Fork a worker and return its process id.

        By then the worker is a child of this process, leads its own session, and dies with this process. Requests may
        overlap. A caller that is cancelled leaves no worker behind.

        Args:
            config: passed to the worker's entry; msgpack's types only. Read here: `entry` ("module:function"),
                `env_vars`, `cwd`, `sys_path`.
            stdout_fd, stderr_fd: the worker's output; the caller keeps its copies and closes them.

        Raises:
            ValueError: the configuration is too large to send.
            ActorStartError: the zygote refused, died too often, could not start, or gave no answer in time; there is
                no worker.
            RuntimeStateError: the forker is closed.
        """
        number = next(self._numbers)
        env_vars = {**_own_thread_settings(), **config.get("env_vars", {})}
        packet = channel.pack({"kind": "fork", "id": number, "config": {**config, "env_vars": env_vars}})
        async with self._window:
            request = _ForkRequest(packet, (stdout_fd, stderr_fd), self._loop.create_future())
            self._submit(number, request)
            try:
                async with asyncio.timeout(self._fork_timeout_s):
                    return await request.answer
            except asyncio.CancelledError:
                self._end_unclaimed(request)
                raise
            except TimeoutError:
                self._end_unclaimed(request)
                if self._zygote is not None:
                    self._zygote.kill()  # it is stuck or stopped; `_zygote_ended` handles its death
                raise ActorStartError(f"no worker could be forked: no answer in {self._fork_timeout_s} s") from None
            finally:
                self._withdraw(number)

    def _end_unclaimed(self, request: _ForkRequest) -> None:
        """End the worker if the answer came in the same turn of the loop in which the wait ended."""
        answer = request.answer
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            self._end_worker(answer.result())

    def _submit(self, number: int, request: _ForkRequest) -> None:
        process = self._running_zygote()
        self._requests[number] = request
        process.send(request.packet, request.fds, number)

    def _withdraw(self, number: int) -> None:
        if self._requests.pop(number, None) is None:
            return  # answered
        if self._zygote is not None and not self._zygote.unsend(number):
            self._abandoned.add(number)

    def _running_zygote(self) -> ZygoteProcess:
        if self._is_closed:
            raise RuntimeStateError("the node is closing: no more workers are started")
        if self._zygote is None:
            try:
                self._zygote = ZygoteProcess(self._loop, self._preload, self._answered, self._zygote_ended)
            except OSError as error:
                raise ActorStartError(f"the zygote can't be started: {error}") from error
            if self._watches:
                self._zygote.send(channel.pack({"kind": "keep", "pids": list(self._watches)}))
            self._ask(self._preloads.of_next_zygote())
        return self._zygote

    def _answered(self, message: dict[str, Any]) -> None:
        """Handle an answer. The zygote and the worker both answer a request, so the second answer is ignored."""
        if message["kind"] == "preloaded":
            self._preloaded(message["module"], message["problem"], is_end=message["is_end"])
            return
        number = message["id"]
        request = self._requests.pop(number, None)
        is_forked = message["kind"] == "forked"
        if request is not None and not request.answer.done():
            if is_forked:
                self._unwatched_pids.add(message["pid"])
                request.answer.set_result(message["pid"])
            else:
                request.answer.set_exception(ActorStartError(f"no worker could be forked: {message['message']}"))
        elif number in self._abandoned or request is not None:
            self._abandoned.discard(number)
            if is_forked:
                self._end_worker(message["pid"])

    def _preloaded(self, module: str, problem: str | None, *, is_end: bool) -> None:
        if problem is not None and is_end:
            self._preloads.zygote_will_exit(module, problem)
            return
        self._preloads.answered(module, problem)
        if problem is not None:
            logger.warning(_NOT_PRELOADED, module, problem)

    def _zygote_ended(self, was_ready: bool) -> None:
        assert self._zygote is not None
        self._former_zygotes = [process for process in self._former_zygotes if not process.is_reaped]
        self._former_zygotes.append(self._zygote)
        self._zygote = None
        self._abandoned.clear()
        if self._is_closed:
            return
        logger.warning("the zygote ended %s", "and is started again" if was_ready else "before it was ready")
        culprit = self._preloads.zygote_ended() if was_ready else None
        if culprit is not None:
            logger.warning(_NOT_PRELOADED, *culprit)
        # No cost if a module is to blame, because the next zygote does not import it.
        cost = 0 if culprit is not None else 1 if was_ready else 2
        for number in list(self._requests):
            self._resend_or_fail(number, cost)
        if was_ready:
            self._restart()

    def _resend_or_fail(self, number: int, cost: int) -> None:
        request = self._requests[number]
        request.patience -= cost
        error = ActorStartError("the zygote ended before it forked the worker; its own output says why")
        if request.patience > 0:
            try:
                self._submit(number, request)
                return
            except ActorStartError as reason:
                error = reason
        del self._requests[number]
        if not request.answer.done():
            request.answer.set_exception(error)

    def _restart(self) -> None:
        try:
            self._running_zygote()
        except ActorStartError as error:
            logger.error("%s; the next fork tries again", error)

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> ProcessWatch:
        """Have `on_exit` called once, when the worker is reaped and all that it started was sent SIGKILL.

        Raises:
            OSError: there is no descriptor for the worker; it is ended, and `on_exit` is not called.
        """

        def ended(how: ProcessExit) -> None:
            self._worker_ended(pid)
            on_exit(how)

        try:
            self._watches[pid] = watch_exit(self._loop, pid, ended)
        except OSError:
            self._orphans.end_unwatched(pid)
            self._forget(pid)
            raise
        finally:
            self._unwatched_pids.discard(pid)
        return self._watches[pid]

    def _end_worker(self, pid: int) -> None:
        """End a worker that no request waits for."""
        try:
            self.watch(pid, lambda _: None).kill()
        except OSError as error:  # there is no descriptor for it, so `watch` has ended it
            logger.warning("worker process %d is not watched while it ends: %s", pid, error)

    def _worker_ended(self, pid: int) -> None:
        del self._watches[pid]
        self._changed.set()
        self._orphans.end_session(pid)
        if not self._requests and not self._abandoned:
            self._orphans.reap_strays(self._known_pids())
        self._forget(pid)

    def _forget(self, pid: int) -> None:
        if self._zygote is not None:
            self._zygote.send(channel.pack({"kind": "forget", "pid": pid}))

    def _known_pids(self) -> set[int]:
        zygote_pids = (process.pid for process in self._zygotes() if not process.is_reaped)
        return {*self._watches, *self._unwatched_pids, *zygote_pids}

    def _zygotes(self) -> list[ZygoteProcess]:
        return self._former_zygotes if self._zygote is None else [*self._former_zygotes, self._zygote]

    async def close(self) -> None:
        """End the zygote, every worker and everything they started, and reap them. Idempotent.

        Requests that wait fail with `RuntimeStateError`. Processes that are left `PROCESS_END_TIMEOUT_S` after SIGKILL
        are stuck in the kernel: they are logged and not awaited.
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
            logger.error("left after SIGKILL, stuck in the kernel: %s", sorted(self._known_pids()))
        for watch in self._watches.values():
            watch.close()
        for process in self._zygotes():
            process.close()
        self._orphans.close()

    async def _end_processes(self) -> None:
        if self._zygote is not None:
            self._zygote.kill()
        for process in self._zygotes():
            await process.wait_ended()  # so no worker is being forked any more
        for watch in self._watches.values():
            watch.kill()
        while self._watches:
            self._changed.clear()
            await self._changed.wait()
        await self._orphans.end_children()


def _own_thread_settings() -> dict[str, str]:
    """Return this process's own values of the variables that differ in the zygote's environment.

    Libraries that a worker loads, such as torch, follow the values. OpenBLAS does not, because numpy has loaded it in
    the zygote already.
    """
    return {name: os.environ[name] for name in zygote.SINGLE_THREADED if name in os.environ}
