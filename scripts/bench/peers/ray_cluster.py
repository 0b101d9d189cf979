"""Measures Ray 2.60, with two local nodes of `ray.cluster_utils`: those rows of `actorrt bench cluster` that it has."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import ray
from ray.cluster_utils import Cluster
from report import Row, arguments, chosen, measure, p50_async, rate, rounds, rounds_async

MIB, GIB = 1 << 20, 1 << 30
BURST_COUNT = 1_000
CPUS_COUNT = 4
OTHER = {"other": 0.001}


@ray.remote(num_cpus=0, resources=OTHER)
class Counter:
    def __init__(self) -> None:
        self.total = 0

    def increment(self) -> int:
        self.total += 1
        return self.total


@ray.remote(num_cpus=0, resources=OTHER)
class Store:
    def stored(self, size_bytes: int) -> list[ray.ObjectRef]:
        return [ray.put(np.ones(size_bytes, dtype=np.uint8))]


def ready_counter() -> ray.actor.ActorHandle:
    counter = Counter.remote()
    ray.get(counter.increment.remote())
    return counter


def far_ask(rounds_count: int, count: int) -> list[float]:
    """µs, from async code."""
    counter = ready_counter()
    return asyncio.run(rounds_async(rounds_count, lambda: p50_async(counter.increment.remote, count, 1e6)))


def far_ask_in_flight(rounds_count: int, count: int) -> list[float]:
    """Per second."""
    counter = ready_counter()

    def burst() -> None:
        ray.get([counter.increment.remote() for _ in range(BURST_COUNT)])

    return rounds(rounds_count, lambda: BURST_COUNT * rate(burst, count // BURST_COUNT))


def far_pull(rounds_count: int, size_bytes: int) -> list[float]:
    """GiB/s."""
    store = Store.remote()

    def pull() -> float:
        (ref,) = ray.get(store.stored.remote(size_bytes))
        start = time.perf_counter()
        array = ray.get(ref)
        took_s = time.perf_counter() - start
        return array.nbytes / took_s / GIB

    return rounds(rounds_count, pull)


def far_create_process(rounds_count: int, _: int) -> list[float]:
    """ms, until the first call is answered: Ray's constructors return before there is a process."""
    took = []
    for _ in range(rounds_count + 1):
        start = time.perf_counter()
        counter = ready_counter()
        took.append((time.perf_counter() - start) * 1e3)
        ray.kill(counter)
    return took[1:]


ROWS = (
    Row("far-ask", "us", far_ask, (8, 500), (3, 100)),
    Row("far-ask-in-flight", "/s", far_ask_in_flight, (8, 5_000), (3, 1_000)),
    Row("far-pull", "GiB/s", far_pull, (8, 256 * MIB), (2, 8 * MIB)),
    Row("far-create-process", "ms", far_create_process, (10, 1), (2, 1)),
)


def main() -> None:
    options = arguments(__doc__ or "")
    rows = chosen(ROWS, options)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS_COUNT, "include_dashboard": False})
    cluster.add_node(num_cpus=CPUS_COUNT, resources={"other": 1})
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        measure(rows, f"ray {ray.__version__}", options)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
