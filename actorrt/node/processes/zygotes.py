"""Keeps one zygote running at a time, and hands it the requests to fork.

All zygotes of one `Zygotes` import the same modules, and each replaces the one before it. `forker` has several
`Zygotes`, one for each set of modules, and watches the workers.

Life of a request: it is sent, and is answered. When the zygote dies, the end of the channel proves that a request
without an answer has no worker (see `zygote`). So the request goes to the next zygote: the death of a zygote is no
failure of the actor that needs the worker. A request fails when `PATIENCE` zygotes have died. A zygote that dies before
it is ready may never become ready, so its death counts twice. If a zygote dies because of a module that a user wants
imported, its death does not count, because the next zygote does not import the module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node.processes import channel
from actorrt.node.processes.preloads import Preloads
from actorrt.node.processes.zygote_process import ZygoteProcess

logger = logging.getLogger(__name__)

FORKS_IN_FLIGHT: Final = 16
"""The number of forks that should be requested at a time."""
PATIENCE: Final = 5
"""The number of deaths of zygotes at which a request fails."""
_NOT_PRELOADED: Final = "%s is not preloaded: %s; workers import it themselves"


@dataclass(slots=True)
class ForkRequest:
    """A request to fork, and its answer: the process id of the worker, or an `ActorStartError`."""

    packet: bytes
    fds: tuple[int, int]
    answer: asyncio.Future[int]
    patience: int = PATIENCE

    @property
    def has_worker(self) -> bool:
        """Whether a worker was forked for it."""
        answer = self.answer
        return answer.done() and not answer.cancelled() and answer.exception() is None


@dataclass(frozen=True, slots=True)
class WorkerEvents:
    """What `Zygotes` need of the owner of the workers.

    Attributes:
        living: returns the process ids of the workers that live.
        forked: called when a worker was forked for a request, before the request is answered.
        unclaimed: called when a worker was forked that no request waits for.
        guarded: called when a guard of the node's lease was forked.
    """

    living: Callable[[], list[int]]
    forked: Callable[[int], None]
    unclaimed: Callable[[int], None]
    guarded: Callable[[int], None]


class Zygotes:
    """Keeps one zygote running at a time; the loop's thread owns it.

    Args:
        loop: reads and writes the channel.
        own: modules that a zygote imports before it is ready; a zygote that can't import them ends.
        preloads: further modules; if one can't be imported, it is given up with a warning.
        workers: the workers that exist, and what happens to new ones.
        lease_fd: the page of the node's lease; None if it has none.

    Attributes:
        window: held by each fork that is under way.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        own: Sequence[str],
        preloads: Preloads,
        workers: WorkerEvents,
        lease_fd: int | None = None,
    ) -> None:
        self._lease_fd = lease_fd
        self._loop = loop
        self._own = tuple(own)
        self._preloads = preloads
        self._workers = workers
        self._zygote: ZygoteProcess | None = None
        self._former: list[ZygoteProcess] = []  # they have ended; some may not be reaped yet
        self._requests: dict[int, ForkRequest] = {}
        self._abandoned: set[int] = set()
        self._heard_at = loop.time()
        self._is_closed = False
        self.window = asyncio.Semaphore(FORKS_IN_FLIGHT)

    @property
    def pid(self) -> int | None:
        """The process id of the running zygote."""
        return self._zygote.pid if self._zygote is not None else None

    @property
    def pids(self) -> list[int]:
        """The process ids of all zygotes that are not reaped."""
        return [process.pid for process in self._all() if not process.is_reaped]

    @property
    def heard_at(self) -> float:
        """The loop's time at which a zygote was started or gave an answer last."""
        return self._heard_at

    @property
    def is_importing(self) -> bool:
        """Whether the running zygote is ready, and imports a module that a user wants."""
        return self._zygote is not None and self._zygote.is_ready and self._preloads.is_awaited

    @property
    def is_idle(self) -> bool:
        """Whether no worker is being forked."""
        return not self._requests and not self._abandoned

    def start(self) -> ZygoteProcess:
        """Return the running zygote; start one if there is none.

        Raises:
            RuntimeStateError: the node is closing.
            ActorStartError: no zygote can be started.
        """
        if self._is_closed:
            raise RuntimeStateError("the node is closing: no more workers are started")
        if self._zygote is None:
            try:
                self._zygote = ZygoteProcess(self._loop, self._own, self._lease_fd, self._answered, self._ended)
            except OSError as error:
                raise ActorStartError(f"the zygote can't be started: {error}") from error
            self._heard_at = self._loop.time()
            living = self._workers.living()
            if living:
                self._send({"kind": "keep", "pids": living})
            self._send(*self._preloads.of_next_zygote())
        return self._zygote

    def preload(self, modules: Sequence[str], sys_path: Sequence[str]) -> None:
        """Have zygotes import modules, found in `sys_path`, before they fork the workers that are requested later."""
        self._send(*self._preloads.order(modules, sys_path))

    def forget(self, pid: int) -> None:
        """Tell the zygote that a worker is gone."""
        self._send({"kind": "forget", "pid": pid})

    def _send(self, *messages: dict[str, Any]) -> None:
        if self._zygote is not None:
            for message in messages:
                self._zygote.send(channel.pack(message))

    def submit(self, number: int, request: ForkRequest) -> None:
        """Send a request to the running zygote, which is started if there is none; errors as `start`."""
        process = self.start()
        self._requests[number] = request
        process.send(request.packet, request.fds, number)

    def withdraw(self, number: int) -> None:
        """Take back a request that nobody waits for any more. A worker that is forked for it is `unclaimed`."""
        if self._requests.pop(number, None) is None:
            return  # answered
        if self._zygote is not None and not self._zygote.unsend(number):
            self._abandoned.add(number)

    def kill(self) -> None:
        """Kill the running zygote, which is stuck or stopped; its death is handled as any other."""
        if self._zygote is not None:
            self._zygote.kill()

    def _answered(self, message: dict[str, Any]) -> None:
        """Handle an answer. The zygote and the worker both answer a request, so the second answer is ignored."""
        self._heard_at = self._loop.time()
        if message["kind"] == "preloaded":
            self._preloaded(message["module"], message["problem"], is_end=message["is_end"])
            return
        if message["kind"] == "guarded":
            self._workers.guarded(message["pid"])
            return
        number = message["id"]
        request = self._requests.pop(number, None)
        is_forked = message["kind"] == "forked"
        if request is not None and not request.answer.done():
            if is_forked:
                self._workers.forked(message["pid"])
                request.answer.set_result(message["pid"])
            else:
                request.answer.set_exception(ActorStartError(f"no worker could be forked: {message['message']}"))
        elif number in self._abandoned or request is not None:
            self._abandoned.discard(number)
            if is_forked:
                self._workers.unclaimed(message["pid"])

    def _preloaded(self, module: str, problem: str | None, *, is_end: bool) -> None:
        if problem is not None and is_end:
            self._preloads.zygote_will_exit(module, problem)
            return
        self._preloads.answered(module, problem)
        if problem is not None:
            logger.warning(_NOT_PRELOADED, module, problem)

    def _ended(self, was_ready: bool) -> None:
        assert self._zygote is not None
        self._former = [process for process in self._former if not process.is_reaped]
        self._former.append(self._zygote)
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
                self.submit(number, request)
                return
            except ActorStartError as reason:
                error = reason
        del self._requests[number]
        if not request.answer.done():
            request.answer.set_exception(error)

    def _restart(self) -> None:
        try:
            self.start()
        except ActorStartError as error:
            logger.error("%s; the next fork tries again", error)

    def _all(self) -> list[ZygoteProcess]:
        return self._former if self._zygote is None else [*self._former, self._zygote]

    def end(self) -> None:
        """Kill the zygote and start no other. Requests that wait fail with `RuntimeStateError`."""
        self._is_closed = True
        for request in self._requests.values():
            if not request.answer.done():
                request.answer.set_exception(RuntimeStateError("the node is closing: the worker was not started"))
        self.kill()

    async def wait_ended(self) -> None:
        """Wait until every zygote has ended and is reaped, so that no worker is being forked any more."""
        for process in self._all():
            await process.wait_ended()

    def close(self) -> None:
        """Close the channels, and the watches on the processes. Idempotent."""
        for process in self._all():
            process.close()
