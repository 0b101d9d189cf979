"""Pure: the settings of ARS by environment. They are RL-Zoo's (hyperparams/ars.yml)."""

from __future__ import annotations

from typing import Any

NORMALISED = {"normalise_observations": True}

SMALL_NETWORK = {**NORMALISED, "hidden": (16,), "activation": "relu", "orthogonal": False}

PENDULUM = {
    **SMALL_NETWORK,
    "steps": 2_000_000,
    "learning_rate": 0.018,
    "directions": 4,
    "best_directions": 1,
    "deviation": 0.1,
    "evaluate_every": 50_000,
}

BIPEDAL_WALKER = {
    **SMALL_NETWORK,
    "steps": 100_000_000,
    "directions": 64,
    "best_directions": 32,
    "deviation": 0.0075,
    "alive_bonus_offset": 0.1,
    "evaluate_every": 1_000_000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 50_000, "directions": 2},
    "Pendulum-v1": PENDULUM,
    "LunarLander-v3": {**PENDULUM, "directions": 6},
    "LunarLanderContinuous-v3": PENDULUM,
    "Acrobot-v1": {**PENDULUM, "steps": 500_000},
    "MountainCar-v0": {**PENDULUM, "steps": 500_000, "directions": 8},
    "MountainCarContinuous-v0": {**PENDULUM, "steps": 500_000, "deviation": 0.2},
    "BipedalWalker-v3": BIPEDAL_WALKER,
    "BipedalWalkerHardcore-v3": {**BIPEDAL_WALKER, "steps": 500_000_000},
    "Swimmer-v5": {
        "steps": 2_000_000,
        "learning_rate": 0.02,
        "deviation": 0.01,  # too small to see a way off the plateau that some runs get to; 0.1 is not
        "directions": 1,
        "evaluate_every": 100_000,
    },
    "Hopper-v5": {
        **NORMALISED,
        "steps": 7_000_000,
        "learning_rate": 0.01,
        "deviation": 0.025,
        "directions": 8,
        "best_directions": 4,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 200_000,
    },
    "Walker2d-v5": {
        **NORMALISED,
        "steps": 75_000_000,
        "learning_rate": 0.03,
        "deviation": 0.025,
        "directions": 40,
        "best_directions": 30,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 1_000_000,
    },
    "Ant-v5": {
        **NORMALISED,
        "steps": 75_000_000,
        "learning_rate": 0.015,
        "deviation": 0.025,
        "directions": 60,
        "best_directions": 20,
        "alive_bonus_offset": 1.0,
        "evaluate_every": 1_000_000,
    },
    "HalfCheetah-v5": {
        **NORMALISED,
        "steps": 12_500_000,
        "learning_rate": 0.02,
        "deviation": 0.03,
        "directions": 32,
        "best_directions": 4,
        "evaluate_every": 500_000,
    },
    "Humanoid-v5": {
        **NORMALISED,
        "steps": 250_000_000,
        "learning_rate": 0.02,
        "deviation": 0.0075,
        "directions": 256,
        "alive_bonus_offset": 5.0,
        "evaluate_every": 5_000_000,
    },
}
