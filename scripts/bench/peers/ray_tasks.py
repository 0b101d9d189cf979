"""Measures the tasks of Ray 2.60, with those rows of `actorrt bench tasks` that Ray has features for."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque

import ray
import task_bodies as bodies
from ray_node import run, start
from report import Row, p50_async, rounds, rounds_async, timed
from task_bodies import ARRAY_BYTES, IN_FLIGHT_COUNT, LAYER_COUNT, WORKER_COUNT

nothing = ray.remote(bodies.nothing)
sum_of = ray.remote(bodies.sum_of)
ones = ray.remote(bodies.ones)
size = ray.remote(bodies.size)
spin = ray.remote(bodies.spin)
publish_and_wait = ray.remote(bodies.publish_and_wait)


@ray.remote(num_cpus=0)
class Counter:
    def increment(self) -> int:
        return 1


@ray.remote
def fibonacci(number: int) -> int:
    if number < 2:
        return number
    return sum(ray.get([fibonacci.remote(number - 2), fibonacci.remote(number - 1)]))


def one_at_a_time(rounds_count: int, count: int) -> list[float]:
    """µs, from async code."""
    return asyncio.run(rounds_async(rounds_count, lambda: p50_async(nothing.remote, count, 1e6)))


def cold(rounds_count: int, _: int) -> list[float]:
    """ms; each with a node of its own, which has made a process for an actor."""
    took = []
    for _ in range(rounds_count):
        start()
        ray.get(Counter.remote().increment.remote())
        took.append(timed(lambda: ray.get(nothing.remote())) * 1e3)
        ray.shutdown()
    return took


def in_flight(rounds_count: int, count: int) -> list[float]:
    """Per second, from async code."""

    async def one_round() -> float:
        begin = time.perf_counter()
        pending: deque[ray.ObjectRef] = deque()
        for number in range(count):
            pending.append(nothing.remote(number))
            if len(pending) >= IN_FLIGHT_COUNT:
                await pending.popleft()
        for ref in pending:
            await ref
        return count / (time.perf_counter() - begin)

    return asyncio.run(rounds_async(rounds_count, one_round))


def in_flight_plain(rounds_count: int, count: int) -> list[float]:
    """Per second."""

    def run_all() -> None:
        pending: deque[ray.ObjectRef] = deque()
        for number in range(count):
            pending.append(nothing.remote(number))
            if len(pending) >= IN_FLIGHT_COUNT:
                ray.get(pending.popleft())
        ray.get(list(pending))

    return rounds(rounds_count, lambda: count / timed(run_all))


def queued(rounds_count: int, count: int) -> list[float]:
    """Per second: all are submitted at once."""
    return rounds(rounds_count, lambda: count / timed(lambda: ray.get([nothing.remote(n) for n in range(count)])))


def queued_bytes(_: int, count: int) -> list[float]:
    """Bytes of the driver for each task that waits for another."""
    ray.get(nothing.remote())
    gate = spin.remote(5.0)
    before = bodies.resident_bytes()
    refs = [nothing.remote(gate) for _ in range(count)]
    taken = (bodies.resident_bytes() - before) / count
    ray.get(refs)
    return [taken]


def many_arguments(rounds_count: int, count: int) -> list[float]:
    """ms, of one task whose many refs are there."""
    refs = [nothing.remote(number) for number in range(count)]
    ray.get(refs)
    return rounds(rounds_count, lambda: timed(lambda: ray.get(sum_of.remote(*refs))) * 1e3)


def edges(rounds_count: int, count: int) -> list[float]:
    """Per second: layers of 500 tasks, each of which takes all results of the layer before."""

    def run_all() -> None:
        layer: list[object] = [0] * LAYER_COUNT
        for _ in range(count):
            layer = [sum_of.remote(*layer) for _ in range(LAYER_COUNT)]
        ray.get(layer)

    return rounds(rounds_count, lambda: (count - 1) * LAYER_COUNT**2 / timed(run_all))


def chain(rounds_count: int, count: int) -> list[float]:
    """µs a link; the chain is submitted ahead."""

    def run_all() -> None:
        ref = nothing.remote(0)
        for _ in range(count - 1):
            ref = nothing.remote(ref)
        ray.get(ref)

    return rounds(rounds_count, lambda: timed(run_all) * 1e6 / count)


def nested(rounds_count: int, number: int) -> list[float]:
    """Tasks a second. A number far smaller than 20: Ray has a process for each task that waits."""
    count = bodies.calls_of_fibonacci(number)
    return rounds(rounds_count, lambda: count / timed(lambda: ray.get(fibonacci.remote(number))))


def arrays(rounds_count: int, count: int) -> list[float]:
    """Tasks a second: one makes an array of 1 MiB, and a second task takes it."""

    def run_all() -> None:
        pending: deque[ray.ObjectRef] = deque()
        for _ in range(count // 2):
            pending.append(size.remote(ones.remote()))
            if len(pending) >= 2 * WORKER_COUNT:
                assert ray.get(pending.popleft()) == ARRAY_BYTES
        ray.get(list(pending))

    return rounds(rounds_count, lambda: count / timed(run_all))


def uneven(rounds_count: int, count: int) -> list[float]:
    """Seconds."""
    durations = bodies.uneven_durations(count)
    return rounds(rounds_count, lambda: timed(lambda: ray.get([spin.remote(seconds) for seconds in durations])))


def half_efficiency(rounds_count: int, count: int) -> list[float]:
    """µs."""

    def one_round() -> float:
        search = bodies.HalfEfficiency(count, most_s=0.02)
        while not search.is_found:
            seconds = search.trial_s
            search.took(timed(lambda: ray.get([spin.remote(seconds) for _ in range(count)])))  # noqa: B023
        return search.trial_s * 1e6

    return rounds(rounds_count, one_round)


def killed(rounds_count: int, _: int) -> list[float]:
    """ms, from a SIGKILL of a worker that had begun a task until that task and 16 more are done."""
    ray.get([nothing.remote() for _ in range(16)])
    took = []
    for _ in range(rounds_count):
        with bodies.pipe() as path:
            refs = [publish_and_wait.remote(path), *(nothing.remote(1) for _ in range(16))]
            pid = bodies.published_pid(path)
            begin = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            ray.get(refs)
            took.append((time.perf_counter() - begin) * 1e3)
    return took


def cancelled(rounds_count: int, count: int) -> list[float]:
    """Seconds, until every task that waits for another has failed."""
    took = []
    for _ in range(rounds_count):
        gate = spin.remote(60.0)
        refs = [nothing.remote(gate) for _ in range(count)]
        took.append(timed(lambda: cancel_all(refs)))  # noqa: B023
        ray.cancel(gate, force=True)
    return took


def cancel_all(refs: list[ray.ObjectRef]) -> None:
    for ref in refs:
        ray.cancel(ref)
    ray.wait(refs, num_returns=len(refs))


ROWS = [
    Row("task-one", "us", one_at_a_time, (8, 500), (2, 50)),
    Row("task-in-flight", "/s", in_flight, (8, 5_000), (2, 2_000)),
    Row("task-in-flight-plain", "/s", in_flight_plain, (8, 5_000), (2, 2_000)),
    Row("task-queued", "/s", queued, (1, 20_000), (1, 2_000)),
    Row("task-queued-bytes", "B", queued_bytes, (1, 20_000), (1, 2_000)),
    Row("task-many-args", "ms", many_arguments, (5, 10_000), (1, 500)),
    Row("task-edges", "/s", edges, (2, 3), (1, 2)),
    Row("task-chain", "us", chain, (5, 1_000), (1, 50)),
    Row("task-nested", "/s", nested, (3, 8), (1, 5)),
    Row("task-arrays", "/s", arrays, (5, 400), (1, 40)),
    Row("task-uneven", "s", uneven, (1, 5_000), (1, 100)),
    Row("task-metg", "us", half_efficiency, (2, 500), (1, 50)),
    Row("task-kill", "ms", killed, (10, 1), (1, 1)),
    Row("task-cancel", "s", cancelled, (1, 100_000), (1, 500)),
]
COLD = Row("task-cold", "ms", cold, (5, 1), (1, 1))


if __name__ == "__main__":
    run(__doc__ or "", COLD, ROWS)
