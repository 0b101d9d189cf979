#!/usr/bin/env python3
"""Prints how long a published value takes to be seen in another process: `python scripts/bench/store_publish.py`.

An actor publishes the time at which it began to, and the driver, which waits in `latest`, compares. Clocks are the
machine's monotonic one, which its processes share.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import numpy as np

import actorrt as art

REPEATS_COUNT = 200
PAUSE_S = 0.005


class Publisher(art.Actor):
    async def publish(self, count: int, size_bytes: int) -> None:
        padding = np.zeros(size_bytes, np.uint8)
        for _ in range(count):
            await asyncio.sleep(PAUSE_S)
            art.publish("now", (time.monotonic(), padding))


async def main() -> None:
    for size_bytes in (1, 1 << 20):
        publisher = await Publisher.options(cpus=1).spawn()
        first = (await art.latest("now")).version if size_bytes > 1 else 0
        publishing = publisher.publish(REPEATS_COUNT, size_bytes)
        lags_us, version = [], first
        while version < first + REPEATS_COUNT:
            latest = await art.latest("now", newer_than=version)
            lags_us.append((time.monotonic() - latest.value[0]) * 1e6)
            version = latest.version
        await publishing
        print(
            f"publish to latest, {size_bytes:8d} bytes: median {statistics.median(lags_us):6.0f} us, "
            f"best {min(lags_us):5.0f} us, {len(lags_us)} of {REPEATS_COUNT} seen"
        )


if __name__ == "__main__":
    art.run(main)
