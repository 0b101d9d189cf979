"""Training with simulators, learner and evaluator in their own processes, some of which are killed."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl

CRASHING = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Crashing(CartPoleEnv):
    def step(self, action):
        raise ArithmeticError("this environment can't be stepped")

gymnasium.register("Crashing-v0", entry_point=Crashing)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write their checkpoints to the directory of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=4)
    art.shutdown()


def test_run_in_plain_code_reaches_its_return_and_saves_the_policy(runtime: art.Runtime, tmp_path: Path) -> None:
    run = rl.PPO("CartPole-v1", simulators=2, seed=1, evaluate_every=512).start(steps=20_000, stop_return=60)
    assert run.wait() is run
    assert run.is_reached
    assert run.steps < 20_000
    names = set(run.metrics.column_names)
    assert {"steps", "seconds", "return_mean", "policy_lag", "value_loss", "entropy", "kl", "learn_s"} <= names
    assert run.metrics.num_rows == run.steps // 256
    path = str(tmp_path / "cartpole.policy")
    run.best.save(path)
    loaded = rl.load_policy(path)
    assert (loaded.parameters == run.best.parameters).all()
    assert rl.evaluate(loaded, episodes=20, seed=77).mean > 40


def test_run_continues_when_a_simulator_is_killed(runtime: art.Runtime) -> None:
    killed: list[tuple[int, int, int]] = []
    since: list[tuple[int, int, int]] = []

    def kill_once(progress: rl.Progress) -> None:
        if not killed and len(progress.trained_on) == 2:
            killed.append(progress.trained_on[0])
            os.kill(killed[0][2], signal.SIGKILL)
        elif killed:
            since.extend(progress.trained_on)
            if any(source[1] == 2 for source in progress.trained_on):
                run.stop()

    run = rl.PPO("CartPole-v1", simulators=2).start(steps=100_000, on_progress=kill_once)
    run.wait()
    ((victim, _, old_pid),) = killed
    successors = {(simulator, incarnation) for simulator, incarnation, pid in since if pid != old_pid}
    assert (victim, 2) in successors
    assert (1 - victim, 1) in successors
    assert run.rows[-1]["simulators_restarted"] == 1
    assert run.rows[-1]["rollouts_lost"] <= 1
    assert run.steps < 100_000


def test_work_ahead_trains_on_fragments_one_version_behind(runtime: art.Runtime) -> None:
    run = rl.PPO("CartPole-v1", simulators=2, max_lag=1).start(steps=2_560)
    run.wait()
    lags = run.metrics.column("policy_lag").to_pylist()
    assert max(lags) <= 1.0
    assert sum(lags) > 0.0


def test_exception_of_an_environment_ends_the_run_with_that_exception(
    runtime: art.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing_environment.py").write_text(CRASHING)
    monkeypatch.syspath_prepend(str(tmp_path))
    art.shutdown()
    art.init(cpus=4)  # workers get the search path that the driver has when it connects
    try:
        run = rl.PPO("crashing_environment:Crashing-v0").start(steps=256)
        with pytest.raises(ArithmeticError, match="this environment can't be stepped") as raised:
            run.wait()
        assert "environment 0, step 1 of the episode with seed" in raised.value.__notes__[0]
        again = f"rl.PPO.resume({run.directory!r}).start(steps=256) resumes from its checkpoint of 0 steps"
        assert raised.value.__notes__[-1] == f"the run failed after 0 steps; {again}"
    finally:
        sys.modules.pop("crashing_environment", None)


def test_environment_that_sometimes_raises_is_made_anew_and_the_error_reported(
    runtime: art.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    run = rl.PPO("tests.integration.raising:RaisesOnce-v0", environments=2, horizon=8).start(steps=64)
    run.wait()
    assert run.steps == 64 + 14  # in the first batch each simulator lost a step, so one more batch is needed
    assert run.progress is not None
    assert run.progress.simulators_restarted == 0
    assert run.progress.counters["environment_failures"] == 2
    warnings = [record.getMessage() for record in caplog.records if record.name == "actorrt.rl.rollouts.stream"]
    assert len(warnings) == 1
    assert re.match(
        r"simulator [01], incarnation 1, environment 0, step 3 of the episode with seed \d+: "
        r"ArithmeticError: this environment broke; the environment is made anew, and its episode counts as truncated",
        warnings[0],
    )


async def test_run_can_be_awaited_beside_other_work() -> None:
    progress: list[Any] = []
    async with art.Runtime(cpus=4):
        run = rl.PPO("CartPole-v1", seed=2).start(steps=512, on_progress=progress.append)
        await run
    assert [each.steps for each in progress] == [256, 512]


def test_stopped_run_ends_early_and_has_a_policy(runtime: art.Runtime) -> None:
    run = rl.PPO("CartPole-v1").start(steps=1_000_000, on_progress=lambda progress: run.stop())
    run.wait()
    assert run.steps == 256
    assert run.best.version >= 1
    assert run.progress is not None
    assert run.progress.evaluation == run.best_score is not None


def test_runs_with_invalid_settings_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="there is no environment 'CartPol-v1'; did you mean CartPole-v1"):
        rl.PPO("CartPol-v1")
    with pytest.raises(ValueError, match="simulators is at least 1: simulators=0"):
        rl.PPO("CartPole-v1", simulators=0)
    with pytest.raises(ValueError, match="seed is at least 0: seed=-1"):
        rl.PPO("CartPole-v1", seed=-1)
    with pytest.raises(ValueError, match="steps is at least 1: steps=0"):
        rl.PPO("CartPole-v1").start(steps=0)
    with pytest.raises(ValueError, match="PPO has no setting 'simulator'"):
        rl.PPO("CartPole-v1", simulator=3)
