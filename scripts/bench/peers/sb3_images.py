"""Measures Stable-Baselines3 2.9: PPO on frames of 84 x 84 x 4, eight environments; seeds are drawn.

Environment and settings, RL-Zoo's for Atari games, are those of `actorrt/bench/rows/images.py`. Each environment has a
process, torch has one thread for each CPU, its default, and nothing is evaluated meanwhile. Steps a second are counted
from the end of the first update on.
"""

from __future__ import annotations

import random
import time
from importlib import metadata
from typing import Any

import gymnasium
import numpy as np
from report import Row, arguments, chosen, measure

ENVIRONMENTS, HORIZON = 8, 128


class Frames(gymnasium.Env):
    """A square moves over a stack of four frames."""

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


def images(rounds_count: int, steps: int) -> list[float]:
    """Steps a second."""
    return [rate(steps) for _ in range(rounds_count)]


def rate(steps: int) -> float:
    """Train, and return the steps a second after the first update."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    marks: list[tuple[float, int]] = []

    class Marks(BaseCallback):
        """Notes when each rollout begins, and after how many steps."""

        def _on_rollout_start(self) -> None:
            marks.append((time.perf_counter(), self.num_timesteps))

        def _on_step(self) -> bool:
            return True

    seed = random.randrange(1 << 16)
    environments = make_vec_env(Frames, ENVIRONMENTS, seed=seed, vec_env_cls=SubprocVecEnv)
    model = PPO(
        "CnnPolicy",
        environments,
        n_steps=HORIZON,
        batch_size=256,
        n_epochs=4,
        learning_rate=2.5e-4,
        clip_range=0.1,
        vf_coef=0.5,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
    )
    model.learn(steps, callback=Marks())
    ended_at = time.perf_counter()
    environments.close()
    began_at, first = marks[1]
    return (model.num_timesteps - first) / (ended_at - began_at)


def main() -> None:
    rows = [Row("images", "steps/s", images, (3, 9_216), (1, 2_048))]
    options = arguments(__doc__ or "")
    measure(chosen(rows, options), f"stable-baselines3 {metadata.version('stable-baselines3')}", options)


if __name__ == "__main__":
    main()
