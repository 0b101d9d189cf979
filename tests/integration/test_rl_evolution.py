"""Runs of the evolutionary algorithms: one seed gives one run with any simulators, also if some die."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint
from tests.running import Node

SETTINGS: dict[str, Any] = {"directions": 4, "normalise_observations": True, "evaluate_every": 10_000}


def end_of(directory: Path) -> Any:
    return checkpoint.load(str(directory))["weights"]


def assert_same_end(first: Path, second: Path) -> None:
    ends = end_of(first), end_of(second)
    assert ends[0]["version"] == ends[1]["version"] > 0
    assert (ends[0]["parameters"] == ends[1]["parameters"]).all()
    assert (ends[0]["normaliser"]["observations.mean"] == ends[1]["normaliser"]["observations.mean"]).all()


@pytest.mark.parametrize("kind", [rl.ARS, rl.ES])
async def test_one_seed_gives_one_run_with_any_number_of_simulators(tmp_path: Path, kind: Any) -> None:
    async with art.Runtime(mode="local", cpus=8):
        for count in (1, 3):
            algorithm = kind("CartPole-v1", simulators=count, seed=2, directory=str(tmp_path / str(count)), **SETTINGS)
            run = await algorithm.start(steps=1_500)
    assert run.steps >= 1_500
    assert len(run.evaluations) == 1
    assert_same_end(tmp_path / "1", tmp_path / "3")


@pytest.mark.parametrize("kind", [rl.ARS, rl.ES])
async def test_resumed_run_equals_an_uninterrupted_run(tmp_path: Path, kind: Any) -> None:
    async with art.Runtime(mode="local", cpus=8):
        whole = await kind("CartPole-v1", seed=2, directory=str(tmp_path / "whole"), **SETTINGS).start(steps=1_500)
        await kind("CartPole-v1", seed=2, directory=str(tmp_path / "half"), **SETTINGS).start(steps=500)
        again = await kind.resume(str(tmp_path / "half")).start(steps=1_500)
    assert again.steps == whole.steps
    assert_same_end(tmp_path / "whole", tmp_path / "half")


def test_killed_simulator_does_not_change_the_result(node: Node, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_once(progress: rl.Progress) -> None:
        if not killed:
            killed.append(progress.trained_on[0][2])
            os.kill(killed[0], signal.SIGKILL)

    art.init(address=node.url)
    try:
        for name, listener in (("calm", None), ("disturbed", kill_once)):
            algorithm = rl.ARS("CartPole-v1", simulators=2, seed=2, directory=str(tmp_path / name), **SETTINGS)
            algorithm.start(steps=3_000, on_progress=listener).wait()
    finally:
        art.shutdown()
    assert len(killed) == 1
    assert_same_end(tmp_path / "calm", tmp_path / "disturbed")


def test_environment_that_raises_is_made_anew_and_the_error_reported(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    art.init(address=node.url)
    try:
        algorithm = rl.ARS(
            "tests.integration.raising:RaisesOnce-v0", simulators=1, directory=str(tmp_path), directions=2
        )
        run = algorithm.start(steps=50).wait()
    finally:
        art.shutdown()
    assert run.steps >= 50
    warnings = [record.getMessage() for record in caplog.records if record.name == "actorrt.rl.evolution.loop"]
    assert len(warnings) == 1
    assert warnings[0].startswith("simulator 0, incarnation 1, environment 0, step 3 of the episode with seed ")
    assert "ArithmeticError: this environment broke; the environment is made anew, and its episode is" in warnings[0]
    assert run.progress is not None
    assert (run.progress.simulators_restarted, run.progress.counters["environment_failures"]) == (0, 1)


def test_simulators_that_join_and_leave_do_not_change_the_run(node_session: art.Runtime, tmp_path: Path) -> None:
    sources: list[set[int]] = []
    sizes: set[int] = set()

    def resize(progress: rl.Progress) -> None:
        sources.append({simulator for simulator, _, _ in progress.trained_on})
        sizes.add(progress.simulators)
        if not set().union(*sources) & {1, 2}:
            changing.resize(3)
        else:
            changing.resize(1)
            if sources[-1] == {0} and progress.simulators_alive == 1:
                changing.stop()

    def end(progress: rl.Progress) -> None:
        if progress.update == len(sources):
            calm.stop()

    changing = rl.ARS("CartPole-v1", simulators=1, seed=2, directory=str(tmp_path / "changing"), **SETTINGS)
    changing = changing.start(steps=1_000_000, on_progress=resize)
    changing.wait()
    calm = rl.ARS("CartPole-v1", simulators=1, seed=2, directory=str(tmp_path / "calm"), **SETTINGS)
    calm = calm.start(steps=1_000_000, on_progress=end)
    calm.wait()
    assert sources[0] == {0}
    assert sizes == {1, 3}
    assert_same_end(tmp_path / "calm", tmp_path / "changing")


def test_simulators_that_join_in_the_middle_of_an_update_take_part_in_it(
    node_session: art.Runtime, tmp_path: Path
) -> None:
    sources: list[set[int]] = []

    def note(progress: rl.Progress) -> None:
        sources.append({simulator for simulator, _, _ in progress.trained_on})
        run.stop()

    settings: dict[str, Any] = {"directions": 2_000, "simulators": 1, "directory": str(tmp_path)}
    run = rl.ARS("CartPole-v1", **settings).start(steps=1_000_000, on_progress=note)
    run.resize(3)
    run.wait()
    assert sources == [{0, 1, 2}]


async def test_other_algorithms_refuse_to_change_their_simulators(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    async with art.Runtime(mode="local", cpus=4):
        run = rl.PPO("CartPole-v1", hidden=(8, 8), directory=str(tmp_path)).start(steps=256)
        with pytest.raises(
            ValueError, match="PPO can't change the number of its simulators during a run; ARS and ES can"
        ):
            run.resize(3)
        with pytest.raises(ValueError, match="simulators is at least 1: simulators=0"):
            run.resize(0)
        await run


class EndlessEnv(gymnasium.Env[Any, Any]):
    """Episodes that never end; opens a pipe in the first step."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, pipe: str) -> None:
        self._pipe, self._is_told = pipe, False

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        if not self._is_told:
            os.close(os.open(self._pipe, os.O_WRONLY))
            self._is_told = True
        return np.zeros(2, np.float32), 1.0, False, False, {}


def test_stop_ends_a_run_whose_episodes_never_end(
    node_session: art.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actorrt.rl.evolution.loop.PAUSE_WAIT_S", 0.05)
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    settings: dict[str, Any] = {"simulators": 1, "evaluate_every": None, "directory": tmp_path / "run"}
    run = rl.ARS(functools.partial(EndlessEnv, pipe), **settings).start(steps=1_000)
    os.close(os.open(pipe, os.O_RDONLY))  # waits until an episode has begun
    run.stop()
    run.wait(60.0)
    assert run.steps == 0
    assert "update 1 was given up: its episodes did not end in time for the stop" in caplog.text
    assert checkpoint.load(str(tmp_path / "run"))["weights"]["version"] == 0


class DeadlyEnv(gymnasium.Env[Any, Any]):
    """Ends its process when it is made there, as long as there is a file of its test, which it removes."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, file: str, harmless: int) -> None:
        if os.getpid() != harmless:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file)
                os.kill(os.getpid(), signal.SIGKILL)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 1.0, True, False, {}


@pytest.mark.parametrize("name", ["ARS", "PPO", "APPO", "A3C"])
def test_simulator_that_dies_in_its_first_start_is_replaced(
    node_session: art.Runtime, tmp_path: Path, name: str
) -> None:
    if name != "ARS":
        pytest.importorskip("torch")
    (tmp_path / "deadly").touch()
    settings: dict[str, Any] = {"simulators": 2, "evaluate_every": None, "directory": tmp_path / "run"}
    make = functools.partial(DeadlyEnv, str(tmp_path / "deadly"), os.getpid())
    run = getattr(rl, name)(make, **settings).start(steps=100).wait()
    assert run.steps >= 100
    assert not (tmp_path / "deadly").exists()
