"""Every role of a run is killed in the middle of the run, which still finishes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=4)
    art.shutdown()


class KillOnce:
    """Kills the process of a role after the third update; keeps the processes of the role then and later."""

    def __init__(self, runtime: art.Runtime, role: str) -> None:
        self._runtime, self._role = runtime, role
        self._update_count = 0
        self.pids: list[int] = []

    def __call__(self, progress: rl.Progress) -> None:
        self._update_count += 1
        if self._update_count == 3:
            self.pids += self.current_pids()
            os.kill(self.pids[0], signal.SIGKILL)
        elif self._update_count == 15:
            self.pids += self.current_pids()

    def current_pids(self) -> list[int]:
        actors = self._runtime.status().result(10)["actors"]
        return [actor["pid"] for actor in actors if self._role in actor["label"]]


class KillServer:
    """Kills the process of the parameter server between two updates; pauses the run some updates later."""

    def __init__(self, runtime: art.Runtime) -> None:
        self._find = KillOnce(runtime, "parameters")
        self.versions: list[int] = []
        self.run: rl.Run | None = None

    def __call__(self, progress: rl.Progress) -> None:
        self.versions.append(progress.metrics["policy_version"])
        if len(self.versions) == 5:
            os.kill(self._find.current_pids()[0], signal.SIGKILL)
        if len(self.versions) >= 12 and self.run is not None:
            self.run.stop()


@pytest.mark.parametrize("kind", [rl.PPO, rl.APPO, rl.IMPALA, rl.A2C, rl.A3C, rl.ARS, rl.ES])
def test_killed_parameter_server_keeps_its_versions_and_counts(runtime: art.Runtime, kind: Any, tmp_path: Path) -> None:
    kill = KillServer(runtime)
    settings: dict[str, Any] = {"normalise_observations": True, "directory": str(tmp_path), "hidden": (8, 8)}
    run = kill.run = kind("CartPole-v1", **settings).start(steps=1_000_000, on_progress=kill)
    run.wait()
    weights = checkpoint.load(str(tmp_path))["weights"]
    counted = weights["normaliser"]["observations.count"]
    assert kill.versions == sorted(set(kill.versions))
    if kind is rl.A3C:  # a gradient is applied before its simulator gets the answer
        assert counted >= run.steps
        assert weights["version"] >= kill.versions[-1]
    else:
        assert counted == run.steps
        assert weights["version"] == kill.versions[-1]


@pytest.mark.parametrize("role", ["Learner-", "Evaluator", "Simulator"])
def test_killed_role_is_replaced_and_the_run_finishes(runtime: art.Runtime, role: str) -> None:
    kill = KillOnce(runtime, role)
    run = rl.PPO("CartPole-v1", evaluate_every=512).start(steps=5_120, on_progress=kill)
    run.wait()
    assert len(set(kill.pids)) >= 2
    assert run.steps >= 5_120
    assert run.evaluations[-1][0] >= 5_120
    versions = [row["policy_version"] for row in run.rows]
    assert versions == sorted(versions)


@pytest.mark.parametrize("role", ["Evaluator", "Explorer"])
def test_killed_role_of_an_evolutionary_run_is_replaced(runtime: art.Runtime, role: str, tmp_path: Path) -> None:
    kill = KillOnce(runtime, role)
    settings: dict[str, Any] = {"evaluate_every": 512, "normalise_observations": True, "directory": str(tmp_path)}
    run = rl.ARS("CartPole-v1", **settings).start(steps=20_000, on_progress=kill).wait()
    assert len(set(kill.pids)) >= 2
    assert run.evaluations[-1][0] >= 20_000


def test_killed_learner_continues_with_the_optimiser_of_its_snapshot(runtime: art.Runtime) -> None:
    spec = rl.describe("CartPole-v1", hidden=(8, 8))
    settings = rl.PPOSettings.preset("CartPole-v1", hidden=(8, 8), epochs=3)
    server = rl.ParameterServer.spawn(rl.MlpPolicy(spec).init(seed=0)).result()
    options: dict[str, Any] = {"isolation": "process", "restart": "permanent", "snapshot_every": 1}
    learner: Any = rl.Learner.options(**options).spawn(settings, spec, server, 1_000).result()
    simulator = rl.Simulator.spawn("CartPole-v1", server, envs=2, horizon=16, policy=spec).result()
    learner.update(rl.Batch((simulator.rollout().result(),))).result()
    before = learner.state().result()
    (pid,) = (actor["pid"] for actor in runtime.status().result(10)["actors"] if "Learner" in actor["label"])
    os.kill(pid, signal.SIGKILL)
    after = learner.state.options(retries=5)().result()
    assert after["optimiser"]["step_count"] == before["optimiser"]["step_count"] == 3
    assert (after["optimiser"]["first_moment"] == before["optimiser"]["first_moment"]).all()
    assert after["rng"] == before["rng"]
