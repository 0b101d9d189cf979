"""Times ends of actors: the restart of a group, the report to a caller during back-off, the stop of very many actors.

python scripts/bench/ends.py --actors 50000
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from statistics import median

import actorrt as art

TURNS_COUNT = 8
PRODUCERS_COUNT = 4
SETTLED_S = 0.3
"""How long producers run before the consumer fails."""


class Consumer(art.Actor):
    """Takes two milliseconds for each message."""

    async def take(self) -> None:
        await asyncio.sleep(0.002)

    async def fail(self) -> None:
        raise SystemExit("on purpose")


class Producer(art.Actor):
    """Calls the consumer continuously."""

    async def produce(self) -> None:
        while True:
            try:
                await (await art.lookup("consumer", timeout_s=10)).take()
            except art.ActorRtError:
                await asyncio.sleep(0.001)


class Pipeline(art.Supervisor):
    """A consumer, and the producers that call it."""

    strategy, max_restarts = "rest_for_one", 1_000

    def children(self):
        yield art.Child(Consumer, id="consumer", name="consumer", isolation="process")
        for number in range(PRODUCERS_COUNT):
            yield art.Child(Producer, id=f"producer-{number}")


class Broken(art.Actor):
    """Starts once."""

    async def on_start(self) -> None:
        if self.context.incarnation > 1:
            raise RuntimeError("not again")

    async def wait(self) -> None:
        await asyncio.Event().wait()

    async def fail(self) -> None:
        raise SystemExit("on purpose")


class Backing(art.Supervisor):
    """Waits for a long time before it restarts its child."""

    max_restarts = 1_000

    def children(self):
        yield art.Child(Broken, id="broken", backoff=art.Backoff(5.0, 60.0), max_concurrency=4)


class Light(art.Actor):
    """Does nothing."""


async def group_back() -> None:
    pipeline = await Pipeline.spawn()
    consumer = await pipeline.child("consumer")
    took_ms = []
    for _ in range(TURNS_COUNT):
        for number in range(PRODUCERS_COUNT):
            (await pipeline.child(f"producer-{number}")).produce.tell()
        await asyncio.sleep(SETTLED_S)
        started = time.perf_counter()
        await consumer.fail.tell()
        while not await _is_back(pipeline, consumer):
            pass  # each poll waits for an answer
        took_ms.append((time.perf_counter() - started) * 1e3)
    print(f"rest_for_one, all back: {median(took_ms):.0f} ms ({min(took_ms):.0f} to {max(took_ms):.0f})")
    await pipeline.stop()


async def _is_back(pipeline: art.ActorRef[Pipeline], consumer: art.ActorRef[Consumer]) -> bool:
    try:
        await consumer.take()
    except art.ActorRtError:
        return False
    return all(info.state == "running" for info in await pipeline.children_info())


async def caller_told() -> None:
    backing = await Backing.spawn()
    broken = await backing.child("broken")
    waiting = broken.wait()
    await asyncio.sleep(SETTLED_S)
    started = time.perf_counter()
    await broken.fail.tell()
    try:
        await waiting
    except art.ActorUnavailableError:
        print(f"caller of a child that backs off, told: {(time.perf_counter() - started) * 1e3:.1f} ms")
    await backing.stop()


async def many(count: int) -> None:
    for end in ("stop", "kill"):
        group = await Light.spawn_many(count)
        started = time.perf_counter()
        await getattr(group, end)()
        print(f"{count:,} light actors, group.{end}(): {time.perf_counter() - started:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--actors", type=int, default=50_000, help="how many light actors end at once (default: 50,000)"
    )
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)  # the failures are intended; workers log at this level too
    art.run(group_back)
    art.run(caller_told)
    art.run(many, arguments.actors)


if __name__ == "__main__":
    main()
