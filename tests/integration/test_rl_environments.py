"""Runs in environments that functions make, with observations and actions of several parts, and with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
from gymnasium import spaces  # noqa: E402

import actorrt as art  # noqa: E402
from actorrt import rl  # noqa: E402
from tests.unit.rl.counting import AnyIdentityEnv, CameraIdentityEnv, ImageIdentityEnv, MaskedIdentityEnv  # noqa: E402

SPACE = spaces.Dict({"turn": spaces.Discrete(2), "bits": spaces.MultiBinary(2), "pair": spaces.MultiDiscrete([2, 3])})


def make_composite() -> Any:
    return AnyIdentityEnv(SPACE)


@pytest.mark.parametrize("kind", [rl.PPO, rl.IMPALA, rl.A3C, rl.ES])
async def test_every_algorithm_accepts_actions_of_several_parts(kind: Any, tmp_path: Path) -> None:
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


class OwnNetwork(torch.nn.Module):
    def __init__(self, spec: rl.PolicySpec) -> None:
        super().__init__()
        self.outputs = torch.nn.Linear(64, 4)
        self.value = torch.nn.Linear(64, 1)

    def forward(self, image: Any) -> Any:
        pixels = image.reshape(len(image), 64)
        return self.outputs(pixels), self.value(pixels)


@pytest.mark.parametrize("network", ["auto", OwnNetwork])
@pytest.mark.parametrize("kind", [rl.PPO, rl.APPO, rl.A3C])
async def test_runs_accept_images_and_user_defined_networks(kind: Any, network: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"hidden": (16,), "environments": 2, "horizon": 16, "network": network}
    async with art.Runtime(mode="local", cpus=4):
        before = await kind(ImageIdentityEnv, directory=str(tmp_path), **settings).start(steps=128)
        again: dict[str, Any] = {"env": ImageIdentityEnv}
        if network is OwnNetwork:
            with pytest.raises(ValueError, match=r"a function made the network of the run in .*: give it as network="):
                kind.resume(str(tmp_path), **again)
            again["network"] = network
        run = await kind.resume(str(tmp_path), **again).start(steps=before.steps + 128)
    assert run.steps >= before.steps + 128
    assert run.plan.policy.network == ("cnn" if network == "auto" else OwnNetwork)
    assert run.best(np.zeros((8, 8, 1), np.uint8)) in range(4)


@pytest.mark.parametrize("kind", [rl.PPO, rl.ES])
async def test_runs_with_an_image_inside_a_dict_are_resumed_and_saved(kind: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"hidden": (16,)}
    settings |= {"environments": 2, "horizon": 16} if kind is rl.PPO else {"directions": 2}
    settings |= {"normalise_observations": True}
    async with art.Runtime(mode="local", cpus=4):
        before = await kind(CameraIdentityEnv, directory=str(tmp_path), **settings).start(steps=128)
        run = await kind.resume(str(tmp_path), env=CameraIdentityEnv).start(steps=before.steps + 128)
    assert run.plan.policy.network == "cnn"
    assert len(run.best.normaliser.observations.mean) == 2  # of the bit, and not of the pixels
    loaded = rl.load_policy(str(tmp_path / "best.policy"))
    obs = {"bit": 1, "camera": np.full((8, 8, 1), 200, np.uint8)}
    assert loaded(obs) == run.best(obs)
    assert rl.evaluate(loaded, CameraIdentityEnv, episodes=2).returns.shape == (2,)


def test_image_inside_a_dict_reaches_roles_in_processes(node_session: art.Runtime, tmp_path: Path) -> None:
    algorithm = rl.PPO(CameraIdentityEnv, hidden=(8,), directory=str(tmp_path), environments=2, horizon=32)
    assert algorithm.start(steps=128).wait().steps == 128


def test_user_defined_network_reaches_roles_in_processes(node_session: art.Runtime, tmp_path: Path) -> None:
    algorithm = rl.PPO(ImageIdentityEnv, network=OwnNetwork, directory=str(tmp_path), environments=2, horizon=32)
    assert algorithm.start(steps=128).wait().steps == 128


@pytest.mark.parametrize("network", ["auto", OwnNetwork])
def test_image_alone_is_not_normalised(network: Any) -> None:
    run = rl.PPO(ImageIdentityEnv, network=network, normalise_observations=True)
    assert run._plan(8).weights.normaliser is None


def test_environment_made_by_a_function_reaches_simulators_in_processes(
    node_session: art.Runtime, tmp_path: Path
) -> None:
    run = rl.PPO(lambda: MaskedIdentityEnv(5), directory=str(tmp_path), hidden=(8, 8), horizon=32)
    assert run.start(steps=512).wait().steps == 512
    with pytest.raises(ValueError, match=r"a function made the environment of the run in .*: give it as env="):
        rl.PPO.resume(str(tmp_path))
    again = rl.PPO.resume(str(tmp_path), env=lambda: MaskedIdentityEnv(5)).start(steps=1_024).wait()
    assert again.steps == 1_024
    with pytest.raises(ValueError, match="environment without an id: give a function that makes one as env="):
        rl.evaluate(again.best)


@pytest.mark.parametrize("kind", [rl.PPO, rl.APPO])
async def test_run_in_a_vector_that_a_function_makes(kind: Any, tmp_path: Path) -> None:
    def make() -> Any:
        return gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")

    settings: dict[str, Any] = {"horizon": 16, "hidden": (8, 8), "evaluation_env": "CartPole-v1"}
    async with art.Runtime(mode="local", cpus=8):
        run = await kind(make, simulators=2, seed=1, directory=str(tmp_path), **settings).start(steps=512)
        assert run.steps >= 512
        assert run.evaluations
        assert len(run.best(np.zeros((5, 4)))) == 5
        again = kind.resume(tmp_path, env=make, simulators=1)
        assert again.settings.environments == 3
        assert (await again.start(steps=run.steps + 256)).steps >= run.steps + 256
