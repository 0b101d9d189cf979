"""Environments that misbehave: the run ends with an error that says where, or continues."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gymnasium")

from gymnasium.wrappers import TimeLimit

import actorrt as art
from actorrt import rl
from tests.integration.misbehaving_environments import Misbehaving

SMALL: dict[Any, dict[str, Any]] = {
    rl.PPO: {"hidden": (8, 8), "environments": 2, "horizon": 16},
    rl.ARS: {"directions": 2},
}
STEPS = 128


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=4)
    art.shutdown()


@pytest.fixture
def local_runtime() -> Iterator[art.Runtime]:
    yield art.init(mode="local", cpus=4)
    art.shutdown()


def start(kind: Any, environment: Misbehaving, directory: Path, **options: Any) -> rl.Run:
    run: rl.Run = kind(environment, directory=str(directory), **SMALL[kind], **options).start(steps=STEPS)
    return run


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("raise_in_reset", ArithmeticError, "can't be reset"),
        ("raise_in_step", ArithmeticError, "can't be stepped"),
        ("nan_reward", ValueError, "a reward is infinite or NaN: nan"),
        ("infinite_reward", ValueError, "a reward is infinite or NaN: inf"),
        ("no_reward", ValueError, "returned the reward None of type NoneType: return one number"),
        ("nan_obs", ValueError, r"an observation is infinite or NaN: \[nan"),
        ("larger_obs", ValueError, r"an observation of shape \(\d+,\) is not in a space of shape \(4,\)"),
        ("textual_obs", ValueError, "an observation is no array of numbers"),
        ("four_values", ValueError, r"step\(\) of .* returned 4 values; in Gymnasium it is five"),
    ],
)
def test_fault_of_an_environment_ends_the_run_and_the_error_says_where(
    local_runtime: art.Runtime, tmp_path: Path, kind: Any, how: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        start(kind, Misbehaving(how), tmp_path).wait()
    place = r"simulator \d, incarnation \d, environment \d, step \d of the episode with seed \d+"
    assert re.fullmatch(place, raised.value.__notes__[0])
    assert raised.value.__notes__[-1].startswith("the run failed after 0 steps; rl.")


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("kind", [rl.PPO, rl.APPO, rl.A3C, rl.ARS])
def test_environment_that_fails_now_and_then_costs_its_episodes_only(
    local_runtime: art.Runtime, tmp_path: Path, kind: Any, native: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if native and kind is rl.ARS:
        pytest.skip("explorers step single environments")
    settings = SMALL.get(kind, {"hidden": (8, 8), "environments": 4, "horizon": 128})
    env: Any = "NowAndThen-v0" if native else lambda: TimeLimit(Misbehaving("raise_now_and_then")(), 100)
    with caplog.at_level(logging.WARNING):
        run = kind(env, directory=str(tmp_path), native=native, **settings).start(steps=4_000).wait()
    assert run.steps >= 4_000
    assert run.progress is not None
    assert run.progress.simulators_restarted == 0
    assert run.progress.counters["environment_failures"] >= 5
    assert run.metrics.column("environment_failures")[-1].as_py() >= 5
    lines = [line for line in caplog.messages if "can't be stepped" in line and not line.startswith("an evaluation")]
    assert len(lines) == 1
    assert re.match(r"simulator \d, incarnation 1, .*: ArithmeticError: can't be stepped; ", lines[0])


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_first_failure_ends_the_run_where_that_is_wanted(local_runtime: art.Runtime, tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ArithmeticError, match="can't be stepped") as raised:
        start(kind, Misbehaving("raise_now_and_then"), tmp_path, on_env_error="fail").wait()
    assert re.match(r"(simulator \d, incarnation 1, environment \d|an evaluation, )", raised.value.__notes__[0])


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
@pytest.mark.parametrize("how", ["other_types", "print_much", "leak_threads", "raise_in_close"])
def test_unusual_but_harmless_environment_is_accepted(
    runtime: art.Runtime, tmp_path: Path, kind: Any, how: str
) -> None:
    assert start(kind, Misbehaving(how, os.getpid()), tmp_path).wait().steps >= STEPS


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_environment_that_can_not_be_created_fails_the_start(runtime: art.Runtime, tmp_path: Path, kind: Any) -> None:
    with pytest.raises(art.ActorStartError, match="ArithmeticError: can't be made"):
        start(kind, Misbehaving("raise_when_made", os.getpid()), tmp_path).wait()


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_environment_that_ends_its_process_every_time_ends_the_run(
    runtime: art.Runtime, tmp_path: Path, kind: Any
) -> None:
    died = r"simulator \d died 6 times in a row: .* died during \w+\(\) .*: crashed \(exit status 3\)"
    with pytest.raises(art.ActorDiedError, match=died) as failure:
        start(kind, Misbehaving("exit_process", os.getpid()), tmp_path).wait()
    assert failure.value.reason is not None
    assert failure.value.reason.kind is art.ExitKind.INTENSITY
    assert re.search(r"resumes from its checkpoint of \d+ steps$", failure.value.__notes__[-1])


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_environment_that_can_not_be_created_again_ends_the_run(
    runtime: art.Runtime, tmp_path: Path, kind: Any
) -> None:
    environment = Misbehaving("raise_when_made", os.getpid(), str(tmp_path / "mark"))
    with pytest.raises(ArithmeticError, match="can't be made") as raised:
        start(kind, environment, tmp_path, simulators=1).wait()
    assert raised.value.__notes__[0].startswith("simulator 0, incarnation ")


def test_error_of_an_evaluation_says_where_its_environment_raised(tmp_path: Path) -> None:
    policy = rl.MlpPolicy(rl.describe("CartPole-v1"))
    policy.init(seed=0)
    with pytest.raises(ValueError, match="a reward is infinite or NaN") as raised:
        rl.evaluate(policy, Misbehaving("nan_reward"), episodes=2)
    assert re.fullmatch(r"an evaluation, environment 0, step 5 of the episode with seed \d+", raised.value.__notes__[0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of the same
@pytest.mark.parametrize("kind", [rl.PPO, rl.IMPALA, rl.A2C, rl.A3C])
def test_diverged_update_ends_the_run_and_is_not_saved(local_runtime: art.Runtime, tmp_path: Path, kind: Any) -> None:
    settings: dict[str, Any] = {"hidden": (8, 8), "environments": 2, "horizon": 16}
    run = kind("CartPole-v1", learning_rate=1e38, directory=str(tmp_path), **settings).start(steps=100_000)
    with pytest.raises(rl.DivergedError, match=r"infinite or NaN.*try a smaller learning_rate"):
        run.wait()
    assert not (tmp_path / "checkpoint").exists()


def test_simulator_that_dies_while_it_replays_gets_the_replay_again(runtime: art.Runtime, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    environment = Misbehaving("behave", os.getpid(), str(mark))
    start(rl.PPO, environment, tmp_path).wait()
    mark.unlink()
    run = rl.PPO.resume(str(tmp_path), env=environment).start(steps=4 * STEPS).wait()
    assert mark.exists()
    assert run.steps >= 4 * STEPS
    assert run.progress is not None
    assert run.progress.simulators_restarted >= 1
