#!/usr/bin/env python3
"""Prints the overhead of ARS in CPU time: of a work item without its episode, and of an update without its items.

    python scripts/bench/items.py

Each episode is one step that does nothing, so only the overhead is measured. The policy is linear, and there are two
simulators.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import actorrt as art
from actorrt import rl

UPDATES = {4: 200, 16: 150, 64: 100, 256: 50}
"""The number of measured updates, by the number of directions in each; a direction is two items."""
WARM_UPDATES = 20
ROUNDS = 3
NO_EVALUATION = 1 << 40


def one_step_environment() -> Any:
    """Return an environment whose episodes are one step that does nothing."""
    import gymnasium
    import numpy as np

    obs = np.zeros(4, np.float32)
    boxes, choices = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32), gymnasium.spaces.Discrete(2)

    class OneStep(gymnasium.Env[Any, Any]):
        observation_space, action_space = boxes, choices

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            return obs, {}

        def step(self, action: Any) -> Any:
            return obs, float(action), True, False, {}

    return OneStep()


def main() -> None:
    costs = {directions: [measured(directions) for _ in range(ROUNDS)] for directions in UPDATES}
    print("| items of an update | driver | a simulator |\n|---|---|---|")
    for directions, rounds in costs.items():
        driver_s, simulator_s = (statistics.median(side) for side in zip(*rounds, strict=True))
        items = 2 * directions
        print(f"| {items} | {driver_s * 1e3:.2f} ms | {simulator_s * 1e3:.2f} ms |")


def measured(directions: int) -> tuple[float, float]:
    """Return the CPU time of an update, in seconds: of the driver, and of each of the two simulators."""
    marks: list[tuple[float, float]] = []
    processes: set[int] = set()

    def note(now: rl.Progress) -> None:
        processes.update(process for _, _, process in now.trained_on)
        if len(processes) == 2:
            marks.append((time.process_time(), sum(map(cpu_s, processes))))
        if len(marks) > WARM_UPDATES + UPDATES[directions]:
            run.stop()

    art.init(cpus=3)
    try:
        with tempfile.TemporaryDirectory(prefix="items-") as directory:
            settings: dict[str, Any] = {"directions": directions, "evaluate_every": NO_EVALUATION}
            ars = rl.ARS(one_step_environment, simulators=2, directory=directory, **settings)
            run = ars.start(1 << 40, on_progress=note, show=False)
            run.wait()
    finally:
        art.shutdown()
    (driver_first, simulators_first), (driver_last, simulators_last) = marks[WARM_UPDATES], marks[-1]
    count = len(marks) - 1 - WARM_UPDATES
    return (driver_last - driver_first) / count, (simulators_last - simulators_first) / count / 2


def cpu_s(process: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
