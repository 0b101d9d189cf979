"""The inference actor answers simultaneous requests in one batch; runs learn with it, and continue when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt import rl
from actorrt.rl.roles.inference import Inference

SPEC = rl.describe("CartPole-v1", hidden=(8, 8))


@pytest.fixture
async def runtime() -> AsyncIterator[art.Runtime]:
    async with art.Runtime(mode="local", cpus=8) as running:
        yield running


async def spawn(**options: Any) -> tuple[Any, Any]:
    server = await rl.ParameterServer.spawn(rl.MlpPolicy(SPEC).init(seed=0))
    return server, await Inference.options(max_concurrency=16).spawn(SPEC, server, **options)


async def test_requests_that_come_together_are_one_batch(runtime: art.Runtime) -> None:
    _, inference = await spawn(max_rows=100, max_wait_s=0.2)
    features = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    answers = await asyncio.gather(*(inference.act(features[at : at + 3]) for at in (0, 3, 6)))
    assert await inference.statistics() == {"mean_rows": 9.0}
    policy = rl.MlpPolicy(SPEC)
    policy.init(seed=0)
    for at, (action, logp, value, version) in zip((0, 3, 6), answers, strict=True):
        assert (action.shape, logp.shape, version) == ((3,), (3,), 0)
        np.testing.assert_allclose(value, policy.values(features[at : at + 3]), rtol=1e-4, atol=1e-6)


async def test_full_batch_is_evaluated_without_waiting(runtime: art.Runtime) -> None:
    _, inference = await spawn(max_rows=4, max_wait_s=3_600.0)
    rows = np.zeros((2, 4), np.float32)
    await asyncio.gather(inference.act(rows), inference.act(rows))
    await inference.act(np.zeros((4, 4), np.float32))
    assert await inference.statistics() == {"mean_rows": 4.0}


async def test_newer_version_is_fetched_when_a_request_needs_it(runtime: art.Runtime) -> None:
    server, inference = await spawn()
    await server.publish(rl.MlpPolicy(SPEC).init(seed=1), 1)
    *_, version = await inference.act(np.zeros((1, 4), np.float32), 1)
    assert version == 1


async def test_exception_of_the_policy_reaches_every_caller_of_the_batch(runtime: art.Runtime) -> None:
    _, inference = await spawn(max_rows=4, max_wait_s=0.05)
    wrong = np.zeros((2, 7), np.float32)
    results = await asyncio.gather(inference.act(wrong), inference.act(wrong), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    assert len((await inference.act(np.zeros((1, 4), np.float32)))[0]) == 1


def test_invalid_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="max_rows=0"):
        Inference(SPEC, "params", max_rows=0)
    with pytest.raises(
        ValueError, match="A3C takes no inference_actor=True: its simulators learn, so each of them has the network"
    ):
        rl.A3C("CartPole-v1", inference_actor=True)


@pytest.mark.parametrize("order", ["deterministic", "completion"])
async def test_run_with_an_inference_actor_needs_no_network_in_its_simulators(
    runtime: art.Runtime, order: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    more: dict[str, Any] = {"normalise_observations": True, "normalise_rewards": True, "inference_actor": True}
    algorithm = rl.PPO("CartPole-v1", hidden=(8, 8), epochs=1, order=order, directory=str(tmp_path), **more)
    assert "acts for all simulators" in algorithm.explain()
    run = await algorithm.start(steps=1_024)
    assert run.steps >= 1_024
    assert run.rows[-1]["policy_lag"] == 0.0
    assert run.rows[0]["kl"] < 0.2  # the log-probabilities are those of the policy that acted
    assert run.best.normaliser is not None


def test_run_continues_when_its_inference_actor_is_killed(node_session: art.Runtime, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    killed: list[int] = []

    def kill_once(progress: rl.Progress) -> None:
        if not killed and progress.update == 3:
            actors = node_session.status().result(10)["actors"]
            killed.extend(actor["pid"] for actor in actors if "nference" in actor["label"])
            os.kill(killed[0], signal.SIGKILL)

    settings: dict[str, Any] = {"hidden": (8, 8), "epochs": 1, "inference_actor": True}
    run = rl.PPO("CartPole-v1", directory=str(tmp_path), **settings).start(steps=2_560, on_progress=kill_once)
    assert run.wait().steps >= 2_560
    assert len(killed) == 1
