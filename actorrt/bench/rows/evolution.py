"""The rows of the evolutionary algorithms: how throughput grows with the number of simulators.

The samples are steps per second of ARS with several simulators. The reference is the rate of one simulator, multiplied
by their number. Counting begins when all simulators have joined. There are no evaluations.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from typing import Any, Final

from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.training import require

TWO: Final = 2
CROWD: Final = 64
NAP_S: Final = 0.1
EPISODE_STEPS: Final = 5
_NO_EVALUATION: Final = 1 << 40  # steps until the next


def sleeping_environment() -> Any:
    """Return an environment whose steps take time but no CPU: they sleep."""
    import gymnasium
    import numpy as np

    class Sleeping(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self._left_count = EPISODE_STEPS
            return np.zeros(4, np.float32), {}

        def step(self, action: Any) -> Any:
            time.sleep(NAP_S)  # the work that is measured: it takes time and no CPU
            self._left_count -= 1
            return np.zeros(4, np.float32), float(action), self._left_count == 0, False, {}

    return Sleeping()


def two_cores(effort: Effort) -> Samples:
    """Return the steps per second of ARS on CartPole-v1 with two simulators, beside twice those with one."""
    return _scaling(partial(_rate, "CartPole-v1", directions_each=16), TWO, effort)


def sleeping_crowd(effort: Effort) -> Samples:
    """Return the steps per second of ARS with 64 simulators that only sleep, beside 64 times the rate of one."""
    return _scaling(partial(_rate, sleeping_environment, directions_each=2), CROWD, effort)


def _scaling(rate: Any, simulators: int, effort: Effort) -> Samples:
    require("gymnasium", extras="rl")
    values, references = [], []
    for _ in range(effort.rounds_count):
        values.append(rate(simulators=simulators, updates=effort.operations_count))
        references.append(simulators * rate(simulators=1, updates=effort.operations_count))
    return Samples(values, references)


def _rate(env: Any, *, simulators: int, directions_each: int, updates: int) -> float:
    """Train for a number of updates after all simulators have joined; return the steps per second."""
    import actorrt as art
    from actorrt import rl

    marks: list[tuple[float, int]] = []

    def note(now: rl.Progress) -> None:
        if now.simulators_alive == simulators:
            marks.append((time.perf_counter(), now.steps))
        if len(marks) > updates:
            run.stop()

    art.init(cpus=simulators + 1)
    try:
        with tempfile.TemporaryDirectory(prefix="ars-") as directory:
            directions = directions_each * simulators
            settings: dict[str, Any] = {"directions": directions, "evaluate_every": _NO_EVALUATION}
            algorithm = rl.ARS(env, simulators=simulators, seed=0, directory=directory, **settings)
            run = algorithm.start(1 << 40, on_progress=note, show=False)
            run.wait()
    finally:
        art.shutdown()
    (began_at, first), (ended_at, last) = marks[0], marks[-1]
    return (last - first) / (ended_at - began_at)
