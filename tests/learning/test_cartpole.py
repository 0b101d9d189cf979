"""A run solves CartPole-v1 within RL-Zoo's budget of 100,000 steps."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("torch")

import gymnasium

import actorrt as art
from actorrt import rl
from actorrt.rl.presets.ppo import PRESETS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write their checkpoints to the directory of the test."""
    monkeypatch.chdir(tmp_path)


def test_cartpole_is_solved_within_50000_steps() -> None:
    art.init(cpus=4)
    try:
        run = rl.PPO("CartPole-v1", simulators=2, seed=4).start(steps=100_000, stop_return=475).wait()
    finally:
        art.shutdown()
    assert run.is_reached
    assert run.steps <= 50_000
    assert rl.evaluate(run.best, episodes=20, seed=1).mean >= 460


class SometimesRaising(gymnasium.Wrapper[Any, Any, Any, Any]):
    """CartPole-v1, each step of which raises with a probability of 0.001."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("CartPole-v1", disable_env_checker=True))
        self._chance = random.Random()

    def step(self, action: Any) -> Any:
        if self._chance.random() < 0.001:
            raise OSError("the connection to the simulator broke")
        return self.env.step(action)


@pytest.mark.parametrize("horizon", [32, 256])
def test_cartpole_is_solved_although_its_environments_raise_now_and_then(horizon: int) -> None:
    settings = {**PRESETS["CartPole-v1"], "steps": 300_000, "horizon": horizon}
    art.init(cpus=4)
    try:
        run = rl.PPO(SometimesRaising, simulators=2, seed=4, **settings).start(stop_return=475).wait()
    finally:
        art.shutdown()
    assert run.is_reached
    assert run.steps <= 100_000
    assert run.progress is not None
    assert run.progress.counters["environment_failures"] > 0
    assert run.progress.simulators_restarted == 0


@pytest.mark.learning_long
@pytest.mark.timeout(200)
def test_whole_command_solves_cartpole_in_8_seconds_for_4_of_5_drawn_seeds(tmp_path: Path) -> None:
    outcomes = []
    for seed in random.sample(range(10_000), 5):
        start = time.perf_counter()
        command = [sys.executable, "-m", "actorrt.cli", "train", "ppo", "CartPole-v1", "--simulators", "2"]
        command += ["--seed", str(seed), "--stop-return", "475", "--directory", str(tmp_path / str(seed))]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        seconds = time.perf_counter() - start
        policy = rl.load_policy(str(tmp_path / str(seed) / "best.policy"))
        outcomes.append((seed, seconds, rl.evaluate(policy, episodes=20, seed=random.randrange(10_000)).mean))
    assert sum(seconds < 8.0 and mean >= 475.0 for _, seconds, mean in outcomes) >= 4, outcomes
