"""A seed gives the same run as before, bit for bit: short whole runs in local mode against a record.

`tests.records_of_floats` describes how to make the record again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt import rl
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records import checkpoint
from tests.records_of_floats import Record
from tests.unit.rl.counting import MaskedIdentityEnv

RECORD = Record(__file__)
SCALED = {"normalise_observations": True, "normalise_rewards": True}
RUNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ppo": (rl.PPO, {"env": "CartPole-v1", "steps": 1_024}),
    "ppo pipelined": (rl.PPO, {"env": "CartPole-v1", "steps": 1_024, "max_lag": 1}),
    "ppo continuous": (rl.PPO, {"env": "Pendulum-v1", "steps": 1_024, "horizon": 64, **SCALED}),
    "ppo masked": (rl.PPO, {"env": MaskedIdentityEnv, "steps": 512, "horizon": 32, "environments": 4}),
    "ppo vector": (rl.PPO, {"env": "CartPole-v1", "steps": 512, "native": True}),
    "a2c": (rl.A2C, {"env": "CartPole-v1", "steps": 512, **SCALED}),
    "a2c continuous": (rl.A2C, {"env": "Pendulum-v1", "steps": 512}),
    "ars": (rl.ARS, {"env": "CartPole-v1", "steps": 400}),
    "ars continuous": (rl.ARS, {"env": "Pendulum-v1", "steps": 2_000}),
    "es": (rl.ES, {"env": "CartPole-v1", "steps": 1_000}),
    "es masked": (rl.ES, {"env": MaskedIdentityEnv, "steps": 6_400, "hidden": (8,)}),
}


@pytest.mark.parametrize("name", RUNS)
async def test_run_ends_with_the_recorded_weights(name: str, tmp_path: Any) -> None:
    kind, values = RUNS[name]
    async with art.Runtime(mode="local", cpus=4):
        await kind(simulators=2, seed=3, directory=str(tmp_path), evaluation_episodes=1, **values).start(show=False)
    weights = Weights.from_data(checkpoint.load(str(tmp_path))["weights"])
    counted = () if weights.normaliser is None else weights.normaliser.to_arrays().values()
    parts = [weights.parameters, *(np.ravel(each) for each in counted)]
    RECORD.check(name, np.concatenate(parts))
