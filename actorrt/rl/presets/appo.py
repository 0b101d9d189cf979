"""Pure: APPO's settings by environment."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "steps": 1_000_000,
        "environments": 8,
        "horizon": 32,
        "batch_steps": 256,
        "gamma": 0.98,
        "learning_rate": 1e-3,
        "epochs": 4,
        "minibatch_size": 256,
    },
}
