"""Measures Ray 2.60, with those rows of `actorrt bench` that Ray has features for."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import psutil
import ray
from ray_node import run
from report import Row, p50, p50_async, rate, rounds, rounds_async, timed

MIB, GIB = 1 << 20, 1 << 30
BURST_COUNT = 1_000
INIT = """
import time, ray
start = time.perf_counter()
ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
print(time.perf_counter() - start)
"""


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.total = 0

    def increment(self) -> int:
        self.total += 1
        return self.total

    def pid(self) -> int:
        return os.getpid()


@ray.remote(num_cpus=0)
class Store:
    def array(self, size_bytes: int) -> np.ndarray:
        return np.ones(size_bytes, dtype=np.uint8)

    def size(self, array: np.ndarray) -> int:
        return array.nbytes


def ready_counter(**options: object) -> ray.actor.ActorHandle:
    counter = Counter.options(**options).remote() if options else Counter.remote()
    ray.get(counter.increment.remote())
    return counter


def ask(rounds_count: int, count: int) -> list[float]:
    """µs, from async code."""
    counter = ready_counter()
    return asyncio.run(rounds_async(rounds_count, lambda: p50_async(counter.increment.remote, count, 1e6)))


def ask_plain(rounds_count: int, count: int) -> list[float]:
    """µs, from plain code."""
    counter = ready_counter()
    return rounds(rounds_count, lambda: p50(lambda: ray.get(counter.increment.remote()), count, 1e6))


def ask_in_flight(rounds_count: int, count: int) -> list[float]:
    """Per second."""
    counter = ready_counter()

    def burst() -> None:
        ray.get([counter.increment.remote() for _ in range(BURST_COUNT)])

    return rounds(rounds_count, lambda: BURST_COUNT * rate(burst, count // BURST_COUNT))


def create_process(rounds_count: int, _: int) -> list[float]:
    """ms, until the first call is answered: Ray's constructors return before there is a process."""
    took = []
    for _ in range(rounds_count + 1):
        start = time.perf_counter()
        counter = ready_counter()
        took.append((time.perf_counter() - start) * 1e3)
        ray.kill(counter)
    return took[1:]


def process_memory(rounds_count: int, _: int) -> list[float]:
    """MB that an actor's process shares with no other."""
    counters = [ready_counter() for _ in range(rounds_count)]
    return [psutil.Process(ray.get(counter.pid.remote())).memory_full_info().uss / 1e6 for counter in counters]


def back_after_kill(rounds_count: int, _: int) -> list[float]:
    """ms, from SIGKILL until the same handle is answered."""
    counter = ready_counter(max_restarts=-1, max_task_retries=-1)
    took = []
    for _ in range(rounds_count):
        killed_pid = ray.get(counter.pid.remote())
        start = time.perf_counter()
        os.kill(killed_pid, signal.SIGKILL)
        while ray.get(counter.pid.remote()) == killed_pid:
            pass
        took.append((time.perf_counter() - start) * 1e3)
    return took


def put(size_bytes: int, rounds_count: int, count: int) -> list[float]:
    """GiB/s."""
    source = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)

    def put_and_drop() -> None:
        ray.put(source)

    return rounds(rounds_count, lambda: size_bytes / GIB * rate(put_and_drop, count))


def get(repeats_count: int, rounds_count: int, size_bytes: int) -> list[float]:
    """µs, of an array that another process made."""
    store = Store.remote()
    took = []
    for _ in range(rounds_count + 1):
        ref = store.array.remote(size_bytes)
        ray.wait([ref], fetch_local=False)
        held = [ray.get(ref) for _ in range(repeats_count)]
        start = time.perf_counter()
        held.append(ray.get(ref))
        took.append((time.perf_counter() - start) * 1e6)
    return took[1:]


def by_value(size_bytes: int, rounds_count: int, _: int) -> list[float]:
    """ms."""
    store = Store.remote()
    array = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)
    return rounds(rounds_count, lambda: timed(lambda: ray.get(store.size.remote(array))) * 1e3)


def wait(rounds_count: int, count: int) -> list[float]:
    """Refs a second, all ready."""
    refs = [ray.put(number) for number in range(count)]
    return rounds(rounds_count, lambda: count / timed(lambda: ray.wait(refs, num_returns=count)))


def as_completed(rounds_count: int, count: int) -> list[float]:
    """Refs a second, one at a time: the loop that Ray's documentation gives."""
    refs = [ray.put(number) for number in range(count)]

    def take_all() -> None:
        left = list(refs)
        while left:
            _, left = ray.wait(left)

    return rounds(rounds_count, lambda: count / timed(take_all))


def node_up(rounds_count: int, _: int) -> list[float]:
    """Seconds, in a process of its own."""
    command = [sys.executable, "-c", INIT]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(rounds_count)]
    return [float(output.splitlines()[-1]) for output in outputs]


def sized(function: Callable[..., list[float]], size: int) -> Callable[[int, int], list[float]]:
    return functools.partial(function, size)


ROWS = [
    Row("ask", "us", ask, (20, 200), (2, 50)),
    Row("ask-plain", "us", ask_plain, (20, 200), (2, 50)),
    Row("ask-in-flight", "/s", ask_in_flight, (20, 2_000), (2, 1_000)),
    Row("create-process", "ms", create_process, (8, 1), (1, 1)),
    Row("process-memory", "MB", process_memory, (4, 1), (1, 1)),
    Row("back-after-kill", "ms", back_after_kill, (8, 1), (1, 1)),
    Row("put-1mib", "GiB/s", sized(put, MIB), (15, 50), (2, 5)),
    Row("put-10mib", "GiB/s", sized(put, 10 * MIB), (15, 10), (2, 2)),
    Row("put-100mib", "GiB/s", sized(put, 100 * MIB), (10, 3), (1, 1)),
    Row("get-first", "us", sized(get, 0), (30, 10 * MIB), (2, 10 * MIB)),
    Row("get-again", "us", sized(get, 1), (30, 10 * MIB), (2, 10 * MIB)),
    Row("by-value-1mib", "ms", sized(by_value, MIB), (50, 1), (2, 1)),
    Row("by-value-10mib", "ms", sized(by_value, 10 * MIB), (30, 1), (2, 1)),
    *(
        Row(f"{form}-{size}mib", "ms", sized(by_value, size * MIB), (50, 1), (2, 1))  # against its call by value
        for form in ("stored", "by-ref")
        for size in (1, 10)
    ),
    Row("wait", "refs/s", wait, (10, 10_000), (1, 1_000)),
    Row("as-completed", "refs/s", as_completed, (5, 1_000), (1, 1_000)),
]
NODE_UP = Row("node-up", "s", node_up, (5, 1), (1, 1))


if __name__ == "__main__":
    run(__doc__ or "", NODE_UP, ROWS)
