"""Measures the tasks of Dask's `distributed`, with those rows of `actorrt bench tasks` that it has features for.

`task-cold` is not among them: Dask starts its workers with the cluster, before there is a task.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable

import distributed
import task_bodies as bodies
from distributed import Client, Future, LocalCluster, get_client
from report import Row, arguments, chosen, measure, rounds, timed
from task_bodies import ARRAY_BYTES, IN_FLIGHT_COUNT, LAYER_COUNT, WORKER_COUNT

CLUSTER = {"n_workers": WORKER_COUNT, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}

AsyncRow = Callable[[Client, int, int], Awaitable[list[float]]]


def on_cluster(row: AsyncRow) -> Callable[[int, int], list[float]]:
    """Give the row a cluster of its own, with a client on the loop of the row."""

    async def main(rounds_count: int, count: int) -> list[float]:
        async with (
            LocalCluster(asynchronous=True, **CLUSTER) as cluster,
            Client(cluster, asynchronous=True, set_as_default=False) as client,
        ):
            await client.submit(bodies.nothing, pure=False)
            return await row(client, rounds_count, count)

    return lambda rounds_count, count: asyncio.run(main(rounds_count, count))


async def rounds_of(count: int, sample: Callable[[], Awaitable[float]]) -> list[float]:
    """Return a sample for each round, after one warm-up."""
    await sample()
    return [await sample() for _ in range(count)]


async def elapsed(action: Awaitable[object]) -> float:
    """Return how many seconds it takes."""
    begin = time.perf_counter()
    await action
    return time.perf_counter() - begin


async def one_at_a_time(client: Client, rounds_count: int, count: int) -> list[float]:
    """µs, from async code."""

    async def one_round() -> float:
        took = [await elapsed(_value(client.submit(bodies.nothing, pure=False))) for _ in range(count)]
        return statistics.median(took) * 1e6

    return await rounds_of(rounds_count, one_round)


async def _value(future: Future) -> object:
    return await future


async def in_flight(client: Client, rounds_count: int, count: int) -> list[float]:
    """Per second, from async code."""

    async def run_all() -> None:
        pending: deque[Future] = deque()
        for number in range(count):
            pending.append(client.submit(bodies.nothing, number, pure=False))
            if len(pending) >= IN_FLIGHT_COUNT:
                await pending.popleft()
        await client.gather(list(pending))

    async def one_round() -> float:
        return count / await elapsed(run_all())

    return await rounds_of(rounds_count, one_round)


def in_flight_plain(rounds_count: int, count: int) -> list[float]:
    """Per second, from a plain thread."""
    with LocalCluster(**CLUSTER) as cluster, Client(cluster) as client:

        def run_all() -> None:
            pending: deque[Future] = deque()
            for number in range(count):
                pending.append(client.submit(bodies.nothing, number, pure=False))
                if len(pending) >= IN_FLIGHT_COUNT:
                    pending.popleft().result()
            client.gather(list(pending))

        return rounds(rounds_count, lambda: count / timed(run_all))


async def queued(client: Client, rounds_count: int, count: int) -> list[float]:
    """Per second: all are submitted at once."""

    async def one_round() -> float:
        return count / await elapsed(client.gather(client.map(bodies.nothing, range(count), pure=False)))

    return await rounds_of(rounds_count, one_round)


async def queued_bytes(client: Client, _: int, count: int) -> list[float]:
    """Bytes of the client's process for each task that waits for another; the scheduler runs in that process."""
    gate = client.submit(bodies.spin, 5.0, pure=False)
    before = bodies.resident_bytes()
    futures = client.map(bodies.nothing, [gate] * count, pure=False)
    while len(client.cluster.scheduler.tasks) <= count:  # noqa: ASYNC110 - the scheduler has no event for it
        await asyncio.sleep(0.01)
    taken = (bodies.resident_bytes() - before) / count
    await client.gather(futures)
    return [taken]


async def many_arguments(client: Client, rounds_count: int, count: int) -> list[float]:
    """ms, of one task with many futures whose results are there."""
    futures = client.map(bodies.nothing, range(count), pure=False)
    await client.gather(futures)

    async def one_round() -> float:
        return await elapsed(_value(client.submit(bodies.sum_of, *futures, pure=False))) * 1e3

    return await rounds_of(rounds_count, one_round)


async def edges(client: Client, rounds_count: int, count: int) -> list[float]:
    """Per second: layers of 500 tasks, each of which takes all results of the layer before."""

    async def run_all() -> None:
        layer: list[object] = [0] * LAYER_COUNT
        for _ in range(count):
            layer = [client.submit(bodies.sum_of, *layer, pure=False) for _ in range(LAYER_COUNT)]
        await client.gather(layer)

    async def one_round() -> float:
        return (count - 1) * LAYER_COUNT**2 / await elapsed(run_all())

    return await rounds_of(rounds_count, one_round)


async def chain(client: Client, rounds_count: int, count: int) -> list[float]:
    """µs a link; the chain is submitted ahead."""

    async def run_all() -> None:
        future = client.submit(bodies.nothing, 0, pure=False)
        for _ in range(count - 1):
            future = client.submit(bodies.nothing, future, pure=False)
        await future

    async def one_round() -> float:
        return await elapsed(run_all()) * 1e6 / count

    return await rounds_of(rounds_count, one_round)


def fibonacci(number: int) -> int:
    if number < 2:
        return number
    client = get_client()
    distributed.secede()  # a worker of one thread runs other tasks while this one waits
    futures = [client.submit(fibonacci, number - less, pure=False) for less in (2, 1)]
    total = sum(client.gather(futures))
    distributed.rejoin()
    return total


async def nested(client: Client, rounds_count: int, number: int) -> list[float]:
    """Tasks a second. A number smaller than 20: Dask has a thread for each task that waits."""

    async def one_round() -> float:
        took_s = await elapsed(_value(client.submit(fibonacci, number, pure=False)))
        return bodies.calls_of_fibonacci(number) / took_s

    return await rounds_of(rounds_count, one_round)


async def arrays(client: Client, rounds_count: int, count: int) -> list[float]:
    """Tasks a second: one makes an array of 1 MiB, and a second task takes it."""

    async def run_all() -> None:
        pending: deque[Future] = deque()
        for _ in range(count // 2):
            pending.append(client.submit(bodies.size, client.submit(bodies.ones, pure=False), pure=False))
            if len(pending) >= 2 * WORKER_COUNT:
                assert await pending.popleft() == ARRAY_BYTES
        await client.gather(list(pending))

    async def one_round() -> float:
        return count / await elapsed(run_all())

    return await rounds_of(rounds_count, one_round)


async def uneven(client: Client, rounds_count: int, count: int) -> list[float]:
    """Seconds."""
    durations = bodies.uneven_durations(count)

    async def one_round() -> float:
        return await elapsed(client.gather(client.map(bodies.spin, durations, pure=False)))

    return await rounds_of(rounds_count, one_round)


async def half_efficiency(client: Client, rounds_count: int, count: int) -> list[float]:
    """µs."""

    async def one_round() -> float:
        search = bodies.HalfEfficiency(count, most_s=0.02)
        while not search.is_found:
            tasks = client.map(bodies.spin, [search.trial_s] * count, pure=False)
            search.took(await elapsed(client.gather(tasks)))
        return search.trial_s * 1e6

    return await rounds_of(rounds_count, one_round)


async def killed(client: Client, rounds_count: int, _: int) -> list[float]:
    """ms, from a SIGKILL of a worker that had begun a task until that task and 16 more are done."""
    took = []
    for _ in range(rounds_count):
        await client.wait_for_workers(WORKER_COUNT)
        with bodies.pipe() as path:
            futures = [client.submit(bodies.publish_and_wait, path, pure=False)]
            futures += client.map(bodies.nothing, [1] * 16, pure=False)
            pid = await asyncio.to_thread(bodies.published_pid, path)
            begin = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            await client.gather(futures)
            took.append((time.perf_counter() - begin) * 1e3)
    return took


async def cancelled(client: Client, rounds_count: int, count: int) -> list[float]:
    """Seconds, until every task that waits for another is withdrawn."""
    took = []
    for _ in range(rounds_count):
        gate = client.submit(bodies.spin, 0.2, pure=False)
        futures = client.map(bodies.nothing, [gate] * count, pure=False)
        took.append(await elapsed(client.cancel(futures)))
        await gate
    return took


ROWS = [
    Row("task-one", "us", on_cluster(one_at_a_time), (8, 200), (2, 50)),
    Row("task-in-flight", "/s", on_cluster(in_flight), (4, 2_000), (2, 2_000)),
    Row("task-in-flight-plain", "/s", in_flight_plain, (4, 2_000), (2, 2_000)),
    Row("task-queued", "/s", on_cluster(queued), (1, 20_000), (1, 2_000)),
    Row("task-queued-bytes", "B", on_cluster(queued_bytes), (1, 20_000), (1, 2_000)),
    Row("task-many-args", "ms", on_cluster(many_arguments), (3, 10_000), (1, 500)),
    Row("task-edges", "/s", on_cluster(edges), (2, 3), (1, 2)),
    Row("task-chain", "us", on_cluster(chain), (5, 1_000), (1, 50)),
    Row("task-nested", "/s", on_cluster(nested), (3, 8), (1, 5)),
    Row("task-arrays", "/s", on_cluster(arrays), (5, 400), (1, 40)),
    Row("task-uneven", "s", on_cluster(uneven), (1, 5_000), (1, 100)),
    Row("task-metg", "us", on_cluster(half_efficiency), (2, 500), (1, 50)),
    Row("task-kill", "ms", on_cluster(killed), (10, 1), (1, 1)),
    Row("task-cancel", "s", on_cluster(cancelled), (1, 100_000), (1, 500)),
]


def main() -> None:
    options = arguments(__doc__ or "")
    measure(chosen(ROWS, options), f"distributed {distributed.__version__}", options)


if __name__ == "__main__":
    main()
