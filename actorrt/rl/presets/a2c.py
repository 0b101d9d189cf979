"""Pure: A2C's settings by environment.

They are RL-Zoo's (hyperparams/a2c.yml), without state-dependent exploration for continuous actions.
"""

from __future__ import annotations

from typing import Any

NORMALISED = {"normalise_observations": True, "normalise_rewards": True}

SPREAD = {
    **NORMALISED,
    "horizon": 8,
    "gae_lambda": 0.9,
    "value_coefficient": 0.4,
    "learning_rate_schedule": "linear",
    "log_std": -2.0,
    "orthogonal": False,
}

MUJOCO = {**NORMALISED, "steps": 1_000_000, "environments": 1, "evaluate_every": 25_000}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 500_000, "environments": 8},
    "LunarLander-v3": {
        "steps": 200_000,
        "environments": 8,
        "gamma": 0.995,
        "learning_rate": 0.00083,
        "learning_rate_schedule": "linear",
        "entropy_coefficient": 1e-5,
    },
    "LunarLanderContinuous-v3": {**SPREAD, "steps": 5_000_000, "environments": 4, "learning_rate": 7e-4},
    "Pendulum-v1": {**SPREAD, "steps": 1_000_000, "environments": 8, "gamma": 0.9, "learning_rate": 7e-4},
    "BipedalWalker-v3": {**SPREAD, "steps": 5_000_000, "environments": 16, "learning_rate": 0.00096},
    "BipedalWalkerHardcore-v3": {
        **SPREAD,
        "steps": 200_000_000,
        "environments": 32,
        "learning_rate": 0.0008,
        "entropy_coefficient": 0.001,
        "evaluate_every": 1_000_000,
    },
    "MountainCarContinuous-v0": {
        **NORMALISED,
        "steps": 100_000,
        "environments": 4,
        "horizon": 100,
        "orthogonal": False,
    },
    "MountainCar-v0": {**NORMALISED, "steps": 1_000_000, "environments": 16},
    "Acrobot-v1": {**NORMALISED, "steps": 500_000, "environments": 16},
    **dict.fromkeys(("HalfCheetah-v5", "Ant-v5", "Hopper-v5", "Walker2d-v5"), MUJOCO),
    "Humanoid-v5": {**MUJOCO, "steps": 2_000_000},
    "Swimmer-v5": {**MUJOCO, "gamma": 0.9999},
}
