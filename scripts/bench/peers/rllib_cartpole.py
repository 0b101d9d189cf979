"""Measures RLlib 2.60: CartPole-v1 in a whole process, imports and start-up included; seeds are drawn.

PPO with the settings of its own tuned example. It stops when the mean return of its training episodes is 450, which
is easier than the 475 of an evaluation that the others need.
"""

from __future__ import annotations

import random
import subprocess
import sys
from importlib import metadata

from report import Row, arguments, chosen, measure, timed

TRAIN = "train"
ITERATIONS_MAX = 60


def train(seed: int) -> None:
    """Train in this process, and exit with an error where the threshold is not reached."""
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", object_store_memory=2 << 30)
    model = DefaultModelConfig(fcnet_hiddens=[32], fcnet_activation="linear", vf_share_layers=True)
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=1, num_envs_per_env_runner=8)
        .training(
            lr=0.0003,
            num_epochs=6,
            vf_loss_coeff=0.01,
            train_batch_size_per_learner=4000,
            minibatch_size=128,
            use_kl_loss=False,
        )
        .rl_module(model_config=model)
        .debugging(seed=seed)
    )
    algorithm = config.build_algo()
    for _ in range(ITERATIONS_MAX):
        if algorithm.train()["env_runners"].get("episode_return_mean", 0) >= 450:
            return
    sys.exit(f"seed {seed} did not reach 450")


def cartpole(rounds_count: int, _: int) -> list[float]:
    """Seconds."""
    took = []
    for seed in [random.randrange(1 << 16) for _ in range(rounds_count)]:
        command = [sys.executable, __file__, TRAIN, str(seed)]
        took.append(timed(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL)))  # noqa: B023
    return took


def main() -> None:
    if sys.argv[1:2] == [TRAIN]:
        train(int(sys.argv[2]))
        return
    options = arguments(__doc__ or "")
    rows = chosen([Row("cartpole", "s", cartpole, (3, 1), (1, 1))], options)
    measure(rows, f"rllib {metadata.version('ray')}", options)


if __name__ == "__main__":
    main()
