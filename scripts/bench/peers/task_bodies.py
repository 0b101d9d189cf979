"""What the tasks of the peers' scripts do, the same in each, and how many there are.

It uses the standard library and numpy only, since it runs in each peer's own environment, in drivers and in workers.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

WORKER_COUNT = 2
IN_FLIGHT_COUNT = 1_000
LAYER_COUNT = 500
ARRAY_BYTES = 1 << 20


def nothing(value: object = None) -> object:
    return value


def sum_of(*values: int) -> int:
    return sum(values)


def ones() -> np.ndarray:
    return np.ones(ARRAY_BYTES, dtype=np.uint8)


def size(array: np.ndarray) -> int:
    return array.nbytes


def spin(seconds: float) -> None:
    """Compute for so long, without giving up the CPU."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def publish_and_wait(path: str) -> None:
    """Write the process id into a pipe, and wait for the end of the process; the next attempt finds no pipe."""
    if not Path(path).exists():
        return
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)  # the fault that is measured: a task that does not end; its worker is killed


@contextmanager
def pipe() -> Iterator[str]:
    """Give the path of a named pipe that `publish_and_wait` writes to."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pid"
        os.mkfifo(path)
        yield path


def published_pid(path: str) -> int:
    """Wait for the process id, and remove the pipe."""
    pid = int(Path(path).read_text())
    Path(path).unlink()
    return pid


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def uneven_durations(count: int) -> list[float]:
    """Return durations of 0.2 to 50 ms, log-normal, in seconds: those of `actorrt bench`."""
    chance = random.Random(1)
    return [min(0.05, max(0.0002, chance.lognormvariate(-6.2, 1.0))) for _ in range(count)]


def calls_of_fibonacci(number: int) -> int:
    before, last = 1, 1
    for _ in range(number - 1):
        before, last = last, 1 + before + last
    return last


class HalfEfficiency:
    """Searches the shortest duration of tasks at which the workers still compute for half of the time.

    Args:
        count: how many tasks are measured at a time.
        most_s: a duration that is long enough.
    """

    def __init__(self, count: int, most_s: float) -> None:
        self._count = count
        self._low_s, self._high_s = 0.0, most_s

    @property
    def is_found(self) -> bool:
        return self._high_s - self._low_s <= 0.03 * self._high_s

    @property
    def trial_s(self) -> float:
        """The duration to try next, and the result when it is found."""
        return self._high_s if self.is_found else (self._low_s + self._high_s) / 2

    def took(self, elapsed_s: float) -> None:
        """Called when tasks of `trial_s` have taken so long in all."""
        trial_s = self.trial_s
        if trial_s * self._count / WORKER_COUNT >= elapsed_s / 2:
            self._high_s = trial_s
        else:
            self._low_s = trial_s
