"""The algorithms by the names that the command line takes."""

from __future__ import annotations

from collections.abc import Mapping

from actorrt.rl.algorithm import Algorithm
from actorrt.rl.ppo import PPO

ALGORITHMS: Mapping[str, type[Algorithm]] = {kind.settings_class.algorithm.lower(): kind for kind in (PPO,)}
