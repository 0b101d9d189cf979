"""Pure: DQN's settings by environment.

They are RL-Zoo's (hyperparams/dqn.yml), with as many updates for each transition. Where it learns after every few
transitions, a batch has 64 here: messages of a few steps would take longer than the steps.
"""

from __future__ import annotations

from typing import Any

BALANCING = {
    "steps": 100_000,
    "learning_rate": 6.3e-4,
    "minibatch_size": 128,
    "replay_size": 50_000,
    "learning_starts": 1_000,
    "target_every": 250,
    "horizon": 32,
    "updates_per_step": 1.0,
    "exploration_share": 0.12,
    "epsilon_end": 0.1,
    "hidden": (256, 256),
    "double": False,
}

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "steps": 50_000,
        "learning_rate": 2.3e-3,
        "minibatch_size": 64,
        "replay_size": 100_000,
        "learning_starts": 1_000,
        "target_every": 10,
        "horizon": 128,
        "updates_per_step": 0.5,
        "exploration_share": 0.16,
        "epsilon_end": 0.04,
        "hidden": (256, 256),
        "double": False,
        "evaluate_every": 2_000,
    },
    "MountainCar-v0": {
        "steps": 120_000,
        "learning_rate": 4e-3,
        "minibatch_size": 128,
        "replay_size": 10_000,
        "learning_starts": 1_000,
        "gamma": 0.98,
        "target_every": 600,
        "horizon": 32,
        "updates_per_step": 0.5,
        "exploration_share": 0.2,
        "epsilon_end": 0.07,
        "hidden": (256, 256),
        "double": False,
    },
    **dict.fromkeys(("LunarLander-v3", "Acrobot-v1"), BALANCING),
}
