"""The algorithms by the names that the command line takes."""

from __future__ import annotations

from collections.abc import Mapping

from actorrt.rl.a2c import A2C
from actorrt.rl.a3c import A3C
from actorrt.rl.algorithm import Algorithm
from actorrt.rl.appo import APPO
from actorrt.rl.ars import ARS
from actorrt.rl.es import ES
from actorrt.rl.impala import IMPALA
from actorrt.rl.ppo import PPO

KINDS: tuple[type[Algorithm], ...] = (PPO, APPO, IMPALA, A2C, A3C, ARS, ES)
ALGORITHMS: Mapping[str, type[Algorithm]] = {kind.settings_class.algorithm.lower(): kind for kind in KINDS}
