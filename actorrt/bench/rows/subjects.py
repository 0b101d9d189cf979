"""The actors that the rows measure. Workers import this module."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import actorrt as art

BURST_COUNT = 1_000
CROWD_COUNT = 100
_PRIVATE = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")


class Counter(art.Actor):
    """An actor with the smallest useful state."""

    def __init__(self) -> None:
        self.total = 0

    async def increment(self) -> int:
        self.total += 1
        return self.total

    async def count_to(self, limit: int) -> AsyncIterator[int]:
        """Yield the numbers below `limit`."""
        for number in range(limit):
            yield number

    def pid(self) -> int:
        """Return the id of its process."""
        return os.getpid()

    def unique_bytes(self) -> int:
        """Return the memory that this process shares with no other."""
        gc.collect()
        return unique_bytes()

    async def wait_for_ever(self) -> None:
        """Never return, so that the caller is told of this actor's end."""
        await asyncio.Event().wait()


class Asker(art.Actor):
    """Asks one counter."""

    def __init__(self, counter: art.ActorRef[Counter]) -> None:
        self.counter = counter

    async def ask(self, bursts_count: int) -> None:
        """Ask the counter repeatedly, with a few asks in flight together."""
        for _ in range(bursts_count):
            await art.gather(*[self.counter.increment() for _ in range(BURST_COUNT // CROWD_COUNT)])


class Crowd(art.Actor):
    """Keeps many light actors in its process, counters or their callers."""

    async def counters(self) -> art.ActorGroup[Counter]:
        """Create the counters."""
        return await Counter.spawn_many(CROWD_COUNT)

    async def call(self, counters: art.ActorGroup[Counter]) -> None:
        """Create a caller for each counter."""
        self.callers = await art.gather(*[Asker.spawn(counter) for counter in counters])

    async def ask_rate_hz(self, count: int) -> float:
        """Return the rate of asks of all callers together, per second."""
        start = time.perf_counter()
        await art.gather(*[caller.ask(count // BURST_COUNT) for caller in self.callers])
        return count // BURST_COUNT * BURST_COUNT / (time.perf_counter() - start)


class Idle:
    """A plain object with the attributes of `IdleActor`."""

    def __init__(self) -> None:
        self.total = 0


class IdleActor(art.Actor):
    """An actor with the attributes of `Idle`."""

    def __init__(self) -> None:
        self.total = 0


class Responder(art.Actor):
    """Returns how often it was asked."""

    def __init__(self) -> None:
        self.asked_count = 0

    def answer(self) -> int:
        """Return the count."""
        self.asked_count += 1
        return self.asked_count


class Nest(art.Actor):
    """Asks and creates light actors in its own process."""

    async def ask_p50_us(self, count: int) -> float:
        """Return the median of `count` asks of a child, one after the other."""
        child = await Counter.spawn()
        took_us = []
        for _ in range(count):
            start = time.perf_counter()
            await child.increment()
            took_us.append((time.perf_counter() - start) * 1e6)
        await child.stop()
        return statistics.median(took_us)

    async def ask_rate_hz(self, count: int) -> float:
        """Return the rate of asks of a child in bursts that are in flight together, per second."""
        child = await Counter.spawn()
        start = time.perf_counter()
        for _ in range(count // BURST_COUNT):
            await art.gather(*[child.increment() for _ in range(BURST_COUNT)])
        rate_hz = count // BURST_COUNT * BURST_COUNT / (time.perf_counter() - start)
        await child.stop()
        return rate_hz

    async def creation_rate_hz(self, count: int) -> float:
        """Return the rate at which children start, per second."""
        start = time.perf_counter()
        await IdleActor.spawn_many(count)
        return count / (time.perf_counter() - start)

    async def worst_stall_ms(self, count: int) -> float:
        """Create `count` children and ask each; return the longest stall of the loop."""
        loop = asyncio.get_running_loop()
        worst_s, last, is_over = 0.0, time.perf_counter(), False

        def beat() -> None:
            nonlocal worst_s, last
            now = time.perf_counter()
            worst_s, last = max(worst_s, now - last), now
            if not is_over:
                loop.call_soon(beat)

        beat()
        group = await Responder.spawn_many(count)
        for first in range(0, count, BURST_COUNT):
            part = group[first : first + BURST_COUNT]
            assert await part.answer() == [1] * len(part)
        is_over = True
        return worst_s * 1e3

    async def bytes_each(self, count: int) -> float:
        """Return the memory of a child and its ref, beyond that of its object."""
        await IdleActor.spawn_many(10)  # so that everything that is made only once exists
        before = _settled_bytes()
        objects = [Idle() for _ in range(count)]
        between = _settled_bytes()
        group = await IdleActor.spawn_many(count)
        after = _settled_bytes()
        assert len(objects) == len(group)
        return (after - between - (between - before)) / count


class Store(art.Actor):
    """Returns and receives arrays."""

    def array(self, size_bytes: int) -> Any:
        """Return an array of that many bytes."""
        import numpy as np

        return np.ones(size_bytes, dtype=np.uint8)

    def stored(self, size_bytes: int) -> art.ObjectRef[Any]:
        """Put an array of that many bytes; return its ref."""
        return art.put(self.array(size_bytes))

    def size(self, array: Any) -> int:
        """Return the bytes of an array that was sent here."""
        return int(array.nbytes)


class Holder(art.Actor):
    """Keeps a large array over restarts."""

    def __init__(self) -> None:
        self.array: Any = None

    def fill(self, size_bytes: int) -> None:
        """Allocate an array of that size."""
        import numpy as np

        self.array = np.ones(size_bytes, dtype=np.uint8)

    def pid(self) -> int:
        """Return the id of its process."""
        return os.getpid()

    def writable_bytes(self) -> int:
        """Return how many bytes of the array are writable."""
        return int(self.array.nbytes) if self.array.flags.writeable else 0

    def snapshot(self) -> Any:
        return self.array

    def restore(self, state: Any) -> None:
        self.array = state


class Mortal(art.Actor):
    """Fails on request."""

    def incarnation(self) -> int:
        """Return how often it has started."""
        return self.context.incarnation

    def fail(self) -> None:
        """Fail, and be restarted."""
        raise SystemExit("on purpose")


class Alone(art.Supervisor):
    """Has light children, and restarts a child that fails."""

    max_restarts = 1_000_000

    def __init__(self, children_count: int) -> None:
        self.children_count = children_count

    def children(self) -> Iterator[art.Child]:
        """Return children with the ids c0, c1, ..."""
        for number in range(self.children_count):
            yield art.Child(Mortal, id=f"c{number}")


class Together(Alone):
    """Restarts all children when one fails."""

    strategy = "one_for_all"


def unique_bytes() -> int:
    """Return the memory that this process shares with no other, from /proc."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(_PRIVATE))


def _settled_bytes() -> int:
    gc.collect()
    return unique_bytes()
