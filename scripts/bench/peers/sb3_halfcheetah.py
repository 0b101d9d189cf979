"""Measures Stable-Baselines3 2.9: PPO on HalfCheetah-v5 with its defaults; seeds are drawn.

Environments are stepped in one process, torch has one thread, and nothing is evaluated meanwhile. Steps a second are
counted from the end of the first update on, and returns are of the last policy's deterministic episodes, as those of
`actorrt bench` are.
"""

from __future__ import annotations

import random
import time
from functools import partial
from importlib import metadata
from typing import Any

from report import Row, arguments, chosen, measure

EPISODES = 20


def halfcheetah(environments: int, rounds_count: int, steps: int) -> list[float]:
    """Steps a second."""
    rates = []
    for _ in range(rounds_count):
        model, marks = train(environments, steps)
        began_at, first = marks[1]
        rates.append((model.num_timesteps - first) / (time.perf_counter() - began_at))
    return rates


def halfcheetah_return(rounds_count: int, steps: int) -> list[float]:
    """Means of 20 episodes."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    means = []
    for _ in range(rounds_count):
        model, _ = train(1, steps)
        evaluated = make_vec_env("HalfCheetah-v5", 1, seed=random.randrange(1 << 16))
        means.append(float(evaluate_policy(model, evaluated, EPISODES, deterministic=True)[0]))
    return means


def train(environments: int, steps: int) -> tuple[Any, list[tuple[float, int]]]:
    """Return the model, and when each rollout began, after how many steps."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Marks(BaseCallback):
        """Notes when each rollout begins, and after how many steps."""

        def __init__(self) -> None:
            super().__init__()
            self.marks: list[tuple[float, int]] = []

        def _on_rollout_start(self) -> None:
            self.marks.append((time.perf_counter(), self.num_timesteps))

        def _on_step(self) -> bool:
            return True

    torch.set_num_threads(1)
    callback: Any = Marks()
    seed = random.randrange(1 << 16)
    model = PPO("MlpPolicy", make_vec_env("HalfCheetah-v5", environments, seed=seed), seed=seed, device="cpu")
    model.learn(steps, callback=callback)
    return model, callback.marks


def main() -> None:
    options = arguments(__doc__ or "")
    rows = [
        Row("halfcheetah", "steps/s", partial(halfcheetah, 1), (3, 12_288), (1, 4_096)),
        Row("halfcheetah-eight", "steps/s", partial(halfcheetah, 8), (3, 49_152), (1, 32_768)),
        Row("halfcheetah-return", "return", halfcheetah_return, (3, 100_352), (1, 6_144)),
    ]
    measure(chosen(rows, options), f"stable-baselines3 {metadata.version('stable-baselines3')}", options)


if __name__ == "__main__":
    main()
