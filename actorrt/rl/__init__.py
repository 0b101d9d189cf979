"""The reinforcement-learning library: roles as ordinary actors, algorithms as ordinary code over `stream`.

Only the public names, imported when first used, so that `from actorrt import rl` needs neither torch nor
Gymnasium.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorrt.rl.environment import describe as describe
    from actorrt.rl.evaluate import Evaluation as Evaluation
    from actorrt.rl.evaluate import evaluate as evaluate
    from actorrt.rl.policy import MlpPolicy as MlpPolicy
    from actorrt.rl.policy import Policy as Policy
    from actorrt.rl.policy import PolicySpec as PolicySpec
    from actorrt.rl.policy_file import load_policy as load_policy
    from actorrt.rl.settings import PPOSettings as PPOSettings
    from actorrt.rl.trajectory import Batch as Batch
    from actorrt.rl.trajectory import Fragment as Fragment

_HOMES = {
    "Batch": "trajectory",
    "Evaluation": "evaluate",
    "Fragment": "trajectory",
    "MlpPolicy": "policy",
    "PPOSettings": "settings",
    "Policy": "policy",
    "PolicySpec": "policy",
    "describe": "environment",
    "evaluate": "evaluate",
    "load_policy": "policy_file",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
