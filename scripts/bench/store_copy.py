#!/usr/bin/env python3
"""Times a put and a get beside a memcpy: `python scripts/bench/store_copy.py [--mib 10 100 400]`.

The store runs in a process of its own, as on a node. `put, dropped` puts repeatedly and drops each ref, so that warm
memory is reused. `put, held` keeps every object, and computes for `--pause-s` between two puts, as a process with other
work does. During that time the store prepares memory for the next object. The memcpy is NumPy's, into pages that were
written before.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import uvloop

from actorrt.config import GIB, MIB
from actorrt.ids import IdSource
from actorrt.machine.clock import MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.server.server import StoreServer

REPEATS_COUNT = 9


def serve(path: str, pipe: Connection) -> None:
    """Run a store until the other end of the pipe closes."""

    async def main() -> None:
        server = StoreServer(path, 8 * GIB, MonotonicClock())
        await server.start()
        pipe.send("ready")
        await asyncio.get_running_loop().run_in_executor(None, pipe.poll, None)
        await server.close()

    uvloop.run(main())


def times_s(action: Callable[[], object], repeats_count: int = REPEATS_COUNT) -> list[float]:
    """Return the duration of each repetition, in order."""
    taken = []
    for _ in range(repeats_count):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return taken


def rate(size_bytes: int, seconds: float) -> str:
    return f"{size_bytes / seconds / GIB:6.2f} GiB/s"


def compute(seconds: float) -> None:
    """Keep this thread busy, as users' code does."""
    work = np.ones(1000)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        work.sum()


def held_put_s(client: StoreClient, source: np.ndarray, pause_s: float) -> float:
    """Return the median duration of puts whose objects are all kept, each after other work."""
    held = [client.put(source)]
    taken = []
    for _ in range(3):
        compute(pause_s)
        taken += times_s(lambda: held.append(client.put(source)), 1)
    return statistics.median(taken)


def measure(client: StoreClient, mib: int, pause_s: float) -> None:
    """Print one row for a size."""
    size_bytes = mib * MIB
    source = np.ones(size_bytes, np.uint8)
    target = np.ones(size_bytes, np.uint8)
    memcpy_s = statistics.median(times_s(lambda: np.copyto(target, source)))
    puts_s = times_s(lambda: client.put(source))
    held_s = held_put_s(client, source, pause_s)
    held = [client.put(source)]
    get_first_s = statistics.median(times_s(held[0].get, 1))
    get_again_s = statistics.median(times_s(held[0].get, 100))
    warm_s = statistics.median(puts_s[1:])
    print(
        f"{mib:5d} MiB  memcpy {rate(size_bytes, memcpy_s)}  put first {rate(size_bytes, puts_s[0])}"
        f"  put, dropped {rate(size_bytes, warm_s)} ({memcpy_s / warm_s:.2f} x)"
        f"  put, held {rate(size_bytes, held_s)} ({memcpy_s / held_s:.2f} x)"
        f"  get first {get_first_s * 1e6:5.0f} us  again {get_again_s * 1e6:4.1f} us"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, nargs="+", default=[1, 10, 100, 400])
    parser.add_argument("--pause-s", type=float, default=0.5, help="seconds of work between two puts that are held")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "store")
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(path, theirs))
        server.start()
        ours.recv()
        client = StoreClient.connect(path, IdSource().peer(), Surroundings.of_process())
        with listening(client):
            report(client, options)
        client.close()
        ours.send("end")
        server.join()


@contextmanager
def listening(client: StoreClient) -> Iterator[None]:
    """Run a loop in a thread that receives the store's events, as in a driver."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def attach() -> None:
        client.attach(loop)

    asyncio.run_coroutine_threadsafe(attach(), loop).result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(client.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def report(client: StoreClient, options: argparse.Namespace) -> None:
    """Print every row."""
    for mib in options.mib:
        measure(client, mib, options.pause_s)
    small_s = [statistics.median(times_s(lambda: client.put(1).get(), 2000)) for _ in range(3)]
    print(f"put and get of a small value: {min(small_s) * 1e6:.0f} us, {1 / min(small_s):,.0f} a second")


if __name__ == "__main__":
    main()
