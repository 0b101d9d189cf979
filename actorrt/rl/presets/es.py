"""Pure: the settings of ES by environment."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 500_000, "hidden": (16, 16), "directions": 16, "deviation": 0.1, "learning_rate": 0.05},
}
