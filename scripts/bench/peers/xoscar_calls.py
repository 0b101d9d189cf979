"""Measures xoscar 0.12, with those rows of `actorrt bench` that xoscar has features for."""

from __future__ import annotations

import asyncio
import functools
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import xoscar
from report import Row, arguments, chosen, measure
from xoscar.backends.allocate_strategy import ProcessIndex

MIB = 1 << 20
BURST_COUNT = 1_000
MAIN, SUB = 0, 1  # this process's pool, and the one process beside it


class Counter(xoscar.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    async def increment(self) -> int:
        self.total += 1
        return self.total

    def size(self, array: np.ndarray) -> int:
        return array.nbytes


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def with_pool(work: Callable[[Callable[[int], Awaitable[Any]]], Awaitable[list[float]]]) -> list[float]:
    """Run `work`, given what creates an actor in the pool of that index."""

    async def main() -> list[float]:
        address = free_address()
        pool = await xoscar.create_actor_pool(address, n_process=1)

        async def create(index: int) -> Any:
            return await xoscar.create_actor(Counter, address=address, allocate_strategy=ProcessIndex(index))

        try:
            return await work(create)
        finally:
            await pool.stop()

    return asyncio.run(main())


async def repeated(rounds_count: int, sample: Callable[[], Awaitable[float]]) -> list[float]:
    await sample()
    return [await sample() for _ in range(rounds_count)]


def ask(index: int, rounds_count: int, count: int) -> list[float]:
    """µs."""

    async def work(create: Callable[[int], Awaitable[Any]]) -> list[float]:
        counter = await create(index)

        async def sample() -> float:
            took = []
            for _ in range(count):
                start = time.perf_counter()
                await counter.increment()
                took.append(time.perf_counter() - start)
            return statistics.median(took) * 1e6

        return await repeated(rounds_count, sample)

    return with_pool(work)


def in_flight(index: int, rounds_count: int, count: int) -> list[float]:
    """Per second."""

    async def work(create: Callable[[int], Awaitable[Any]]) -> list[float]:
        counter = await create(index)

        async def sample() -> float:
            start = time.perf_counter()
            for _ in range(count // BURST_COUNT):
                await asyncio.gather(*[counter.increment() for _ in range(BURST_COUNT)])
            return count / (time.perf_counter() - start)

        return await repeated(rounds_count, sample)

    return with_pool(work)


def create_light(rounds_count: int, count: int) -> list[float]:
    """Per second, one after the other: it has no other way."""

    async def work(create: Callable[[int], Awaitable[Any]]) -> list[float]:
        async def sample() -> float:
            start = time.perf_counter()
            created = [await create(MAIN) for _ in range(count)]
            return len(created) / (time.perf_counter() - start)

        return await repeated(rounds_count, sample)

    return with_pool(work)


def by_value(size_bytes: int, rounds_count: int, _: int) -> list[float]:
    """ms."""

    async def work(create: Callable[[int], Awaitable[Any]]) -> list[float]:
        counter = await create(SUB)
        array = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)

        async def sample() -> float:
            start = time.perf_counter()
            await counter.size(array)
            return (time.perf_counter() - start) * 1e3

        return await repeated(rounds_count, sample)

    return with_pool(work)


ROWS = [
    Row("ask", "us", functools.partial(ask, SUB), (20, 500), (2, 50)),
    Row("ask-in-flight", "/s", functools.partial(in_flight, SUB), (20, 2_000), (2, 1_000)),
    Row("ask-inside", "us", functools.partial(ask, MAIN), (20, 500), (2, 50)),
    Row("ask-inside-in-flight", "/s", functools.partial(in_flight, MAIN), (20, 2_000), (2, 1_000)),
    Row("create-light", "/s", create_light, (5, 500), (2, 50)),
    Row("by-value-1mib", "ms", functools.partial(by_value, MIB), (50, 1), (2, 1)),
    Row("by-value-10mib", "ms", functools.partial(by_value, 10 * MIB), (30, 1), (2, 1)),
]


def main() -> None:
    options = arguments(__doc__ or "")
    measure(chosen(ROWS, options), f"xoscar {xoscar.__version__}", options)


if __name__ == "__main__":
    main()
