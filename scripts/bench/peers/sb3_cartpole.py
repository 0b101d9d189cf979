"""Measures Stable-Baselines3 2.9: CartPole-v1 to 475 in a whole process, imports included; seeds are drawn.

PPO with the settings of its zoo, eight environments in one process, torch with one thread: the fastest of what was
tried on two cores (two threads, and SubprocVecEnv with two processes, take longer). It stops when an evaluation, every
2,000 steps, has a mean of 475: of 20 deterministic episodes, or of 10 in the row `cartpole-ten`, as actorrt's are.
"""

from __future__ import annotations

import random
import subprocess
import sys
from importlib import metadata

from report import Row, arguments, chosen, measure, timed

TRAIN = "train"


def train(seed: int, evaluation_episodes: int) -> None:
    """Train in this process, and exit with an error where the threshold is not reached."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import EvalCallback, StopTrainingOnRewardThreshold
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    stop = StopTrainingOnRewardThreshold(475, verbose=0)
    evaluated = make_vec_env("CartPole-v1", 1, seed=seed + 100)
    callback = EvalCallback(
        evaluated, callback_on_new_best=stop, eval_freq=250, n_eval_episodes=evaluation_episodes, verbose=0
    )
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", 8, seed=seed),
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        learning_rate=lambda left: left * 1e-3,
        clip_range=lambda left: left * 0.2,
        seed=seed,
        device="cpu",
    )
    model.learn(100_000, callback=callback)
    if callback.best_mean_reward < 475:
        sys.exit(f"seed {seed} reached {callback.best_mean_reward} only")


def cartpole(rounds_count: int, evaluation_episodes: int) -> list[float]:
    """Seconds."""
    took = []
    for seed in [random.randrange(1 << 16) for _ in range(rounds_count)]:
        command = [sys.executable, __file__, TRAIN, str(seed), str(evaluation_episodes)]
        took.append(timed(lambda: subprocess.run(command, check=True)))  # noqa: B023
    return took


def main() -> None:
    if sys.argv[1:2] == [TRAIN]:
        train(int(sys.argv[2]), int(sys.argv[3]))
        return
    options = arguments(__doc__ or "")
    rows = [
        Row("cartpole", "s", cartpole, (5, 20), (1, 20)),
        Row("cartpole-ten", "s", cartpole, (5, 10), (1, 10)),
    ]
    measure(chosen(rows, options), f"stable-baselines3 {metadata.version('stable-baselines3')}", options)


if __name__ == "__main__":
    main()
