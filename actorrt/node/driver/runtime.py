"""The runtime of a driver: connects it to a node, and ends the job and an embedded node when it closes."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorrt import errors, forks
from actorrt.actors.endpoint import statistics
from actorrt.actors.refs import current
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.waiting import wait
from actorrt.actors.wire.control import Answer
from actorrt.completion import Completion, set_blocking_rule
from actorrt.ids import PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.driver import runtime_options
from actorrt.node.driver.driver_connection import DaemonConnection, DriverConnection
from actorrt.node.driver.notices import saying
from actorrt.node.driver.printer import OutputPrinter
from actorrt.node.listing.pages import MAX_PAGE_COUNT, check_page
from actorrt.node.listing.whole_status import whole_page
from actorrt.node.processes.limits import check_endpoint
from actorrt.protocol.nodes import Detach, Goodbye, JobSetting
from actorrt.protocol.processes import AskStatistics, Output
from actorrt.protocol.verb import Request
from actorrt.tasks.submitting import in_hand
from actorrt.tasks.working.helping import MAX_NESTED_ON_LOOP_COUNT, choices_in, tasks_in

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint

logger = logging.getLogger(__name__)

T = TypeVar("T")
A = TypeVar("A")

DETACH_TIMEOUT_S: Final = 60.0
DETACH_LOOK_S: Final = 1.0
FROZEN_S: Final = 10.0
"""How long a node may give no sign of life, while it ends a job, before the driver gives up."""
STATISTICS_WITHIN_S: Final = 1.0
WORKERS_PAGE_COUNT: Final = 100


class Runtime:
    """A connection to a node, on the running loop.

    Args:
        address: None connects to what `ACTORRT_ADDRESS` and `ACTORRT_TOKEN` name, and if these are not set starts an
            embedded node. `"auto"` or a URL connects to a running node of this machine. A join token, or
            `"tcp://host:port"` with `token`, connects to a cluster.
        token: of the cluster, as `actorrt token` prints it.
        mode: `"node"`, or `"local"`: everything runs on this loop, without processes, and the address is ignored.
        cpus, gpus: the CPUs and GPUs of an embedded node, which actors can reserve; None: those of the machine.
        store_bytes: the bound on an embedded node's object store; None: 30 % of the machine's memory, or all that is
            free if that is less.
        namespace: the namespace of the names that this driver gives and looks up.

    Raises:
        TypeError: an option has a wrong type.
        ValueError: an option has a wrong value, or contradicts another one.
        RuntimeStateError: this system is not Linux.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        mode: str = "node",
        cpus: int | None = None,
        gpus: int | None = None,
        store_bytes: int | None = None,
        namespace: str = "default",
    ) -> None:
        check_endpoint()
        self._options = runtime_options.checked(
            address, mode, cpus, gpus, store_bytes, namespace, token, environ=os.environ
        )
        self.namespace = namespace
        self._connection: DriverConnection | None = None
        self._output: OutputPrinter | None = None

    async def __aenter__(self) -> Runtime:
        await self.start()
        set_blocking_rule(refuse_to_block)
        return self

    async def __aexit__(self, *_: object) -> None:
        set_blocking_rule(None)
        await self.close()

    @property
    def endpoint(self) -> ActorEndpoint:
        """This driver's endpoint.

        Raises:
            RuntimeStateError: the runtime is not started, or closed.
        """
        if self._connection is None:
            raise errors.RuntimeStateError("this Runtime is not running: use it in `async with`")
        return self._connection.endpoint

    @property
    def has_lost_its_node(self) -> bool:
        """Whether the node of this runtime is gone, or has ended this driver's job."""
        return self._connection is not None and self._connection.is_lost

    async def start(self) -> None:
        """Start or find the node, and connect.

        Raises:
            RuntimeStateError: a runtime is connected in this process already, this process was forked from one that
                had one, or the node did not start.
            PeerUnreachableError: no node is at the address.
            AuthenticationError: the cluster refuses the token.
        """
        forks.check()
        present = current.process_endpoint()
        if present is not None and not present.is_closed:
            raise errors.RuntimeStateError(
                "a runtime is connected in this process already: use it, or call actorrt.shutdown() first"
            )
        connection = self._new_connection()
        try:
            await saying("the node to start", connection.open(self.namespace))
            await self._attach(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        current.set_process_endpoint(connection.endpoint)

    def _new_connection(self) -> DriverConnection:
        address, token, mode, cpus, gpus, store_bytes, _ = self._options
        if mode == "node":
            return DaemonConnection(address, cpus, gpus, store_bytes, Surroundings.of_process(), token)
        # Imported here, because drivers of daemons do not need the node's modules.
        from actorrt.node.driver.local_connection import LocalConnection

        return LocalConnection(cpus, gpus, store_bytes, Surroundings.of_process())

    async def _attach(self, connection: DriverConnection) -> None:
        endpoint = connection.endpoint
        self._output = OutputPrinter(endpoint.clock.now)
        endpoint.control.handle(Output.by(self._output.received))
        await saying("the node to answer", connection.attach(_setting(self.namespace)))

    async def close(self) -> None:
        """Stop the actors of this driver, and the node if it is embedded; leave nothing behind. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is None or forks.is_child():  # in a forked child everything belongs to the parent
            return
        if current.process_endpoint() is connection.endpoint:
            current.set_process_endpoint(None)
        try:
            if not connection.is_lost:
                await saying("actors to stop", self._detach(connection.endpoint))
        finally:
            await saying("the node to end", connection.close())
            if self._output is not None:
                self._output.close()

    async def _detach(self, endpoint: ActorEndpoint) -> None:
        detached = endpoint.control.request(endpoint.node, Detach(job=endpoint.job))
        endpoint.transport.watch(*endpoint.node)
        left_s = DETACH_TIMEOUT_S
        while not (detached.done() or left_s <= 0 or _is_frozen(endpoint)):
            await finished(detached, DETACH_LOOK_S)
            left_s -= DETACH_LOOK_S
        if not detached.done():
            why = "the node gave no sign of life" if _is_frozen(endpoint) else f"{DETACH_TIMEOUT_S:g} s were not enough"
            logger.warning("the actors of this job did not stop, and are ended: %s", why)
        elif (error := detached.error()) is not None:
            logger.debug("the node was gone before its job was ended: %s", error)
        else:
            endpoint.control.notify(endpoint.node, Goodbye())  # so that the node does not search for this process

    def status(self, after: Sequence[int] | None = None, count: int = MAX_PAGE_COUNT) -> Operation[dict[str, Any]]:
        """Ask for the workers and actors of the node, or of all nodes of its cluster, a page at a time.

        Args:
            after: the `next` of the page before; None for the first page.
            count: the number of rows, of workers and actors together; at most 10,000.

        Returns:
            An operation that resolves to a dict. It has `version`, `address` and `jobs`; `totals`, the numbers of jobs,
            workers and actors; `cpus`, `gpus`, `reserved_cpus`, `reserved_gpus`, `leased_cpus` and `leased_gpus`; the
            `workers` of this page (`label`, `kind`, `lent`, `job`, `pid`, `actors`, `memory_bytes`, `cpu_s`), which
            come first on each node, and its `actors` (`label`, `state`, `job`, `namespace`, `worker`, `pid`,
            `reserved`, ...); and `next`, the `after` of the following page, which is None on the last page. In a
            cluster each row has the `node` where it runs, all numbers are sums over the nodes, and `silent` lists the
            nodes that did not answer, each with the reason.

        Raises:
            TypeError, ValueError: `after` or `count` is wrong.
        """
        check_page(after, count)
        return self.endpoint.operate("the status of the nodes", lambda: whole_page(self._ask, after, count))

    def _ask(self, request: Request[A]) -> Answer[A]:
        """Ask the daemon of this node."""
        endpoint = self.endpoint
        return endpoint.control.request(endpoint.node, request)

    async def _workers(self) -> dict[str, PeerAddress]:
        """Return the endpoints of the workers of this job on all nodes, by their labels."""
        workers: dict[str, PeerAddress] = {}
        after: Sequence[Any] | None = None
        while True:
            page = await whole_page(self._ask, after, WORKERS_PAGE_COUNT)
            for row in page["workers"]:
                if row["job"] == short(self.endpoint.job):
                    label = row["label"] if row["label"] not in workers else f"{row['label']} on {row['node']}"
                    workers[label] = PeerAddress(PeerId(row["peer"]), row["address"])
            after = page["next"]
            if after is None:
                return workers

    def statistics(self) -> Operation[dict[str, Any]]:
        """Ask every process of this job for the lengths of its queues.

        The operation resolves to plain data, by the label of the worker; this process is `"driver"`. Each process has
        `pending_calls`, `late_replies`, `dead_letters` (their count, and the last ones), `actors` (the thousand busiest
        of `actors_count`, each with the numbers of queued, running, handled and dropped messages), and the lengths of
        all other queues: `routes` (messages that wait for room), `streams`, `requests`, `handed_over` (by other
        threads), `runners`, `transits`, `early_cancels`, `poison`, `store`, `transport`. A worker that does not answer
        within a second has only an `error`.
        """
        endpoint = self.endpoint

        async def ask() -> dict[str, Any]:
            workers = await self._workers()
            requests = {label: endpoint.control.request(to, AskStatistics()) for label, to in workers.items()}
            if requests:
                await wait(requests.values(), len(requests), STATISTICS_WITHIN_S)
            answers = {label: _answer(request) for label, request in requests.items()}
            return {"driver": statistics.of_endpoint(endpoint), **answers}

        return endpoint.operate("the statistics", ask)

    def __repr__(self) -> str:
        where = "not connected" if self._connection is None else f"at {self._connection.url}"
        return f"<Runtime {where}>"


async def finished(completion: Completion[Any], timeout_s: float | None) -> None:
    """Wait until the completion is done or the time is up; do not raise its error."""
    done: Completion[None] = Completion()
    completion.add_callback(lambda _: done.set_value(None))
    try:
        async with asyncio.timeout(timeout_s):
            await done
    except TimeoutError:
        return  # the caller checks whether it is done


def _is_frozen(endpoint: ActorEndpoint) -> bool:
    return endpoint.transport.silent_s(endpoint.node.peer) > FROZEN_S


def _answer(request: Completion[Any]) -> Any:
    if not request.done():
        return {"error": f"no answer within {STATISTICS_WITHIN_S:g} s: its loop is blocked"}
    return {"error": str(request.error())} if request.error() is not None else request.value()


def refuse_to_block(completion: Completion[Any], _: float | None) -> None:
    """Refuse to wait: the blocking rule of a thread whose loop serves a driver.

    Plain code of a task on that loop may wait for tasks that can run in the place of the wait.
    """
    task = in_hand.task.get()
    if task is not None:
        for ref in [*tasks_in(completion)] or choices_in(completion):
            task.worker.run_on_loop(ref)
            if completion.done():
                return
        raise errors.RuntimeStateError(
            f"{completion!r}: on a shared loop, as in local mode, plain code of a task can wait only for plain tasks "
            f"that it has submitted, up to {MAX_NESTED_ON_LOOP_COUNT} tasks inside each other: make task {task.name}() "
            "async, and await here"
        )
    raise errors.RuntimeStateError(
        f"{completion!r}: .result() would block the loop that has to complete it; use await here, or run plain code in "
        "a thread"
    )


def run(main: Callable[..., Coroutine[Any, Any, T]], *args: Any, **runtime_options: Any) -> T:
    """Run the coroutine function `main(*args)` on uvloop inside a `Runtime`; return its result.

    Args:
        main: the coroutine function.
        *args: its arguments.
        **runtime_options: the options of `Runtime`.
    """
    import uvloop

    if not asyncio.iscoroutinefunction(main):
        raise TypeError(f"run({main!r}): give a coroutine function, then its arguments")

    async def inside() -> T:
        async with Runtime(**runtime_options):
            return await main(*args)

    return uvloop.run(inside())


def _setting(namespace: str) -> JobSetting:
    """Return the setting by which workers find the modules that this process finds, and log as much."""
    path = [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path]
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if script is not None and (folder := os.path.dirname(os.path.abspath(script))) not in path:
        path.insert(0, folder)
    return JobSetting(
        namespace=namespace,
        sys_path=path,
        cwd=os.getcwd(),
        env_vars={},
        log_level=logging.getLogger().getEffectiveLevel(),
    )
