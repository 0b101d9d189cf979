"""The algorithms by the names that the command line takes."""

from __future__ import annotations

from collections.abc import Mapping

from actorrt.rl.algorithms.a2c import A2C
from actorrt.rl.algorithms.a3c import A3C
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.appo import APPO
from actorrt.rl.algorithms.ars import ARS
from actorrt.rl.algorithms.dqn import DQN
from actorrt.rl.algorithms.es import ES
from actorrt.rl.algorithms.impala import IMPALA
from actorrt.rl.algorithms.ppo import PPO

KINDS: tuple[type[Algorithm], ...] = (PPO, APPO, IMPALA, A2C, A3C, DQN, ARS, ES)
ALGORITHMS: Mapping[str, type[Algorithm]] = {kind.settings_class.algorithm.lower(): kind for kind in KINDS}
