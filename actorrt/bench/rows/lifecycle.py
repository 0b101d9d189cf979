"""The rows about creating actors, and about the memory of an idle one."""

from __future__ import annotations

import time

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.subjects import Counter, Nest


def create_light(effort: Effort) -> Samples:
    """Return rates at which an actor creates light children, per second; each round is in another process."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            nest = await Nest.options(cpus=1).spawn()
            values.append(await nest.creation_rate_hz(effort.operations_count))
            await nest.stop()
        return Samples(values)

    return art.run(main)


def million_stall(effort: Effort) -> Samples:
    """Return the longest stalls of a loop while light actors are created on it and each answers, in ms."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            nest = await Nest.options(cpus=1).spawn()
            values.append(await nest.worst_stall_ms(effort.operations_count))
            await nest.kill()
        return Samples(values)

    return art.run(main)


def light_memory(effort: Effort) -> Samples:
    """Return the memory of an idle light actor with its ref, beyond that of its object, in bytes."""

    async def main() -> Samples:
        values = []
        for _ in range(effort.rounds_count):
            nest = await Nest.options(cpus=1).spawn()
            values.append(await nest.bytes_each(effort.operations_count))
            await nest.stop()
        return Samples(values)

    return art.run(main)


def create_process(effort: Effort) -> Samples:
    """Return how long the spawn of an actor in its own process takes until it returns the ref, in ms."""

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
