"""The rows about asks: across processes, from plain code, many in flight, inside a process."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.floor import BareAddress, BareCaller, bare_server
from actorrt.bench.rows.subjects import BURST_COUNT, Counter, Crowd, Nest

Ask = Callable[[], Any]


def ask_across(effort: Effort) -> Samples:
    """Return median times of asks of an actor in its own process, in µs, each beside the floor's."""

    async def main() -> Samples:
        counter = await Counter.options(cpus=1).spawn()

        async def ours_us() -> float:
            return await p50_us(counter.increment, effort.operations_count)

        return await beside_the_floor(address, effort, ours_us, p50_us)

    with bare_server() as address:
        return art.run(main)


def ask_on_one_cpu(effort: Effort) -> Samples:
    """Return what `ask_across` does, with all threads of both processes, and of the floor's, on one CPU.

    If idle CPUs halt, waking a thread on another CPU takes as long as all other work, and the scheduler's choices
    change a figure by half from one minute to the next. On one CPU only the work of both sides counts, and the ratio
    to the floor is stable.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return ask_across(effort)


def ask_in_flight(effort: Effort) -> Samples:
    """Return rates of asks in flight together, per second, each beside the floor's."""

    async def main() -> Samples:
        counter = await Counter.options(cpus=1).spawn()

        async def ours_hz() -> float:
            return await rate_hz(counter.increment, art.gather, effort.operations_count)

        async def floor_hz(ask: Ask, count: int) -> float:
            return await rate_hz(ask, asyncio.gather, count)

        return await beside_the_floor(address, effort, ours_hz, floor_hz)

    with bare_server() as address:
        return art.run(main)


async def beside_the_floor(
    address: BareAddress,
    effort: Effort,
    ours: Callable[[], Awaitable[float]],
    floor: Callable[[Ask, int], Awaitable[float]],
) -> Samples:
    values, references = [], []
    with closing(BareCaller(address)) as bare:
        await floor(bare.increment, effort.operations_count)  # warm-up
        await ours()
        for _ in range(effort.rounds_count):
            references.append(await floor(bare.increment, effort.operations_count))
            values.append(await ours())
    return Samples(values, references)


async def p50_us(ask: Ask, count: int) -> float:
    took_us = []
    for _ in range(count):
        start = time.perf_counter()
        await ask()
        took_us.append((time.perf_counter() - start) * 1e6)
    return statistics.median(took_us)


async def rate_hz(ask: Ask, gather: Callable[..., Awaitable[Any]], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count // BURST_COUNT):
        await gather(*[ask() for _ in range(BURST_COUNT)])
    return count // BURST_COUNT * BURST_COUNT / (time.perf_counter() - start)


def ask_plain(effort: Effort) -> Samples:
    """Return median times of asks from plain code, in µs, each beside the floor's on a loop."""
    import uvloop

    with bare_server() as address, closing(uvloop.new_event_loop()) as loop:
        art.init()
        try:
            counter = Counter.options(cpus=1).spawn().result()
            values, references = [], []
            with closing(loop.run_until_complete(_connected(address))) as bare:
                for _ in range(effort.rounds_count + 1):
                    references.append(loop.run_until_complete(p50_us(bare.increment, effort.operations_count)))
                    values.append(_plain_p50_us(counter, effort.operations_count))
            return Samples(values[1:], references[1:])  # the first was the warm-up
        finally:
            art.shutdown()


async def _connected(address: BareAddress) -> BareCaller:
    bare = BareCaller(address)
    await bare.increment()
    return bare


def _plain_p50_us(counter: art.ActorRef[Counter], count: int) -> float:
    took_us = []
    for _ in range(count):
        start = time.perf_counter()
        counter.increment().result()
        took_us.append((time.perf_counter() - start) * 1e6)
    return statistics.median(took_us)


def ask_crowd(effort: Effort) -> Samples:
    """Return the total rates at which many callers in one worker ask as many actors in another, per second."""

    async def main() -> Samples:
        called, calling = await Crowd.options(cpus=1).spawn_many(2)
        await calling.call(await called.counters())
        await calling.ask_rate_hz(effort.operations_count)  # warm-up
        return Samples([await calling.ask_rate_hz(effort.operations_count) for _ in range(effort.rounds_count)])

    return art.run(main)


def stream_across(effort: Effort) -> Samples:
    """Return the rates at which the items of a stream arrive from an actor in its own process, per second."""

    async def main() -> Samples:
        counter = await Counter.options(cpus=1).spawn()

        async def rate_hz(count: int) -> float:
            start = time.perf_counter()
            taken = [number async for number in counter.count_to(count)]
            assert len(taken) == count
            return count / (time.perf_counter() - start)

        await rate_hz(effort.operations_count)  # warm-up
        return Samples([await rate_hz(effort.operations_count) for _ in range(effort.rounds_count)])

    return art.run(main)


def ask_inside(effort: Effort) -> Samples:
    """Return median times of asks of a light child, in µs, measured by its parent."""
    return _nested(effort, "ask_p50_us")


def ask_inside_in_flight(effort: Effort) -> Samples:
    """Return rates of asks of a light child in flight together, per second, measured by its parent."""
    return _nested(effort, "ask_rate_hz")


def _nested(effort: Effort, method: str) -> Samples:
    async def main() -> Samples:
        nest = await Nest.options(cpus=1).spawn()
        measure = getattr(nest, method)
        await measure(effort.operations_count)  # warm-up
        return Samples([await measure(effort.operations_count) for _ in range(effort.rounds_count)])

    return art.run(main)
