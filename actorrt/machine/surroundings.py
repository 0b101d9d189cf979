"""What a process gets from the machine that it runs on: time, identities, chance, threads, disk, and its own number.

Only the constructors that put a process together take the whole of it; each part is given what it uses. A simulation
gives other surroundings to each of its processes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from actorrt.ids import IdSource
from actorrt.machine.clock import Clock, MonotonicClock
from actorrt.machine.disk import Disk, OsDisk
from actorrt.machine.threads import OsThreads, Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The surroundings of one process.

    Attributes:
        clock: the time, for deadlines.
        ids: makes identities.
        random: returns a random number from 0 to 1, without 1.
        threads: run what blocks.
        disk: keeps files.
        pid: the number of the process.
    """

    clock: Clock
    ids: IdSource
    random: Callable[[], float]
    threads: Threads
    disk: Disk
    pid: int

    @classmethod
    def of_process(cls) -> Surroundings:
        """Return the surroundings of this process, as the operating system has them."""
        return cls(
            clock=MonotonicClock(),
            ids=IdSource(),
            random=random.random,
            threads=OsThreads(),
            disk=OsDisk(),
            pid=os.getpid(),
        )
