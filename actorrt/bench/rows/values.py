"""The rows about values: put and get, large arguments, waiting for many refs."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import actorrt as art
from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.subjects import Store

MIB, GIB = 1 << 20, 1 << 30


def put(size_bytes: int, *, kept_count: int = 0) -> Callable[[Effort], Samples]:
    """Return a function that measures puts of an array, in GiB/s, each round beside copies into warm pages.

    Args:
        size_bytes: the size of the array.
        kept_count: how many of the newest refs are held; older ones are dropped.
    """
    return functools.partial(_put, size_bytes, kept_count)


def _put(size_bytes: int, kept_count: int, effort: Effort) -> Samples:
    import numpy as np

    kept: deque[object] = deque(maxlen=kept_count)

    source = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)
    warm = np.empty_like(source)
    art.init()
    try:
        Store.options(cpus=1).spawn().result()  # when this returns, the whole node has started
        _rate(lambda: kept.append(art.put(source)), size_bytes, 2 + kept_count)  # from the second put on
        _rate(lambda: np.copyto(warm, source), size_bytes, 2)
        values, references = [], []
        for _ in range(effort.rounds_count):
            references.append(_rate(lambda: np.copyto(warm, source), size_bytes, effort.operations_count))
            values.append(_rate(lambda: kept.append(art.put(source)), size_bytes, effort.operations_count))
        return Samples(values, references)
    finally:
        kept.clear()
        art.shutdown()


def _rate(copy: Callable[[], object], size_bytes: int, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        copy()
    return count * size_bytes / (time.perf_counter() - start) / GIB


def get_first(effort: Effort) -> Samples:
    """Return how long the first get of an array that another process made takes, in µs."""
    return _get(effort, repeats_count=0)


def get_again(effort: Effort) -> Samples:
    """Return how long a second get of the same array takes, in µs."""
    return _get(effort, repeats_count=1)


def _get(effort: Effort, *, repeats_count: int) -> Samples:
    art.init()
    try:
        store = Store.options(cpus=1).spawn().result()
        make = store.array.options(returns="ref")
        values = []
        for _ in range(effort.rounds_count + 1):
            ref = make(effort.operations_count)
            art.wait([ref]).result()
            held = [ref.get() for _ in range(repeats_count)]
            start = time.perf_counter()
            held.append(ref.get())
            values.append((time.perf_counter() - start) * 1e6)
        return Samples(values[1:])  # the first get maps the segment
    finally:
        art.shutdown()


def by_value(size_bytes: int) -> Callable[[Effort], Samples]:
    """Return a function that measures asks with a large array as argument, in ms."""
    return functools.partial(_by_value, size_bytes)


def stored(size_bytes: int) -> Callable[[Effort], Samples]:
    """Return a function that measures asks with a large array from the store as argument, in ms."""
    return functools.partial(_by_value, size_bytes, prepare=lambda array: art.put(array).get())


def by_ref(size_bytes: int) -> Callable[[Effort], Samples]:
    """Return a function that measures asks with a ref to a large array as argument, in ms."""
    return functools.partial(_by_value, size_bytes, prepare=art.put)


def _by_value(size_bytes: int, effort: Effort, *, prepare: Callable[[Any], Any] = lambda array: array) -> Samples:
    import numpy as np

    array = np.random.default_rng(0).integers(0, 255, size_bytes, dtype=np.uint8)

    async def main() -> Samples:
        store = await Store.options(cpus=1).spawn()
        argument = prepare(array)
        values = []
        for _ in range(effort.rounds_count + 2):
            start = time.perf_counter()
            assert await store.size(argument) == size_bytes
            values.append((time.perf_counter() - start) * 1e3)
        return Samples(values[2:])

    return art.run(main)


def wait_for_all(effort: Effort) -> Samples:
    """Return how many refs `wait` handles per second, beside a tenth of the refs: a linear `wait` has a ratio of 1."""

    async def rate(refs: list[Any]) -> float:
        start = time.perf_counter()
        done, pending = await art.wait(refs, count=len(refs))
        assert len(done) == len(refs)
        assert not pending
        return len(refs) / (time.perf_counter() - start)

    return _waits(effort, rate)


def take_as_completed(effort: Effort) -> Samples:
    """Return how many refs `as_completed` yields per second, beside a tenth of them: a linear one has a ratio of 1."""

    async def rate(refs: list[Any]) -> float:
        start = time.perf_counter()
        count = 0
        async for _ in art.as_completed(refs):
            count += 1
        assert count == len(refs)
        return count / (time.perf_counter() - start)

    return _waits(effort, rate)


def _waits(effort: Effort, rate: Callable[[list[Any]], Any]) -> Samples:
    async def main() -> Samples:
        refs = [art.put(number) for number in range(effort.operations_count)]
        tenth = refs[: len(refs) // 10]
        await rate(refs)
        values, references = [], []
        for _ in range(effort.rounds_count):
            references.append(await rate(tenth))
            values.append(await rate(refs))
        return Samples(values, references)

    return art.run(main)
