"""The row about results that are lost and made again."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import numpy as np

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Row, Samples, Target
from actorrt.bench.rows.store import own_nodes
from actorrt.config import MIB
from actorrt.store.memory.disk import spill_directory

CPUS: Final = 2
STORE_BYTES: Final = 64 * MIB
RESULT_BYTES: Final = 128 << 10
FILLER_BYTES: Final = 100_000
"""Less than a result, so that a listing of the largest objects has all results."""
WORK_S: Final = 0.001
ALLOWED_SHARE, ALLOWED_S = 1.3, 0.01
"""How much longer than the work of the tasks it may take until the last result is there again."""


@art.task
def link(before: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    """Compute for a millisecond."""
    end = time.perf_counter() + WORK_S
    while time.perf_counter() < end:
        pass
    return np.full(RESULT_BYTES, 1 if before is None else before[0] + 1, dtype=np.uint8)


def recomputed(effort: Effort) -> Samples:
    """Return times to read the last result of a chain that was lost with its disk, in ms.

    The reference is what that may take: 1.3 times the work of the tasks and 10 ms.
    """
    count = effort.operations_count

    async def one_round() -> float:
        refs = [link.submit(None)]
        for _ in range(count - 1):
            refs.append(link.submit(refs[-1]))
        await art.wait(refs, count=count)
        fillers: list[Any] = []
        while _spilled_count(refs[0], count) < count:
            fillers.append(await art.put_async(np.zeros(FILLER_BYTES, np.uint8)))
        _tear_spill_files()
        start = time.perf_counter()
        last = await refs[-1]
        took_ms = (time.perf_counter() - start) * 1e3
        assert last[0] == count % 256, "it is another result"
        return took_ms

    async def main() -> Samples:
        await one_round()
        values = [await one_round() for _ in range(effort.rounds_count)]
        allowed_ms = (ALLOWED_SHARE * WORK_S * count + ALLOWED_S) * 1e3
        return Samples(values, [allowed_ms] * len(values))

    return art.run(main, cpus=CPUS, store_bytes=STORE_BYTES)


def _spilled_count(ref: Any, count: int) -> int:
    """Return how many of the largest objects are on disk."""
    return sum(listed[2] == "spilled" for listed in ref.submitter.store().list_objects(count))


def _tear_spill_files() -> None:
    """Overwrite what the node of this process has moved to disk, as a disk that fails."""
    for pid in own_nodes():
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.readlink(entry.path).startswith(spill_directory() + "/#"):
                fd = os.open(entry.path, os.O_WRONLY | os.O_CLOEXEC)
                os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
                os.close(fd)


ROWS: Final = (
    Row(
        "recompute",
        "a chain of 100 tasks of 1 ms, lost and made again",
        "ms",
        recomputed,
        Effort(10, 100, 2),
        Effort(2, 10),
        Target(1.0, is_ratio=True),
        "1.3 x its work + 10 ms",
    ),
)
