"""Pure: A3C's settings by environment."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 1_000_000, "environments": 8, "horizon": 16, "gamma": 0.98, "gae_lambda": 0.95},
}
