"""A soak of a node with short-lived actors, objects and failures: the memory growth of the long-lived processes.

The workload starts and ends actors of each kind, kills processes, publishes, fills the store until puts are refused,
cancels, streams, monitors and fails. Everything that an operation makes is gone when it ends, so memory that grows with
the number of operations is a leak of the runtime.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression

import numpy as np

import actorrt as art
from actorrt.config import MIB
from tests.running import children_of, descendants_of

STORE_BYTES = 64 * MIB
LARGE_COUNT = 200_000  # of float64: 1.6 MB, which goes through the store
HOARD_COUNT = 12
USERS_COUNT = 4
SAMPLE_EVERY_S = 1.0
CALL_TIMEOUT_S = 60.0

logger = logging.getLogger(__name__)


class Guest(art.Actor):
    """A short-lived actor."""

    def on_down(self, down: art.Down) -> None:
        self.heard = down

    def pid(self) -> int:
        return os.getpid()

    def echo(self, value: object) -> object:
        return value

    def fail(self) -> None:
        raise LookupError("not found, on purpose")

    def crash(self) -> None:
        raise SystemExit("on purpose")

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def numbers(self, count: int):
        yield from range(count)

    async def watch(self, other: art.ActorRef[Guest]) -> None:
        self.context.monitor(other)


class Hall(art.Supervisor):
    """A long-lived supervisor of short-lived children."""

    max_restarts, period_s = 1_000_000, 1.0

    def children(self):
        yield art.Child(Guest, id="stays")


@dataclass
class Growth:
    """The result of a soak.

    Attributes:
        operations: how many operations of each kind were done.
        errors: how many of them ended with an allowed error, by its type.
        samples: for each process, (operations done, bytes of anonymous memory), one each second.
        seconds: how long it took.
    """

    operations: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    seconds: float = 0.0

    def bytes_per_operation(self, process: str) -> float:
        """Return the slope of a process's memory over the operations of the second half."""
        late = self._late(process)
        counts, sizes = zip(*late, strict=True)
        return linear_regression(counts, sizes).slope

    def growth_bytes(self, process: str) -> int:
        """Return the median of the last fifth of the second half minus the median of its first fifth."""
        sizes = [size for _, size in self._late(process)]
        part = max(1, len(sizes) // 5)
        return sorted(sizes[-part:])[part // 2] - sorted(sizes[:part])[part // 2]

    def _late(self, process: str) -> list[tuple[int, int]]:
        samples = self.samples[process]
        return samples[len(samples) // 2 :]


class _Workload:
    """The operations of the users of the node, each of which does one after the other."""

    def __init__(self, hall: art.ActorRef[Hall], keeper: art.ActorRef[Guest], chance: random.Random) -> None:
        self.hall = hall
        self.keeper = keeper
        self.chance = chance
        self.number = 0
        self.operations: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
            "light actor": (30, self.light),
            "group": (6, self.group),
            "own process": (4, self.own_process),
            "killed process": (3, self.killed_process),
            "child": (8, self.child),
            "killed child": (2, self.killed_child),
            "crash": (6, self.crash),
            "failure": (20, self.failure),
            "cancel": (20, self.cancel),
            "stream": (15, self.stream),
            "monitor": (8, self.monitor),
            "name": (8, self.name),
            "publish": (10, self.publish),
            "large value": (15, self.large_value),
            "full store": (3, self.full_store),
        }

    def draw(self) -> str:
        weights = [weight for weight, _ in self.operations.values()]
        return self.chance.choices(list(self.operations), weights)[0]

    async def light(self) -> None:
        guest = await Guest.spawn()
        await guest.echo([1, "two"])
        await guest.stop()

    async def group(self) -> None:
        guests = await Guest.spawn_many(20)
        await guests.echo(1)
        await guests.stop()

    async def own_process(self) -> None:
        guest = await Guest.options(isolation="process").spawn()
        await guest.pid()
        await guest.stop()

    async def killed_process(self) -> None:
        guest = await Guest.options(isolation="process", restart="permanent").spawn()
        pid = await guest.pid()
        waiting = guest.wait()
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with suppress(art.ActorUnavailableError):
            await waiting
        await guest.pid()
        await guest.kill()

    async def child(self) -> None:
        child = self._next("child")
        guest = await self.hall.start_child(art.Child(Guest, id=child))
        await guest.echo(1)
        await self.hall.stop_child(child)

    async def killed_child(self) -> None:
        child = self._next("child")
        guest = await self.hall.start_child(art.Child(Guest, id=child, isolation="process"))
        os.kill(await guest.pid(), signal.SIGKILL)
        await _until_answered(guest)
        await self.hall.stop_child(child)

    async def crash(self) -> None:
        guest = await Guest.options(restart="permanent").spawn()
        with suppress(art.ActorUnavailableError):
            await guest.crash()
        await _until_answered(guest)
        await guest.stop()

    async def failure(self) -> None:
        with suppress(LookupError):
            await self.keeper.fail()

    async def cancel(self) -> None:
        guest = await Guest.spawn()
        reply = guest.wait()
        await asyncio.sleep(0)
        reply.cancel()
        await guest.stop()

    async def stream(self) -> None:
        async for number in self.keeper.numbers(50):
            if number == 40:
                break

    async def monitor(self) -> None:
        watcher, watched = await Guest.spawn(), await Guest.spawn()
        await watcher.watch(watched)
        down = art.monitor(watched)
        await watched.kill()
        await down
        await watcher.stop()

    async def name(self) -> None:
        name = self._next("guest")
        guest = await Guest.options(name=name).spawn()
        assert await art.lookup(name) == guest
        await guest.stop()

    async def publish(self) -> None:
        art.publish("weights", np.full(LARGE_COUNT, float(self.number)))
        await art.latest("weights")

    async def large_value(self) -> None:
        array = np.ones(LARGE_COUNT)
        assert (await self.keeper.echo(array)).nbytes == array.nbytes

    async def full_store(self) -> None:
        held = []
        with suppress(art.ObjectStoreFullError):
            for _ in range(HOARD_COUNT):
                held.append(await (await art.put_async(np.ones(4 * LARGE_COUNT), timeout_s=0.2)))
        del held

    def _next(self, what: str) -> str:
        self.number += 1
        return f"{what}-{self.number}"


async def _until_answered(guest: art.ActorRef[Guest]) -> None:
    while True:
        with suppress(art.ActorUnavailableError):
            await guest.pid()
            return


def _anonymous_bytes(pid: int) -> int:
    """Return the anonymous memory of a process, which does not include the shared memory of the store."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


async def _processes(keeper: art.ActorRef[Guest], hall: art.ActorRef[Hall]) -> dict[str, int]:
    """Return the ids of the long-lived processes by name."""
    [node] = [pid for pid in children_of(os.getpid()) if "--embedded-fd" in Path(f"/proc/{pid}/cmdline").read_text()]
    runtime = await (await hall.child("stays")).pid()
    zygote = next(pid for pid in descendants_of(node) if "zygote" in Path(f"/proc/{pid}/cmdline").read_text())
    return {"driver": os.getpid(), "node": node, "zygote": zygote, "keeper": await keeper.pid(), "shared": runtime}


async def grow(seconds: float, seed: int, tell: Callable[[Growth], None] = lambda growth: None) -> Growth:
    """Do random operations for some seconds.

    Args:
        seconds: how long.
        seed: the seed of the choice of operations.
        tell: called about once a minute with the results so far.

    Raises:
        TimeoutError: an operation did not end.
    """
    growth = Growth()
    async with art.Runtime(cpus=4, store_bytes=STORE_BYTES):
        hall = await Hall.spawn()
        keeper = await Guest.options(isolation="process", max_concurrency=1).spawn()
        workload = _Workload(hall, keeper, random.Random(seed))
        processes = await _processes(keeper, hall)
        growth.samples = {name: [] for name in processes}
        started = time.monotonic()
        end = started + seconds

        async def use() -> None:
            while time.monotonic() < end:
                kind = workload.draw()
                try:
                    async with asyncio.timeout(CALL_TIMEOUT_S):
                        await workload.operations[kind][1]()
                except art.ActorRtError as error:
                    growth.errors[f"{kind}: {type(error).__name__}"] += 1
                growth.operations[kind] += 1

        async def sample() -> None:
            reported_at = started
            while (now := time.monotonic()) < end:
                done_count = growth.operations.total()
                for name, pid in processes.items():
                    growth.samples[name].append((done_count, _anonymous_bytes(pid)))
                if now - reported_at > 60:
                    reported_at = now
                    tell(growth)
                await asyncio.sleep(SAMPLE_EVERY_S)

        async with asyncio.TaskGroup() as group:
            group.create_task(sample())
            for _ in range(USERS_COUNT):
                group.create_task(use())
        growth.seconds = time.monotonic() - started
    return growth
