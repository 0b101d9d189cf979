"""The rows about tasks: one at a time, in flight, queued by the million, dependent, nested, uneven, killed."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Row, Samples, Target
from actorrt.bench.rows.subjects import Counter

CPUS: Final = 2
IN_FLIGHT_COUNT: Final = 1_000
ARRAY_BYTES: Final = 1 << 20
LAYER_COUNT: Final = 500


@art.task
def nothing(value: Any = None) -> Any:
    return value


@art.task
def sum_of(*values: int) -> int:
    return sum(values)


@art.task
def ones(_: Any = None) -> np.ndarray[Any, Any]:
    return np.ones(ARRAY_BYTES, dtype=np.uint8)


@art.task
def fibonacci(number: int) -> int:
    if number < 2:
        return number
    before, last = fibonacci.submit(number - 2), fibonacci.submit(number - 1)
    return int(before.get()) + int(last.get())


@art.task
def spin(seconds: float) -> None:
    """Compute for so long, without giving up the CPU."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@art.task
def publish_and_wait(name: str) -> None:
    """Publish the process, and wait for its end; the second attempt returns at once."""
    task = art.current_task()
    if task is not None and task.attempt == 1:
        art.publish(name, os.getpid())
        time.sleep(60)  # the fault that is measured: a task that does not end; its worker is killed


def _seconds(effort: Effort, work: Callable[[], Awaitable[object]]) -> list[float]:
    """Return how long each round of some work takes, after one warm-up."""

    async def main() -> list[float]:
        return [await _timed_s(work) for _ in range(effort.rounds_count + 1)][1:]

    return art.run(main, cpus=CPUS)


async def _timed_s(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


def _rates(effort: Effort, count: int, work: Callable[[], Awaitable[object]]) -> Samples:
    """Return how many operations a second each round of some work does, which has `count` of them."""
    return Samples([count / seconds for seconds in _seconds(effort, work)])


def one_at_a_time(effort: Effort) -> Samples:
    """Return median times of a task that is submitted and awaited, in µs, each beside an ask's."""

    async def main() -> Samples:
        counter = await Counter.options(cpus=1).spawn()
        values, references = [], []
        for number in range(effort.rounds_count + 1):
            asks = await _p50_us(counter.increment, effort.operations_count)
            tasks = await _p50_us(nothing.submit, effort.operations_count)
            if number:  # the first round is the warm-up
                references.append(asks)
                values.append(tasks)
        return Samples(values, references)

    return art.run(main, cpus=CPUS)


async def _p50_us(call: Callable[[], Any], count: int) -> float:
    return statistics.median([await _timed_s(call) for _ in range(count)]) * 1e6


def cold(effort: Effort) -> Samples:
    """Return times to the result of the first task of a job, in ms. The node can make processes already."""

    async def main() -> float:
        await Counter.options(cpus=1).spawn()
        return await _timed_s(nothing.submit) * 1e3

    return Samples([art.run(main, cpus=CPUS) for _ in range(effort.rounds_count)])


def in_flight(effort: Effort) -> Samples:
    """Return rates of tasks from async code, 1,000 in flight, per second."""

    async def work() -> None:
        pending: deque[Any] = deque()
        for number in range(effort.operations_count):
            pending.append(nothing.submit(number))
            if len(pending) >= IN_FLIGHT_COUNT:
                await pending.popleft()
        for ref in pending:
            await ref

    return _rates(effort, effort.operations_count, work)


def in_flight_plain(effort: Effort) -> Samples:
    """Return rates of tasks from a plain thread, 1,000 in flight, per second."""

    def one_round() -> float:
        start = time.perf_counter()
        pending: deque[Any] = deque()
        for number in range(effort.operations_count):
            pending.append(nothing.submit(number))
            if len(pending) >= IN_FLIGHT_COUNT:
                pending.popleft().get()
        for ref in pending:
            ref.get()
        return effort.operations_count / (time.perf_counter() - start)

    art.init(cpus=CPUS)
    try:
        one_round()
        return Samples([one_round() for _ in range(effort.rounds_count)])
    finally:
        art.shutdown()


def queued(effort: Effort) -> Samples:
    """Return rates at which many tasks, all submitted at once, come to their results, per second."""

    async def work() -> None:
        refs = nothing.submit_many([(number,) for number in range(effort.operations_count)])
        for ref in refs:
            await ref

    return _rates(effort, effort.operations_count, work)


def queued_bytes(effort: Effort) -> Samples:
    """Return how many bytes of memory a waiting task takes in its submitter."""

    async def main() -> Samples:
        await nothing.submit()
        before = _resident_bytes()
        refs = nothing.submit_many([(number,) for number in range(effort.operations_count)])  # the loop sends none yet
        taken = (_resident_bytes() - before) / effort.operations_count
        for ref in refs:
            await ref
        return Samples([taken])

    return art.run(main, cpus=CPUS)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def many_arguments(effort: Effort) -> Samples:
    """Return the time of one task with many refs that are there, in ms."""

    async def main() -> Samples:
        refs = nothing.submit_many([(number,) for number in range(effort.operations_count)])
        await art.gather(*refs)
        return Samples([await _timed_s(lambda: sum_of.submit(*refs)) * 1e3 for _ in range(effort.rounds_count)])

    return art.run(main, cpus=CPUS)


def edges(effort: Effort) -> Samples:
    """Return rates of edges: layers of 500 tasks, each of which takes all results of the layer before, per second."""

    async def work() -> None:
        layer: list[Any] = [0] * LAYER_COUNT
        for _ in range(effort.operations_count):
            layer = [sum_of.submit(*layer) for _ in range(LAYER_COUNT)]
        await art.gather(*layer)

    return _rates(effort, (effort.operations_count - 1) * LAYER_COUNT**2, work)


def chain(effort: Effort) -> Samples:
    """Return the time of a link in a chain of tasks that was submitted ahead, in µs."""

    async def work() -> None:
        ref = nothing.submit(0)
        for _ in range(effort.operations_count - 1):
            ref = nothing.submit(ref)
        await ref

    return Samples([seconds * 1e6 / effort.operations_count for seconds in _seconds(effort, work)])


def nested(effort: Effort) -> Samples:
    """Return rates of tasks of a recursion that waits in plain code, per second."""

    number = effort.operations_count
    return _rates(effort, _calls_of_fibonacci(number), lambda: fibonacci.submit(number))


def _calls_of_fibonacci(number: int) -> int:
    before, last = 1, 1
    for _ in range(number - 1):
        before, last = last, 1 + before + last
    return last


def arrays(effort: Effort) -> Samples:
    """Return rates of tasks that make an array of 1 MiB, which a second task takes; both count, per second."""

    async def work() -> None:
        pending: deque[Any] = deque()
        for _ in range(effort.operations_count // 2):
            pending.append(size.submit(ones.submit()))
            if len(pending) >= 2 * CPUS:
                await pending.popleft()
        for ref in pending:
            await ref

    return _rates(effort, effort.operations_count, work)


@art.task
def size(array: np.ndarray[Any, Any]) -> int:
    return int(array.nbytes)


def uneven(effort: Effort) -> Samples:
    """Return times of tasks of 0.2 to 50 ms, log-normal, in s, each beside their sum over the workers."""
    chance = random.Random(1)
    durations = [min(0.05, max(0.0002, chance.lognormvariate(-6.2, 1.0))) for _ in range(effort.operations_count)]
    ideal_s = sum(durations) / CPUS
    took_s = _seconds(effort, lambda: art.gather(*spin.submit_many([(seconds,) for seconds in durations])))
    return Samples(took_s, [ideal_s] * len(took_s))


def half_efficiency(effort: Effort) -> Samples:
    """Return the shortest duration of tasks at which two workers still compute for half of the time, in µs."""

    async def main() -> Samples:
        await nothing.submit()
        return Samples([await _half_efficiency_us(effort.operations_count) for _ in range(effort.rounds_count)])

    return art.run(main, cpus=CPUS)


async def _half_efficiency_us(count: int) -> float:
    low_s, high_s = 0.0, 0.001
    while high_s - low_s > 0.000004:
        seconds = (low_s + high_s) / 2
        start = time.perf_counter()
        for ref in spin.submit_many([(seconds,)] * count):
            await ref
        is_efficient = seconds * count / CPUS >= (time.perf_counter() - start) / 2
        low_s, high_s = (low_s, seconds) if is_efficient else (seconds, high_s)
    return high_s * 1e6


def killed(effort: Effort) -> Samples:
    """Return times from a SIGKILL of a worker that had begun a task until that task and 16 more are done, in ms."""

    async def main() -> Samples:
        await nothing.submit()
        took_ms = []
        for number in range(effort.rounds_count):
            refs = [publish_and_wait.submit(f"pid-{number}"), *nothing.submit_many([(1,)] * 16)]
            pid = (await art.latest(f"pid-{number}")).value
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            await art.gather(*refs)
            took_ms.append((time.perf_counter() - start) * 1e3)
        return Samples(took_ms)

    return art.run(main, cpus=CPUS)


def cancelled(effort: Effort) -> Samples:
    """Return times to cancel many queued tasks, in s."""

    async def main() -> Samples:
        await nothing.submit()
        took_s = []
        for _ in range(effort.rounds_count):
            gate = spin.submit(0.2)
            refs = nothing.submit_many([(gate,)] * effort.operations_count)
            took_s.append(await _timed_s(lambda: art.gather(*[ref.cancel() for ref in refs])))  # noqa: B023  not kept
            await gate
        return Samples(took_s)

    return art.run(main, cpus=CPUS)


ROWS: Final = (
    Row(
        "task-one",
        "a task at a time, p50, beside an ask",
        "us",
        one_at_a_time,
        Effort(8, 500, 3),
        Effort(2, 50),
        Target(1.4, is_ratio=True),
        "an ask",
    ),
    Row("task-cold", "the first task of a job", "ms", cold, Effort(20), Effort(2), Target(40)),
    Row(
        "task-in-flight",
        "tasks, 1,000 in flight, async code",
        "/s",
        in_flight,
        Effort(8, 20_000, 3),
        Effort(2, 2_000),
        Target(50_000, is_least=True),
    ),
    Row(
        "task-in-flight-plain",
        "the same from a plain thread",
        "/s",
        in_flight_plain,
        Effort(8, 20_000, 3),
        Effort(2, 2_000),
        Target(40_000, is_least=True),
    ),
    Row(
        "task-queued",
        "1,000,000 tasks queued, and drained",
        "/s",
        queued,
        Effort(1, 1_000_000),
        Effort(1, 5_000),
        Target(50_000, is_least=True),
        timeout_s=600,
    ),
    Row(
        "task-queued-bytes",
        "memory of a queued task",
        "B",
        queued_bytes,
        Effort(1, 500_000, 3),
        Effort(1, 5_000),
        Target(1_000),
    ),
    Row(
        "task-many-args",
        "one task with 10,000 refs",
        "ms",
        many_arguments,
        Effort(10, 10_000),
        Effort(2, 500),
        Target(250),
    ),
    Row(
        "task-edges",
        "layers of 500 tasks with 500 refs each: edges",
        "/s",
        edges,
        Effort(4, 5),
        Effort(1, 2),
        Target(300_000, is_least=True),
    ),
    Row("task-chain", "a link in a chain of tasks", "us", chain, Effort(8, 1_000), Effort(2, 50), Target(200)),
    Row(
        "task-nested",
        "fib(20) by waits in plain code: tasks",
        "/s",
        nested,
        Effort(5, 20),
        Effort(1, 8),
        Target(20_000, is_least=True),
    ),
    Row(
        "task-arrays",
        "arrays of 1 MiB from task to task",
        "/s",
        arrays,
        Effort(5, 2_000),
        Effort(1, 40),
        Target(3_000, is_least=True),
    ),
    Row(
        "task-uneven",
        "5,000 tasks of 0.2 to 50 ms, beside their sum over the workers",
        "s",
        uneven,
        Effort(2, 5_000),
        Effort(1, 100),
        Target(1.05, is_ratio=True),
        "ideal",
    ),
    Row(
        "task-metg",
        "shortest task at half efficiency, two workers",
        "us",
        half_efficiency,
        Effort(5, 2_000),
        Effort(1, 100),
        Target(60),
    ),
    Row("task-kill", "all tasks done after SIGKILL", "ms", killed, Effort(50), Effort(2), Target(45)),
    Row("task-cancel", "100,000 tasks cancelled", "s", cancelled, Effort(5, 100_000), Effort(1, 500), Target(0.5)),
)
