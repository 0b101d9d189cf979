"""The row of the learning library on images: steps per second of PPO on frames of 84 x 84 x 4.

`scripts/bench/peers/sb3_images.py` has the same environment and the same settings, those of RL-Zoo for Atari games.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from typing import Any, Final

from actorrt.bench.measuring.measurement import Effort, Samples
from actorrt.bench.rows.training import NO_EVALUATION, rate_of, require

SIMULATORS: Final = 2
ATARI: Final[dict[str, Any]] = {
    "environments": 8,
    "horizon": 128,
    "epochs": 4,
    "minibatch_size": 256,
    "hidden": (512,),
    "activation": "relu",
    "orthogonal": True,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "learning_rate": 2.5e-4,
    "clip_range": 0.1,
    "value_coefficient": 0.5,
    "entropy_coefficient": 0.01,
    "max_grad_norm": 0.5,
}


def make_frames() -> Any:
    """Make an environment whose step costs little: a square moves over a stack of four frames."""
    import gymnasium
    import numpy as np

    class Frames(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8)
        action_space = gymnasium.spaces.Discrete(4)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            super().reset(seed=seed)
            self._stack = np.zeros((84, 84, 4), np.uint8)
            self._place = self.np_random.integers(0, 76, 2)
            self._count = 0
            return self._shown(), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            moves = ((1, 0), (-1, 0), (0, 1), (0, -1))
            self._place = (self._place + moves[int(action)]) % 76
            self._count += 1
            return self._shown(), float(self._place[0] > self._place[1]), False, self._count == 1_000, {}

        def _shown(self) -> Any:
            self._stack = np.roll(self._stack, -1, axis=-1)
            self._stack[..., -1] = 0
            row, column = self._place
            self._stack[row : row + 8, column : column + 8, -1] = 200
            return self._stack

    return Frames()


def training(effort: Effort) -> Samples:
    """Return how many steps per second PPO learns from, after its first update."""
    require("gymnasium", "torch", extras="rl,torch")
    import actorrt as art

    seeds = [random.randrange(1 << 16) for _ in range(effort.rounds_count)]
    with tempfile.TemporaryDirectory(prefix="images-") as directory, contextlib.chdir(directory):
        try:
            values = [_rate(seed, effort.operations_count) for seed in seeds]
        finally:
            art.shutdown()
    return Samples(values, notes=[f"seeds {', '.join(map(str, seeds))}"])


def _rate(seed: int, steps: int) -> float:
    from actorrt import rl

    rest: dict[str, Any] = {"seed": seed, "evaluate_every": NO_EVALUATION, "evaluation_episodes": 1}
    algorithm = rl.PPO(make_frames, simulators=SIMULATORS, **ATARI, **rest)
    return rate_of(lambda on_progress: algorithm.start(steps, show=False, on_progress=on_progress).wait())
