"""The rows about creating actors, what an idle one takes, and coming back after a kill."""

from __future__ import annotations

import os
import signal
import time

import actorrt as art
from actorrt.bench.measurement import Effort, Samples
from actorrt.bench.subjects import Counter, Nest


def create_light(effort: Effort) -> Samples:
    """Return rates at which an actor creates light children, per second; a process of its own for each."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            nest = await Nest.options(cpus=1).spawn()
            values.append(await nest.creation_rate_hz(effort.operations_count))
            await nest.stop()
        return Samples(values)

    return art.run(main)


def light_memory(effort: Effort) -> Samples:
    """Return what an idle light actor takes on top of its object and with its ref, in bytes."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            nest = await Nest.options(cpus=1).spawn()
            values.append(await nest.bytes_each(effort.operations_count))
            await nest.stop()
        return Samples(values)

    return art.run(main)


def create_process(effort: Effort) -> Samples:
    """Return how long the spawn of an actor in its own process takes until its ref is there, in ms."""

    async def main() -> Samples:
        values = []
        await (await Counter.options(cpus=1).spawn()).stop()  # the zygote is ready then
        for _ in range(effort.rounds_count):
            start = time.perf_counter()
            counter = await Counter.options(cpus=1).spawn()
            values.append((time.perf_counter() - start) * 1e3)
            await counter.stop()
        return Samples(values)

    return art.run(main)


def process_memory(effort: Effort) -> Samples:
    """Return the memory that an actor's own process shares with no other, in MB (10^6 bytes)."""

    async def main() -> Samples:
        counters = [await Counter.options(cpus=1).spawn() for _ in range(effort.rounds_count)]
        for counter in counters:
            await counter.increment()
        return Samples([await counter.unique_bytes() / 1e6 for counter in counters])

    return art.run(main)


def back_after_kill(effort: Effort) -> Samples:
    """Return the time from SIGKILL until the same ref is answered by the next incarnation, in ms."""

    async def main() -> Samples:
        counter = await _restarting()
        return Samples([await _back_ms(counter) for _ in range(effort.rounds_count)])

    return art.run(main)


async def _back_ms(counter: art.ActorRef[Counter]) -> float:
    killed_pid = await counter.pid()
    start = time.perf_counter()
    os.kill(killed_pid, signal.SIGKILL)
    while True:
        try:
            pid = await counter.pid()
        except art.ActorUnavailableError:
            continue  # that call had gone to the process that was killed
        if pid != killed_pid:
            return (time.perf_counter() - start) * 1e3


def callers_told(effort: Effort) -> Samples:
    """Return the time from SIGKILL until a call that was in hand fails, in ms."""

    async def main() -> Samples:
        counter = await _restarting()
        return Samples([await _told_ms(counter) for _ in range(effort.rounds_count)])

    return art.run(main)


async def _told_ms(counter: art.ActorRef[Counter]) -> float:
    call = counter.wait_for_ever()
    pid = await counter.pid()
    start = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    try:
        await call
    except art.ActorUnavailableError:
        return (time.perf_counter() - start) * 1e3
    raise AssertionError("a call that never returns has returned")


async def _restarting() -> art.ActorRef[Counter]:
    options = {"cpus": 1, "restart": "permanent", "max_restarts": 10_000, "max_concurrency": 2}
    counter = await Counter.options(**options).spawn()
    await counter.increment()  # an incarnation that has handled a message restarts at once
    return counter
