"""The rows about several nodes, each with processes and directories of its own, on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Row, Samples, Target
from actorrt.bench.rows.calls import beside_the_floor, p50_us, rate_hz
from actorrt.bench.rows.floor import bare_server, bare_tls
from actorrt.bench.rows.subjects import Counter, Store
from actorrt.node.daemon.node_directory import DESCRIPTOR, VARIABLE

MIB, GIB = 1 << 20, 1 << 30
_UP_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.002
_CPUS_COUNT: Final = 4
_HAS_ROOM: Final = "--resource=room=1"
_ROOM: Final[dict[str, Any]] = {"cpus": 1, "resources": {"room": 1}}


class BenchNode:
    """A node of the benchmark's cluster, with a runtime directory and a state directory of its own.

    Args:
        path: where the directories are made.
        name: of the node.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.runtime = path / name
        self.state = path / f"{name}-state"
        self._environment = {**os.environ, VARIABLE: str(self.runtime)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start the node; return when it is up.

        Raises:
            RuntimeError: it does not start.
        """
        command = self._command("node", f"--cpus={_CPUS_COUNT}", f"--state-dir={self.state}", *options)
        self._process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _UP_TIMEOUT_S
        while not [*self.runtime.glob(f"*/{DESCRIPTOR}")]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a node did not start: run {' '.join(command)} to see its error")
            time.sleep(_POLL_S)  # polling interval, since a node that has not started can't notify us

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "actorrt.cli", *arguments]

    def token(self) -> str:
        """Return a token by which other nodes join."""
        return subprocess.check_output(self._command("token"), env=self._environment, text=True).strip()

    def node(self) -> Any:
        """Return the placement on this node."""
        return art.node(json.loads((self.state / "identity.json").read_text())["node"])

    def signalled(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the node, the daemon first."""
        assert self._process is not None
        for pid in _with_descendants(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the node, and wait for its end; remove what a killed one leaves. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(_UP_TIMEOUT_S)
            finally:
                process.kill()
        shutil.rmtree(self.runtime, ignore_errors=True)


def _with_descendants(pid: int) -> list[int]:
    """Return a process and the processes that it and its descendants have started."""
    found = [pid]
    for parent in found:  # grows meanwhile
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, path.read_text().split())
    return found


@contextmanager
def cluster(*names: str, options: Mapping[str, Sequence[str]] = MappingProxyType({})) -> Iterator[list[BenchNode]]:
    """Run nodes in one cluster, the first of which has the control store. Drivers of this process use the first.

    Args:
        names: of the nodes.
        options: of nodes, by name.
    """
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    nodes = [BenchNode(path, name) for name in names]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        for node in nodes:
            stack.callback(node.end)
        nodes[0].start("--listen=127.0.0.1")
        token = nodes[0].token() if len(nodes) > 1 else ""
        for name, node in zip(names[1:], nodes[1:], strict=True):
            node.start(f"--join={token}", *options.get(name, ()))
        os.environ[VARIABLE] = str(nodes[0].runtime)
        yield nodes


def far_ask(effort: Effort) -> Samples:
    """Return median times of asks of an actor on another node, in µs, each beside the floor's over TCP with CURVE."""
    return _far(effort, lambda counter: p50_us(counter.increment, effort.operations_count), p50_us)


def far_ask_on_one_cpu(effort: Effort) -> Samples:
    """Return the same with all threads of both nodes, and of the floor's, on one CPU; see `calls.ask_on_one_cpu`."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return far_ask(effort)


def far_ask_in_flight(effort: Effort) -> Samples:
    """Return rates of asks in flight together of an actor on another node, per second, each beside the floor's."""

    async def floor_hz(ask: Callable[[], Any], count: int) -> float:
        return await rate_hz(ask, asyncio.gather, count)

    return _far(effort, lambda counter: rate_hz(counter.increment, art.gather, effort.operations_count), floor_hz)


def _far(effort: Effort, ours: Callable[[Any], Awaitable[float]], floor: Any) -> Samples:
    async def main() -> Samples:
        counter = await Counter.options(cpus=1, placement=other.node()).spawn()
        await counter.increment()

        async def measured() -> float:
            return await ours(counter)

        return await beside_the_floor(address, effort, measured, floor)

    with bare_server(is_far=True) as address, cluster("a", "b") as (_, other):
        return art.run(main, address="auto")


def far_pull(effort: Effort) -> Samples:
    """Return how fast an array arrives that an actor of another node returns a ref to, in GiB/s, beside bare TLS."""
    size_bytes = effort.operations_count

    async def main() -> Samples:
        store = await Store.options(cpus=1, placement=other.node()).spawn()
        buffer = memoryview(bytearray(size_bytes))
        values, references = [], []
        for _ in range(effort.rounds_count + 1):
            start = time.perf_counter()
            await asyncio.to_thread(fill, buffer)
            references.append(size_bytes / (time.perf_counter() - start) / GIB)
            ref = await store.stored(size_bytes)
            start = time.perf_counter()
            array = await ref
            values.append(size_bytes / (time.perf_counter() - start) / GIB)
            assert array.nbytes == size_bytes
            del array, ref
        return Samples(values[1:], references[1:])

    with bare_tls(size_bytes) as fill, cluster("a", "b") as (_, other):
        return art.run(main, address="auto")


def join_to_call(effort: Effort) -> Samples:
    """Return the times from the start of `actorrt node --join` until an actor there has answered, in ms."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            start = time.perf_counter()
            await asyncio.to_thread(second.start, f"--join={token}")
            counter = await _made(second)
            await counter.increment()
            values.append((time.perf_counter() - start) * 1e3)
            await asyncio.to_thread(second.end)
        return Samples(values)

    with cluster("a") as (first,):
        token = first.token()
        second = BenchNode(first.runtime.parent, "b")
        try:
            return art.run(main, address="auto")
        finally:
            second.end()


async def _made(node: BenchNode) -> Any:
    """Make an actor on a node that has just joined, as soon as the driver's node knows it."""
    while True:
        try:
            return await Counter.options(cpus=1, placement=node.node()).spawn()
        except art.PlacementError:
            await asyncio.sleep(_POLL_S)  # polling interval


def far_create_process(effort: Effort) -> Samples:
    """Return how long it takes to create an actor in a process of its own on another node, in ms."""

    async def main() -> Samples:
        where = Counter.options(cpus=1, placement=other.node())
        values = []
        for _ in range(effort.rounds_count + 1):
            start = time.perf_counter()
            counter = await where.spawn()
            values.append((time.perf_counter() - start) * 1e3)
            await counter.stop()
        return Samples(values[1:])

    with cluster("a", "b") as (_, other):
        return art.run(main, address="auto")


def killed_told(effort: Effort) -> Samples:
    """Return the times from SIGKILL of a node until a call to its actor has failed, in seconds."""
    return _losses(effort, signal.SIGKILL, _told)


def silent_told(effort: Effort) -> Samples:
    """Return the times from when a node no longer runs until a call to its actor has failed, in seconds."""
    return _losses(effort, signal.SIGSTOP, _told)


def silent_back(effort: Effort) -> Samples:
    """Return the times from when a node no longer runs until its actor answers on another one, in seconds."""
    return _losses(effort, signal.SIGSTOP, _back)


async def _told(counter: art.ActorRef[Counter], lose: Callable[[], None]) -> float:
    call = counter.wait_for_ever()
    start = time.perf_counter()
    lose()
    await art.wait([call])
    return time.perf_counter() - start


async def _back(counter: art.ActorRef[Counter], lose: Callable[[], None]) -> float:
    start = time.perf_counter()
    lose()
    while True:
        try:
            await counter.increment()
        except art.ActorUnavailableError:
            await asyncio.sleep(_POLL_S)  # polling interval
        else:
            return time.perf_counter() - start


def _losses(effort: Effort, how: signal.Signals, measure: Callable[..., Awaitable[float]]) -> Samples:
    """Lose one node of three repeatedly. Its actor fits on one of the others, the one without the control store."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            blocker = await Counter.options(**_ROOM, placement=other.node()).spawn()
            counter = await Counter.options(**_ROOM, restart="permanent", max_concurrency=2).spawn()
            await counter.increment()
            await blocker.stop()
            values.append(await measure(counter, lambda: lost.signalled(how)))
            await counter.stop()
            lost.signalled(signal.SIGCONT)
            await asyncio.to_thread(lost.end, signal.SIGKILL)
            await asyncio.to_thread(lost.start, _HAS_ROOM)
        return Samples(values)

    with cluster("a", "b", "c", options={"b": [_HAS_ROOM], "c": [_HAS_ROOM]}) as (_, other, lost):
        return art.run(main, address="auto")


_FLOOR: Final = "bare CURVE over TCP"
_LOSSES: Final = (Effort(20), Effort(1))

ROWS: Final = (
    Row(
        "far-ask",
        "ask between two nodes, p50, async code",
        "us",
        far_ask,
        Effort(8, 500, 5),
        Effort(3, 100),
        Target(1.3, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "far-ask-one-cpu",
        "the same, all threads on one CPU",
        "us",
        far_ask_on_one_cpu,
        Effort(8, 500, 5),
        Effort(3, 100),
        Target(1.3, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "far-ask-in-flight",
        "asks in flight together between two nodes, one caller, one actor",
        "/s",
        far_ask_in_flight,
        Effort(8, 10_000, 5),
        Effort(3, 2_000),
        Target(0.5, is_least=True, is_ratio=True),
        _FLOOR,
    ),
    Row(
        "far-pull",
        "get 256 MiB that an actor on another node put",
        "GiB/s",
        far_pull,
        Effort(8, 256 * MIB),
        Effort(2, 8 * MIB),
        Target(0.7, is_least=True, is_ratio=True),
        "bare TLS 1.3",
    ),
    Row("join", "join to first call, from the command's start", "ms", join_to_call, Effort(20), Effort(2), Target(500)),
    Row(
        "far-create-process",
        "create an actor in its own process on another node",
        "ms",
        far_create_process,
        Effort(20),
        Effort(3),
        Target(50),
    ),
    Row("killed-told", "node killed: calls fail", "s", killed_told, *_LOSSES, Target(1.0), timeout_s=400),
    Row("silent-told", "node silent: calls fail", "s", silent_told, *_LOSSES, Target(4.5), timeout_s=400),
    Row(
        "silent-back", "node silent: its actor answers elsewhere", "s", silent_back, *_LOSSES, Target(10), timeout_s=590
    ),
)
