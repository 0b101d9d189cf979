"""Runs of DQN: one seed, one run, resumed or not, and a learner that is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint

SETTINGS: dict[str, Any] = {
    "hidden": (16, 16),
    "horizon": 32,
    "learning_starts": 200,
    "minibatch_size": 16,
    "dueling": True,
    "prioritised": True,
    "n_step": 3,
    "simulators": 2,
    "seed": 3,
}


def end_of(directory: Path) -> Any:
    return checkpoint.load(str(directory))["weights"]["parameters"]


async def test_a_resumed_run_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        for name in ("a", "b"):
            whole = await rl.DQN("CartPole-v1", directory=tmp_path / name, **SETTINGS).start(steps=1_024)
        paused = rl.DQN("CartPole-v1", directory=tmp_path / "c", **SETTINGS)
        run = paused.start(steps=1_024, on_progress=lambda progress: run.stop() if progress.update == 8 else None)
        assert (await run).steps < 1_024
        resumed = await rl.DQN.resume(tmp_path / "c").start(steps=1_024)
    assert (end_of(tmp_path / "a") == end_of(tmp_path / "b")).all()
    assert (end_of(tmp_path / "a") == end_of(tmp_path / "c")).all()
    for name in ("updates", "replay_size", "epsilon"):
        assert [row[name] for row in resumed.rows] == [row[name] for row in whole.rows]
    assert resumed.rows[-1]["updates"] == (1_024 - 192) // 2  # the fourth batch of 64 is the first to learn from


async def test_a_run_goes_on_when_its_learner_is_killed(tmp_path: Path, node_runtime: art.Runtime) -> None:
    killed = []

    async def kill_the_learner(progress: rl.Progress) -> None:
        if progress.update == 20 and not killed:
            actors = (await node_runtime.status())["actors"]
            (pid,) = [actor["pid"] for actor in actors if actor["label"].startswith("Learner-")]
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    algorithm = rl.DQN("CartPole-v1", directory=tmp_path, **{**SETTINGS, "evaluate_every": None})
    run = await algorithm.start(steps=3_000, on_progress=kill_the_learner)
    assert killed
    assert run.steps >= 3_000
    assert run.rows[-1]["updates"] > run.rows[19]["updates"] - 200  # it went on from its snapshot
    assert run.rows[-1]["replay_size"] > 0


async def test_a_policy_is_saved_with_its_values_and_can_be_trained_on(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        run = await rl.DQN("CartPole-v1", directory=tmp_path / "a", **SETTINGS).start(steps=512)
        run.best.save(tmp_path / "cartpole.policy")
        loaded = rl.load_policy(tmp_path / "cartpole.policy")
        means = [rl.evaluate(policy, "CartPole-v1", episodes=3, seed=1).mean for policy in (loaded, run.best)]
        assert means[0] == means[1]
        again = rl.DQN("CartPole-v1", directory=tmp_path / "b", policy=loaded, **SETTINGS)
        assert (await again.start(steps=256)).steps == 256
        with pytest.raises(ValueError, match="has heads='dueling', which this algorithm does not take"):
            rl.PPO("CartPole-v1", policy=loaded)
