"""The rows about the object store: small values, refs in asks, published values, other nodes, the disk."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Row, Samples, Target, UnavailableError
from actorrt.bench.rows.values import put
from actorrt.ids import PeerAddress, PeerId
from actorrt.node.daemon.node_directory import NodeDescriptor, find_nodes
from actorrt.node.inspect.inquiry import inquire
from actorrt.protocol.objects import PullObject, ReleaseObject
from actorrt.store.memory.disk import spill_directory

MIB, GIB = 1 << 20, 1 << 30

_PAUSE_S: Final = 0.002
_NODE_START_S: Final = 20.0
_SPILLING_BYTES: Final = 256 * MIB


class Maker(art.Actor):
    """Puts small values, and publishes."""

    def make(self, count: int) -> list[art.ObjectRef[dict[str, int]]]:
        """Put `count` small values, and return their refs."""
        return [art.put({"number": number}) for number in range(count)]

    async def publish(self, count: int, size_bytes: int) -> None:
        """Publish the time of each publication, together with a payload."""
        import numpy as np

        padding = np.zeros(size_bytes, np.uint8)
        for _ in range(count):
            await asyncio.sleep(_PAUSE_S)  # so that the reader waits and does not lag behind
            art.publish("now", (time.monotonic(), padding))

    def nothing(self, _: Any) -> None:
        """Take a value and return nothing."""


def small_inside(effort: Effort) -> Samples:
    """Return how many small values are put, read and dropped in one process, per second."""
    art.init()
    try:
        Maker.options(cpus=1).spawn().result()  # when this returns, the whole node has started
        value = {"step": 1, "reward": 0.5}
        values = []
        for _ in range(effort.rounds_count + 1):
            start = time.perf_counter()
            for _ in range(effort.operations_count):
                art.put(value).get()
            values.append(effort.operations_count / (time.perf_counter() - start))
        return Samples(values[1:])
    finally:
        art.shutdown()


def small_across(effort: Effort) -> Samples:
    """Return how many small values are put in one process and read in another, per second."""

    async def main() -> Samples:
        maker = await Maker.options(cpus=1).spawn()
        values = []
        for _ in range(effort.rounds_count + 1):
            start = time.perf_counter()
            refs = await maker.make(effort.operations_count)
            read = [ref.get() for ref in refs]
            values.append(len(read) / (time.perf_counter() - start))
        return Samples(values[1:])

    return art.run(main)


def passed_on(effort: Effort) -> Samples:
    """Return how long the second and later asks with a ref to 100 MiB take, in µs, beside asks with a number."""

    async def main() -> Samples:
        import numpy as np

        maker = await Maker.options(cpus=1).spawn()
        ref = art.put(np.ones(100 * MIB, np.uint8))
        values: list[float] = []
        references: list[float] = []
        for _ in range(effort.rounds_count + 10):
            for argument, into in ((1, references), (ref, values)):
                await maker.nothing(argument)
                start = time.perf_counter()
                await maker.nothing(argument)
                into.append((time.perf_counter() - start) * 1e6)
        return Samples(values[10:], references[10:])

    return art.run(main)


def published(size_bytes: int) -> Callable[[Effort], Samples]:
    """Return a function that measures the time from `publish` to the end of `latest` in another process, in µs."""
    return functools.partial(_published, size_bytes)


def _published(size_bytes: int, effort: Effort) -> Samples:
    async def main() -> Samples:
        maker = await Maker.options(cpus=1).spawn()
        publishing = maker.publish(effort.rounds_count, size_bytes)
        values: list[float] = []
        version = 0
        while version < effort.rounds_count:
            latest = await art.latest("now", newer_than=version)
            values.append((time.monotonic() - latest.value[0]) * 1e6)
            version = latest.version
        await publishing
        return Samples(values[1:])

    return art.run(main)


@contextmanager
def _node(store_bytes: int) -> Iterator[NodeDescriptor]:
    """Run a node in processes of its own."""
    command = [sys.executable, "-m", "actorrt.node", "--cpus=1", f"--store-bytes={store_bytes}"]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + _NODE_START_S
            while not (found := [node for node in find_nodes() if node.pid == process.pid]):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UnavailableError("the second node did not start: run `actorrt node` to see its error")
                time.sleep(_PAUSE_S)  # polling interval, since a node that has not started can't notify us
            yield found[0]
        finally:
            process.terminate()


def pulled(effort: Effort) -> Samples:
    """Return how fast a node's store fetches an object from another node on the same machine, in GiB/s."""
    size_bytes = effort.operations_count

    async def main(origin: NodeDescriptor, reader: NodeDescriptor) -> Samples:
        import numpy as np

        source = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)
        values = []
        for _ in range(effort.rounds_count + 1):
            ref = art.put(source)
            at = PeerAddress(PeerId(bytes.fromhex(origin.peer)), origin.address)
            start = time.perf_counter()
            await inquire(reader, PullObject(object=ref.id, origin=at))
            values.append(size_bytes / (time.perf_counter() - start) / GIB)
            await inquire(reader, ReleaseObject(object=ref.id))
        return Samples(values[1:])

    with _node(4 * size_bytes) as origin, _node(4 * size_bytes) as reader:
        return art.run(main, origin, reader, address=origin.url)


def spilled(effort: Effort) -> Samples:
    """Return how fast values are put while the store spills, in GiB/s, beside writing as much to a file."""
    import numpy as np

    source = np.random.default_rng(0).integers(0, 255, effort.operations_count, dtype=np.uint8)
    held: list[Any] = []
    values: list[float] = []
    references: list[float] = []
    with _full_store(source, held), tempfile.TemporaryFile(dir=spill_directory(), buffering=0) as file:
        for number in range(effort.rounds_count):
            start = time.perf_counter()
            os.posix_fallocate(file.fileno(), number * source.nbytes, source.nbytes)
            os.pwrite(file.fileno(), source.data, number * source.nbytes)
            references.append(source.nbytes / (time.perf_counter() - start) / GIB)
            start = time.perf_counter()
            held.append(art.put(source, timeout_s=60))
            values.append(source.nbytes / (time.perf_counter() - start) / GIB)
    return Samples(values, references)


def restored(effort: Effort) -> Samples:
    """Return how fast spilled values are read the first time, in GiB/s, beside reading a file; neither is cached."""
    import numpy as np

    source = np.random.default_rng(0).integers(0, 255, effort.operations_count, dtype=np.uint8)
    held: list[Any] = []
    values: list[float] = []
    references: list[float] = []
    into = np.empty_like(source)
    with _full_store(source, held), tempfile.TemporaryFile(dir=spill_directory(), buffering=0) as file:
        for _ in range(effort.rounds_count):
            held.append(art.put(source, timeout_s=60))
        os.pwrite(file.fileno(), source.data, 0)
        for pid in (os.getpid(), *own_nodes()):
            _forget_cached(pid)
        for ref in held[: effort.rounds_count]:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            start = time.perf_counter()
            os.preadv(file.fileno(), [into.data], 0)
            references.append(source.nbytes / (time.perf_counter() - start) / GIB)
            start = time.perf_counter()
            np.copyto(into, ref.get())
            values.append(source.nbytes / (time.perf_counter() - start) / GIB)
    return Samples(values, references)


def own_nodes() -> Iterator[int]:
    """Yield the processes of the nodes that this process embeds."""
    for node in find_nodes():
        parent = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()[1]
        if node.is_embedded and parent == str(os.getpid()):
            yield node.pid


def _forget_cached(pid: int) -> None:
    """Drop the unnamed files that a process has open from the kernel's page cache."""
    for entry in os.scandir(f"/proc/{pid}/fd"):
        if os.readlink(entry.path).startswith(spill_directory() + "/#"):
            fd = os.open(entry.path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


@contextmanager
def _full_store(source: Any, held: list[Any]) -> Iterator[None]:
    """Start a node whose store is full of objects that `held` keeps."""
    art.init(store_bytes=_SPILLING_BYTES)
    try:
        while art.store_stats()["spills_count"] == 0:
            held.append(art.put(source, timeout_s=60))
        yield
    finally:
        held.clear()
        art.shutdown()


_LEAST = functools.partial(Target, is_least=True)
_DISK: Final = "the disk itself"

ROWS: Final = (
    Row(
        "put-400mib",
        "put 400 MiB",
        "GiB/s",
        put(400 * MIB),
        Effort(6, 2),
        Effort(2, 1),
        _LEAST(0.7, is_ratio=True),
        "memcpy, warm",
    ),
    Row(
        "small-inside",
        "put and get small values, one process",
        "/s",
        small_inside,
        Effort(10, 10_000, 3),
        Effort(3, 1_000),
        _LEAST(100_000),
    ),
    Row(
        "small-across",
        "put small values, get them in another process",
        "/s",
        small_across,
        Effort(10, 5_000, 3),
        Effort(3, 200),
        _LEAST(30_000),
    ),
    Row(
        "pass-100mib",
        "ask with a ref to 100 MiB, from the second time on",
        "us",
        passed_on,
        Effort(300, 1, 3),
        Effort(10),
        Target(1.5, is_ratio=True),
        "an ask with a number",
    ),
    Row(
        "publish",
        "publish to latest in another process",
        "us",
        published(64),
        Effort(300, 1, 3),
        Effort(10),
        Target(200),
    ),
    Row("publish-1mib", "the same, of 1 MiB", "us", published(MIB), Effort(200), Effort(10)),
    Row(
        "pull",
        "pull 256 MiB from another node on this machine",
        "GiB/s",
        pulled,
        Effort(8, 256 * MIB),
        Effort(2, 8 * MIB),
        _LEAST(1.0),
    ),
    Row(
        "spill",
        "put 16 MiB where memory is full",
        "GiB/s",
        spilled,
        Effort(30, 16 * MIB),
        Effort(3, 16 * MIB),
        _LEAST(0.5, is_ratio=True),
        _DISK,
    ),
    Row(
        "restore",
        "get 16 MiB that lie on disk",
        "GiB/s",
        restored,
        Effort(30, 16 * MIB),
        Effort(3, 16 * MIB),
        _LEAST(0.5, is_ratio=True),
        _DISK,
    ),
)
