"""The daemon's side of process creation: has zygotes fork workers, and watches these.

Workers are forked from the first zygote, unless modules have to be imported before the fork that take long or much
memory, such as torch. Then they are forked from a zygote that has imported these modules as well: there is one for each
set of modules, started when the first worker needs it and kept until the node ends.

`zygotes` keeps a zygote running, and `zygote` is its own side; only these modules know the messages between them.
`preloads` keeps the modules that users want imported. The daemon decides when a worker is needed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal as signals
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from actorrt.config import FORK_TIMEOUT_S, PROCESS_END_TIMEOUT_S
from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node.processes import channel, zygote
from actorrt.node.processes.lease_guard import signal_workers
from actorrt.node.processes.lease_page import LeasePage
from actorrt.node.processes.orphans import Orphans
from actorrt.node.processes.preloads import Preloads
from actorrt.node.processes.process_watch import ProcessExit, ProcessWatch, watch_exit
from actorrt.node.processes.zygotes import ForkRequest, WorkerEvents, Zygotes

logger = logging.getLogger(__name__)

SETS_LIMIT: Final = 4
"""The number of sets of modules that get a zygote. Each zygote keeps its modules in memory until the node ends."""
GUARD_TIMEOUT_S: Final = 10.0
"""How long a node may be without the guard of its lease. Its workers are stopped meanwhile."""


class WorkerProcess(Protocol):
    """A process that runs, as its node sees it; `ProcessWatch` is one."""

    def oom_kills_count(self) -> int | None: ...

    def outlived(self, oom_kills_count: int | None) -> None: ...

    def state(self) -> tuple[str, float] | None: ...

    def print_stacks(self) -> None: ...

    def kill(self) -> None: ...


class ProcessFactory(Protocol):
    """Makes worker processes. `Forker` makes real ones; tests and simulations pass their own."""

    async def start(self) -> None:
        """Begin the start; return at once."""

    def preload(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have modules imported before the next fork; see `Forker.preload`."""

    def prepare(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have modules imported for forks that need them; see `Forker.prepare`."""

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int, preload: Sequence[str] = ()) -> int:
        """Make a worker and return its process id; see `Forker.fork`."""

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> WorkerProcess:
        """Have `on_exit` called once, when the worker has ended. Call this once for each worker."""

    async def close(self) -> None:
        """End every process that was made. Idempotent."""


class Forker:
    """Makes workers by zygotes; a `ProcessFactory` for the process's main thread.

    The calling process should be a subreaper (`process_watch.set_subreaper`): otherwise the workers become the children
    of another process, and end at once. It should have no other children: `close` ends all of them.

    Args:
        loop: reads and writes the channels.
        preload: modules that every zygote imports before it forks.
        fork_timeout_s: the time without an answer after which a zygote is killed and replaced.
        lease: the lease without which no worker runs; None if the node has none, and no guard.

    Attributes:
        on_unguarded: called when the lease has no guard, and gets none: the workers, which are stopped, must end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        preload: Sequence[str] = zygote.PRELOAD,
        fork_timeout_s: float = FORK_TIMEOUT_S,
        lease: LeasePage | None = None,
    ) -> None:
        self._loop = loop
        self._lease = lease
        self._guards: dict[int, ProcessWatch] = {}
        self._unguarded: asyncio.TimerHandle | None = None
        self.on_unguarded: Callable[[str], None] = _log_unguarded
        self._fork_timeout_s = fork_timeout_s
        self._own = tuple(preload)
        self._numbers = itertools.count()
        self._watches: dict[int, ProcessWatch] = {}
        self._unwatched_pids: set[int] = set()
        self._orphans = Orphans(loop)
        self._changed = asyncio.Event()
        self._is_closed = False
        self._preloads = Preloads()
        self._first = self._new_zygotes(self._preloads)
        self._of_set: dict[frozenset[str], Zygotes] = {}

    def _new_zygotes(self, preloads: Preloads) -> Zygotes:
        events = WorkerEvents(lambda: list(self._watches), self._unwatched_pids.add, self._end_worker, self._guarded)
        return Zygotes(self._loop, self._own, preloads, events, None if self._lease is None else self._lease.fd)

    @property
    def zygote_pid(self) -> int | None:
        """The process id of the running zygote from which workers are forked that need no further modules."""
        return self._first.pid

    def zygote_pid_of(self, modules: Sequence[str]) -> int | None:
        """Return the process id of the running zygote of a set of modules; None if there is none."""
        zygotes = self._of_set.get(frozenset(modules))
        return None if zygotes is None else zygotes.pid

    def _every(self) -> list[Zygotes]:
        return [self._first, *self._of_set.values()]

    async def start(self) -> None:
        """Start the first zygote and return without waiting for it; requests wait in its socket until it is ready."""
        self._first.start()
        if self._lease is not None:
            self._expect_guard()

    # The guard of the lease

    @property
    def lease(self) -> LeasePage | None:
        """The lease without which no worker runs."""
        return self._lease

    @property
    def guard_pid(self) -> int | None:
        """The process id of the guard that was forked last, if it lives."""
        return next(reversed(self._guards), None)

    def _expect_guard(self) -> None:
        if self._unguarded is None:
            self._unguarded = self._loop.call_later(GUARD_TIMEOUT_S, self._miss_guard, "no guard could be forked")

    def _miss_guard(self, why: str) -> None:
        if not self._is_closed:
            self.on_unguarded(f"nothing would stop its workers if it lost its lease: {why}")

    def _guarded(self, pid: int) -> None:
        """Called when a guard was forked. Every zygote forks one; the newest stays."""
        older = list(self._guards.values())
        try:
            self._guards[pid] = watch_exit(self._loop, pid, self._guard_ended)
        except OSError as error:
            self._orphans.end_unwatched(pid)
            logger.error("the guard of the lease can't be watched: %s", error)
            return  # an older one stays, or the node misses its guard in time
        for guard in older:
            guard.kill()
        if self._unguarded is not None:
            self._unguarded.cancel()
            self._unguarded = None

    def _guard_ended(self, how: ProcessExit) -> None:
        """Called when a guard has ended. If it was the last one, stop the workers; the next guard continues them.

        The next one is forked by the next zygote. Until then nobody would stop the workers if this process could not.
        """
        del self._guards[how.pid]
        self._changed.set()
        if self._guards or self._is_closed:
            return
        logger.error("the guard of the lease (pid %d) ended: the workers are stopped until the next one runs", how.pid)
        self._expect_guard()
        try:
            signal_workers(os.getpid(), signals.SIGSTOP)
        except OSError as error:
            self._miss_guard(f"the workers can't be stopped either: {error}")
        if self._first.pid is None:
            self._start_again()
        else:
            self._first.kill()

    def _start_again(self) -> None:
        try:
            self._first.start()
        except ActorStartError as error:
            logger.error("%s; the next fork tries again", error)

    def preload(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have the zygotes import modules, found in `sys_path`, before they fork the workers that are requested later.

        A module that can't be imported is logged with its error; workers import it themselves then.
        """
        for zygotes in self._every():
            zygotes.preload(modules, sys_path)

    def prepare(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Start the zygote of a set of modules before a worker needs it; if that fails, the next fork tries again."""
        try:
            self._zygotes_of(modules, sys_path).start()
        except ActorStartError as error:
            logger.error("%s; the next fork tries again", error)

    def _zygotes_of(self, modules: Sequence[str], sys_path: Sequence[str]) -> Zygotes:
        """Return the zygotes that import a set of modules before they fork."""
        if not modules:
            return self._first
        key = frozenset(modules)
        if key not in self._of_set:
            if len(self._of_set) >= SETS_LIMIT:
                logger.warning("there are %d zygotes: workers import %s themselves", SETS_LIMIT + 1, ", ".join(modules))
                return self._first
            self._of_set[key] = self._new_zygotes(self._preloads.copy())
            self._of_set[key].preload(modules, sys_path)
        return self._of_set[key]

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int, preload: Sequence[str] = ()) -> int:
        """Fork a worker and return its process id.

        By then the worker is a child of this process, leads its own session, and dies with this process. Requests may
        overlap. A caller that is cancelled leaves no worker behind.

        Args:
            config: passed to the worker's entry; msgpack's types only. Read here: `entry` ("module:function"),
                `env_vars`, `cwd`, `sys_path`.
            stdout_fd, stderr_fd: the worker's output; the caller keeps its copies and closes them.
            preload: modules that are imported before the fork, if they can be imported without starting threads.

        Raises:
            ValueError: the configuration is too large to send.
            ActorStartError: the zygote refused, died too often, could not start, or gave no answer in time; there is
                no worker.
            RuntimeStateError: the forker is closed.
        """
        if self._is_closed:
            raise RuntimeStateError("the node is closing: no more workers are started")
        number = next(self._numbers)
        env_vars = {**_own_thread_settings(), **config.get("env_vars", {})}
        packet = channel.pack({"kind": "fork", "id": number, "config": {**config, "env_vars": env_vars}})
        zygotes = self._zygotes_of(preload, config.get("sys_path", sys.path))
        async with zygotes.window:
            request = ForkRequest(packet, (stdout_fd, stderr_fd), self._loop.create_future())
            zygotes.submit(number, request)
            try:
                await self._wait_for_answer(request, zygotes)
                return request.answer.result()
            except asyncio.CancelledError:
                if request.has_worker:  # its answer came in the same turn of the loop
                    self._end_worker(request.answer.result())
                raise
            finally:
                zygotes.withdraw(number)

    async def _wait_for_answer(self, request: ForkRequest, zygotes: Zygotes) -> None:
        """Wait until a request is answered. A zygote that does nothing for `fork_timeout_s` is killed.

        Raises:
            ActorStartError: the zygote did nothing for so long, although it was to fork. If it was importing a module
                for a user, the next zygote does not import that module, and the request goes there.
        """
        asked_at = self._loop.time()
        while not request.answer.done():
            left_s = max(asked_at, zygotes.heard_at) + self._fork_timeout_s - self._loop.time()
            if left_s > 0:
                await asyncio.wait([request.answer], timeout=left_s)
                continue
            is_importing = zygotes.is_importing
            zygotes.kill()
            if not is_importing:
                raise ActorStartError(f"no worker could be forked: no answer in {self._fork_timeout_s} s")
            asked_at = self._loop.time()

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
        if all(zygotes.is_idle for zygotes in self._every()):
            self._orphans.reap_strays(self._known_pids())
        self._forget(pid)

    def _forget(self, pid: int) -> None:
        for zygotes in self._every():
            zygotes.forget(pid)

    def _known_pids(self) -> set[int]:
        zygote_pids = (pid for zygotes in self._every() for pid in zygotes.pids)
        return {*self._watches, *self._guards, *self._unwatched_pids, *zygote_pids}

    async def close(self) -> None:
        """End every zygote, every worker and everything they started, and reap them. Idempotent.

        Requests that wait fail with `RuntimeStateError`. Processes that are left `PROCESS_END_TIMEOUT_S` after SIGKILL
        are stuck in the kernel: they are logged and not awaited.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._unguarded is not None:
            self._unguarded.cancel()
        for zygotes in self._every():
            zygotes.end()
        try:
            async with asyncio.timeout(PROCESS_END_TIMEOUT_S):
                await self._end_processes()
        except TimeoutError:
            logger.error("left after SIGKILL, stuck in the kernel: %s", sorted(self._known_pids()))
        for watch in (*self._watches.values(), *self._guards.values()):
            watch.close()
        for zygotes in self._every():
            zygotes.close()
        self._orphans.close()
        if self._lease is not None:
            self._lease.close()

    async def _end_processes(self) -> None:
        for zygotes in self._every():
            await zygotes.wait_ended()  # so no worker is being forked any more
        for watch in (*self._watches.values(), *self._guards.values()):
            watch.kill()
        while self._watches or self._guards:
            self._changed.clear()
            await self._changed.wait()
        await self._orphans.end_children()


def _log_unguarded(why: str) -> None:
    logger.error("the node goes on, although %s", why)


def _own_thread_settings() -> dict[str, str]:
    """Return this process's own values of the variables that differ in the zygote's environment.

    Libraries that a worker loads, such as torch, follow the values. OpenBLAS does not, because numpy has loaded it in
    the zygote already.
    """
    return {name: os.environ[name] for name in zygote.SINGLE_THREADED if name in os.environ}
