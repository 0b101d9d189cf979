"""Runs in environments that functions make, with observations and actions of several parts, and with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from gymnasium import spaces

import actorrt as art
from actorrt import rl
from tests.unit.rl.counting import AnyIdentityEnv, MaskedIdentityEnv

SPACE = spaces.Dict({"turn": spaces.Discrete(2), "bits": spaces.MultiBinary(2), "pair": spaces.MultiDiscrete([2, 3])})


def make_composite() -> Any:
    return AnyIdentityEnv(SPACE)


@pytest.mark.parametrize("kind", [rl.PPO, rl.IMPALA, rl.A3C, rl.ES])
async def test_every_way_to_learn_takes_actions_of_several_parts(kind: Any, tmp_path: Path) -> None:
    more: dict[str, Any] = {"directions": 2} if kind is rl.ES else {"environments": 2, "horizon": 16}
    async with art.Runtime(mode="local", cpus=4):
        algorithm = kind(make_composite, hidden=(8, 8), directory=str(tmp_path), normalise_observations=True, **more)
        run = await algorithm.start(steps=200)
    assert run.steps >= 200
    environment = make_composite()
    obs, _ = environment.reset(seed=0)
    assert environment.action_space.contains(run.best(obs))
    loaded = rl.load_policy(str(tmp_path / "best.policy"))
    assert loaded.spec == run.plan.policy
    assert rl.evaluate(loaded, make_composite, episodes=2).returns.shape == (2,)


def test_environment_of_a_function_reaches_simulators_in_processes(node_session: art.Runtime, tmp_path: Path) -> None:
    run = rl.PPO(lambda: MaskedIdentityEnv(5), directory=str(tmp_path), hidden=(8, 8), horizon=32)
    assert run.start(steps=512).wait().steps == 512
    with pytest.raises(ValueError, match=r"a function made the environment of the run in .*: give it as env="):
        rl.PPO.resume(str(tmp_path))
    again = rl.PPO.resume(str(tmp_path), env=lambda: MaskedIdentityEnv(5)).start(steps=1_024).wait()
    assert again.steps == 1_024
    with pytest.raises(ValueError, match="environment without an id: give what makes it as env="):
        rl.evaluate(again.best)
