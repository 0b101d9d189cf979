"""Measures Stable-Baselines3 2.9: PPO on HalfCheetah-v5 with its defaults, in steps a second; seeds are drawn.

Environments are stepped in one process, torch has one thread, and nothing is evaluated meanwhile. It is counted from
the end of the first update on, as the row of `actorrt bench` is.
"""

from __future__ import annotations

import random
import time
from functools import partial
from importlib import metadata
from typing import Any

from report import Row, arguments, chosen, measure


def halfcheetah(environments: int, rounds_count: int, steps: int) -> list[float]:
    """Steps a second."""
    return [training_rate(environments, random.randrange(1 << 16), steps) for _ in range(rounds_count)]


def training_rate(environments: int, seed: int, steps: int) -> float:
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
    model = PPO("MlpPolicy", make_vec_env("HalfCheetah-v5", environments, seed=seed), seed=seed, device="cpu")
    model.learn(steps, callback=callback)
    began_at, first = callback.marks[1]
    return (model.num_timesteps - first) / (time.perf_counter() - began_at)


def main() -> None:
    options = arguments(__doc__ or "")
    rows = [
        Row("halfcheetah", "steps/s", partial(halfcheetah, 1), (3, 12_288), (1, 4_096)),
        Row("halfcheetah-eight", "steps/s", partial(halfcheetah, 8), (3, 49_152), (1, 32_768)),
    ]
    measure(chosen(rows, options), f"stable-baselines3 {metadata.version('stable-baselines3')}", options)


if __name__ == "__main__":
    main()
