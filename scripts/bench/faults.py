#!/usr/bin/env python3
"""Measures what a failure costs, and prints a table: told, Down, back after a SIGKILL; state; whole families.

.venv/bin/python scripts/bench/faults.py [--kills 200]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import actorrt as art

NEVER = 1_000_000
STATE_BYTES = 100_000_000
CHILDREN_COUNT = 1_000


class Victim(art.Actor):
    """Is killed; answers with its process."""

    async def wait_for_ever(self) -> None:
        await asyncio.Event().wait()

    def pid(self) -> int:
        return os.getpid()


class Holder(art.Actor):
    """Keeps a large array over restarts."""

    def __init__(self) -> None:
        self.array = np.zeros(0)

    def fill(self, size_bytes: int) -> None:
        self.array = np.ones(size_bytes // 8)

    def pid(self) -> int:
        return os.getpid()

    def is_whole(self) -> bool:
        return bool(self.array.nbytes == STATE_BYTES and self.array.flags.writeable)

    def snapshot(self) -> np.ndarray:
        return self.array

    def restore(self, state: np.ndarray) -> None:
        self.array = state


class Child(art.Actor):
    """Is one of many."""

    def incarnation(self) -> int:
        return self.context.incarnation

    def exit(self) -> None:
        raise SystemExit("on purpose")


class Alone(art.Supervisor):
    """Restarts the one that fails."""

    max_restarts = NEVER

    def children(self):
        for number in range(CHILDREN_COUNT):
            yield art.Child(Child, id=f"c{number}")


class Together(Alone):
    """Restarts all of them."""

    strategy = "one_for_all"


def elapsed_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1e3


async def killed(kills_count: int) -> dict[str, list[float]]:
    """Return, for each SIGKILL, when a caller was told, the Down came, and the same ref answered again, in ms."""
    options = {"isolation": "process", "restart": "permanent", "max_restarts": NEVER, "max_concurrency": 2}
    victim = await Victim.options(**options).spawn()
    times: dict[str, list[float]] = {"caller told": [], "Down delivered": [], "same ref answers again": []}
    for _ in range(kills_count):
        pid = await victim.pid()
        call, down = victim.wait_for_ever(), art.monitor(victim, restarts=True)
        await victim.pid()
        started = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        ends = {"caller told": call, "Down delivered": down}
        for name, end in ends.items():
            end.add_callback(lambda _, name=name: times[name].append(elapsed_ms(started)))  # noqa: B023
        await victim.pid.options(retries=9)()
        times["same ref answers again"].append(elapsed_ms(started))
        await art.wait([call, down], count=2)
    await victim.stop()
    return times


async def restored(rounds_count: int) -> list[float]:
    """Return the times from SIGKILL until an actor answers that has its 100 MB again, in ms."""
    options = {"isolation": "process", "restart": "permanent", "max_restarts": NEVER, "snapshot_every": 1}
    holder = await Holder.options(**options).spawn()
    await holder.fill(STATE_BYTES)
    times = []
    for _ in range(rounds_count):
        pid = await holder.pid()
        started = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        assert await holder.is_whole.options(retries=9)()
        times.append(elapsed_ms(started))
    await holder.stop()
    return times


async def restarted(supervisor: type[art.Supervisor], rounds_count: int) -> list[float]:
    """Return the times from a child's failure until the last child of its group answers again, in ms."""
    family = await supervisor.spawn()
    last = await family.child(f"c{CHILDREN_COUNT - 1}")
    times = []
    for round_number in range(rounds_count):
        await last.incarnation()
        started = time.perf_counter()
        await last.exit.tell()
        while await last.incarnation.options(retries=9)() < 2 + round_number:
            pass
        times.append(elapsed_ms(started))
    await family.stop()
    return times


def row(what: str, values_ms: list[float], target: str) -> str:
    values = sorted(values_ms)
    p99 = values[min(len(values) - 1, int(0.99 * len(values)))]
    return f"{what:58} {statistics.median(values):9.2f} {p99:9.2f} {len(values):6}   {target}"


async def measure(kills_count: int) -> None:
    print(f"{'after a failure, in ms':58} {'median':>9} {'p99':>9} {'count':>6}   target")
    targets = iter(("50", "50", "60"))
    for what, values in (await killed(kills_count)).items():
        print(row(f"SIGKILL of an actor's own process: {what}", values, next(targets)))
    print(row("SIGKILL until 100 MB are restored from a snapshot", await restored(10), "300"))
    print(row("1,000 light children: one restarted", await restarted(Alone, 50), "1"))
    print(row("1,000 light children: all restarted", await restarted(Together, 5), "100"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many SIGKILLs (default: 200)")
    art.run(measure, parser.parse_args().kills, cpus=4)


if __name__ == "__main__":
    main()
