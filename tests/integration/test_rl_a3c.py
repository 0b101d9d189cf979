"""A3C: the parameter server applies the gradients of simulators as they arrive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.algorithms.a3c_roles import GradientServer, GradientSimulator
from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.networks.network import Network
from actorrt.rl.records import checkpoint
from actorrt.rl.rollouts.transitions import transitions

SETTINGS = rl.A3CSettings.preset("CartPole-v1", hidden=(8, 8), horizon=4, environments=2)


async def test_parameter_server_applies_the_gradient_of_the_fragment() -> None:
    spec = rl.describe("CartPole-v1", hidden=(8, 8))
    parameters = rl.MlpPolicy(spec).init(seed=0)
    common = {"envs": 2, "horizon": 4, "policy": spec, "index": 0, "seed": 3}
    async with art.Runtime(mode="local", cpus=4):
        applied = await GradientServer.spawn(SETTINGS, 1_000, parameters)
        simulator = await GradientSimulator.spawn("CartPole-v1", applied, settings=SETTINGS, **common)
        contribution = await simulator.rollout()
        held = await rl.ParameterServer.spawn(parameters)
        fragment = await (await rl.Simulator.spawn("CartPole-v1", held, **common)).rollout()
        moved = await applied.latest()
    network = Network(spec, parameters)
    rows = transitions((fragment,), gamma=SETTINGS.gamma, gae_lambda=SETTINGS.gae_lambda)
    actor_critic_gradient(network, rows, rows.advantage, SETTINGS.value_coefficient, SETTINGS.entropy_coefficient)
    expected = GradientServer(SETTINGS, 1_000, parameters).apply(network.gradient, fragment.step_count)
    np.testing.assert_allclose(moved.parameters, expected.parameters, rtol=1e-6)
    assert (contribution.step_count, contribution.policy_version, contribution.sequence) == (8, 1, 0)
    assert contribution.metrics["policy_lag"] == 0.0


async def test_fragments_that_contain_only_resets_give_no_gradient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with art.Runtime(mode="local", cpus=4):
        one = {"native": True, "environments": 1, "simulators": 1, "horizon": 1, "hidden": (8, 8)}
        run = await rl.A3C("CartPole-v1", directory=str(tmp_path), **one).start(steps=200)
    assert run.steps == 200
    assert "asked again" not in caplog.text


async def test_run_on_one_loop_reaches_its_steps_and_can_be_resumed(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=4):
        run = await rl.A3C("CartPole-v1", hidden=(8, 8), directory=str(tmp_path)).start(steps=512)
        again = await rl.A3C.resume(str(tmp_path)).start(steps=1_024)
    assert run.steps >= 512
    assert again.steps >= 1_024
    saved = checkpoint.load(str(tmp_path))
    assert saved["learner"]["learnt_steps"] >= 1_024
    assert saved["learner"]["optimiser"]["second_moment"].shape == saved["weights"]["parameters"].shape
    assert saved["weights"]["version"] * 64 == saved["learner"]["learnt_steps"]
