"""Producers at full rate against a slow consumer: the memory of each process, and the time of pings meanwhile.

One process sends tells as fast as it may, another keeps a thousand asks in flight. The consumer handles eight messages
at a time and takes a millisecond for them, a fraction of the rate of either producer. An actor on the loop of the
consumer is pinged from the driver, and from the process of the asks over the same link.
"""

from __future__ import annotations

import asyncio
import os
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Any

import actorrt as art
from tests.running import children_of, descendants_of

TAKE_S = 0.001
TAKEN_TOGETHER = 8
TOLD_BYTES = 4_000
ASKED_BYTES = 400
PING_EVERY_S = 0.01
SAMPLE_EVERY_S = 0.5
IN_FLIGHT = 1_000


class Beside(art.Actor):
    """An actor on the loop of its parent."""

    def ping(self) -> None:
        return None

    async def measure(self, other: art.ActorRef[Beside], seconds: float) -> array[float]:
        """Ping another actor, and return the seconds that each ping took."""
        return await measure(other, seconds)


class Consumer(art.Actor):
    """Handles messages slowly."""

    async def on_start(self) -> None:
        self.taken = 0
        self.neighbour = await Beside.spawn()

    async def take(self, item: bytes) -> None:
        self.taken += 1
        await asyncio.sleep(TAKE_S)

    async def beside(self) -> art.ActorRef[Beside]:
        return self.neighbour


class Teller(art.Actor):
    """Sends as many tells as it may."""

    async def flood(self, consumer: art.ActorRef[Consumer], seconds: float) -> int:
        sent_count = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await consumer.take.tell(os.urandom(TOLD_BYTES))
            sent_count += 1
        return sent_count


class Asker(art.Actor):
    """Keeps a thousand asks in flight."""

    async def on_start(self) -> None:
        self.neighbour = await Beside.spawn()

    async def beside(self) -> art.ActorRef[Beside]:
        return self.neighbour

    async def flood(self, consumer: art.ActorRef[Consumer], seconds: float) -> int:
        in_flight: deque[art.Reply[None]] = deque()
        sent_count = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            in_flight.append(consumer.take(os.urandom(ASKED_BYTES)))
            sent_count += 1
            if len(in_flight) == IN_FLIGHT:
                await in_flight.popleft()
        return sent_count


@dataclass
class Outcome:
    """The result of a flood.

    Attributes:
        sent_count, taken_count: the messages that the producers sent, and that the consumer handled.
        queued_count: how many messages were in the consumer's mailbox half-way.
        memory_bytes: for each process, by name, its anonymous memory at each sample.
        pings_s: how long each ping took, by its origin.
        warm_up_s: how long memory may still grow.
    """

    warm_up_s: float
    sent_count: int = 0
    taken_count: int = 0
    queued_count: int = 0
    memory_bytes: dict[str, list[int]] = field(default_factory=dict)
    pings_s: dict[str, array[float]] = field(default_factory=dict)

    def _after_warm_up(self, process: str) -> list[int]:
        return self.memory_bytes[process][round(self.warm_up_s / SAMPLE_EVERY_S) :]

    def growth_bytes(self, process: str) -> int:
        """Return the largest growth of the process after the warm-up."""
        samples = self._after_warm_up(process)
        return max(samples) - samples[0]

    def bytes_per_minute(self, process: str) -> float:
        """Return the slope of the line through all samples after the warm-up."""
        samples = self._after_warm_up(process)
        return linear_regression(range(len(samples)), samples).slope * 60 / SAMPLE_EVERY_S

    def ping_s(self, origin: str, share: float) -> float:
        """Return the time within which that share of the pings from `origin` returned."""
        pings = sorted(self.pings_s[origin])
        return pings[min(len(pings) - 1, int(len(pings) * share))]


async def measure(other: art.ActorRef[Beside], seconds: float) -> array[float]:
    """Ping an actor at most a hundred times a second; return how long each ping took."""
    times = array("d")  # a list of floats would grow more than the memory that is measured
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        await other.ping()
        times.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, PING_EVERY_S - times[-1]))
    return times


async def flood(seconds: float, warm_up_s: float) -> Outcome:
    """Flood a slow consumer on an embedded node."""
    outcome = Outcome(warm_up_s)
    before = set(children_of(os.getpid()))
    async with art.Runtime(cpus=2, store_bytes=64 << 20) as runtime:
        (node_pid,) = set(children_of(os.getpid())) - before
        consumer = await Consumer.options(isolation="process", name="consumer", max_concurrency=TAKEN_TOGETHER).spawn()
        teller = await Teller.options(isolation="process", name="teller").spawn()
        asker = await Asker.options(isolation="process", name="asker").spawn()
        target, origin = await consumer.beside(), await asker.beside()
        names = {worker["pid"]: worker["label"] for worker in (await runtime.status())["workers"]}
        names |= {os.getpid(): "driver", node_pid: "node"}
        pids = {names.get(pid, "zygote"): pid for pid in (os.getpid(), node_pid, *descendants_of(node_pid))}
        flooding = [producer.flood(consumer, seconds) for producer in (teller, asker)]
        near, far, outcome.memory_bytes, outcome.queued_count = await asyncio.gather(
            origin.measure(target, seconds),
            measure(target, seconds),
            _sample(pids, seconds),
            _queued(runtime, after_s=seconds / 2),
        )
        outcome.pings_s = {"asker": near, "driver": far}
        outcome.sent_count = sum(await art.gather(*flooding))
        outcome.taken_count = (await _of_consumer(runtime))["handled"]
        await consumer.kill()
    return outcome


async def _of_consumer(runtime: art.Runtime) -> dict[str, Any]:
    actors = (await runtime.statistics())["consumer"]["actors"]
    return next(actor for actor in actors if actor["label"] == "consumer")


async def _queued(runtime: art.Runtime, after_s: float) -> int:
    await asyncio.sleep(after_s)
    return int((await _of_consumer(runtime))["queued"])


async def _sample(pids: dict[str, int], seconds: float) -> dict[str, list[int]]:
    samples: dict[str, list[int]] = {name: [] for name in pids}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(SAMPLE_EVERY_S)
        for name, pid in pids.items():
            samples[name].append(_own_bytes(pid))
    return samples


def _own_bytes(pid: int) -> int:
    """Return the anonymous memory of a process (proc(5), status)."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0]) << 10
