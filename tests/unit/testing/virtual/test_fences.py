"""What is virtual inside a run, what is refused, and that all of it is undone."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from actorrt.errors import RuntimeStateError
from actorrt.testing.virtual.fences import WALL_START_S, fenced
from actorrt.testing.virtual.loop import START_S, VirtualLoop

REFUSED: dict[str, Callable[[], Any]] = {
    "os.urandom": lambda: os.urandom(1),
    "uuid.uuid4": lambda: uuid.uuid4(),
    "os.urandom() as SystemRandom": lambda: secrets.randbelow(3),
    "os.urandom() as numpy": np.random.default_rng,
    "random.Random() or": random.Random,
    "random.Random() or random.seed": lambda: random.seed(),
    "time.sleep": lambda: time.sleep(0),
    "threading.Thread.start": lambda: threading.Thread(target=print).start(),
    "threading.Thread.start() of a pool": lambda: ThreadPoolExecutor().submit(print),
    "socket.socket": lambda: socket.socket(),
    "subprocess.Popen": lambda: subprocess.Popen([sys.executable]),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_a_seed_can_not_repeat_is_refused_by_its_name(call: str) -> None:
    loop = VirtualLoop(1)
    with fenced(loop, 1), pytest.raises(RuntimeStateError) as raised:
        REFUSED[call]()
    assert call.split(" ")[0].removesuffix("()") in str(raised.value)
    assert "inside World.run" in str(raised.value)
    loop.close()


def test_executors_of_a_loop_without_threads_are_refused() -> None:
    loop = VirtualLoop(1)
    with fenced(loop, 1), pytest.raises(RuntimeStateError, match=r"asyncio.to_thread\(\) inside World.run"):
        loop.run_until_complete(asyncio.to_thread(print))
    loop.close()


def test_time_is_the_loops() -> None:
    loop = VirtualLoop(1)

    async def times() -> tuple[float, ...]:
        await asyncio.sleep(100)
        return time.monotonic(), time.perf_counter(), time.time(), time.monotonic_ns() / 1e9, time.time_ns() / 1e9

    with fenced(loop, 1):
        seen = loop.run_until_complete(times())
    wall = WALL_START_S + 100
    assert seen == pytest.approx((START_S + 100, START_S + 100, wall, START_S + 100, wall), abs=1)
    loop.close()


def test_other_threads_see_the_real_time() -> None:
    loop, seen = VirtualLoop(1), list[float]()
    may_look, has_looked = threading.Event(), threading.Event()

    def look() -> None:
        may_look.wait()
        seen.append(time.time())
        has_looked.set()

    thread = threading.Thread(target=look)
    thread.start()
    with fenced(loop, 1):
        may_look.set()
        has_looked.wait()
    thread.join()
    assert abs(seen[0] - time.time()) < 60
    loop.close()


def draws(seed: int) -> tuple[float, float]:
    loop = VirtualLoop(seed)
    with fenced(loop, seed):
        drawn = random.random(), float(np.random.random())
    loop.close()
    return drawn


def test_global_generators_follow_the_seed_and_get_their_state_back() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), float(np.random.random())
    random.seed(5)
    np.random.seed(5)
    assert draws(1) == draws(1) != draws(2)
    assert (random.random(), float(np.random.random())) == expected


def test_everything_is_undone_also_after_an_error() -> None:
    before = time.time, time.sleep, random.Random.seed, os.urandom, threading.Thread.start, gc.isenabled()
    loop = VirtualLoop(1)
    with pytest.raises(RuntimeStateError), fenced(loop, 1):
        os.urandom(1 + gc.isenabled())
    assert before == (time.time, time.sleep, random.Random.seed, os.urandom, threading.Thread.start, gc.isenabled())
    loop.close()
