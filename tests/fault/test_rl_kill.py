"""Every role of a run is killed in its middle; training goes on to its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=4)
    art.shutdown()


class KillOnce:
    """Kills the process of a role after the third update, and notes what is seen then and later."""

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


@pytest.mark.parametrize("role", ["Learner", "Evaluator", "Simulator", "parameters"])
def test_killed_role_is_replaced_and_the_run_comes_to_its_end(runtime: art.Runtime, role: str) -> None:
    kill = KillOnce(runtime, role)
    run = rl.PPO("CartPole-v1", evaluate_every=512).start(steps=5_120, on_progress=kill)
    run.wait()
    assert len(set(kill.pids)) >= 2
    assert run.steps >= 5_120
    assert run.evaluations[-1][0] >= 5_120
    versions = [row["policy_version"] for row in run.rows]
    assert versions == sorted(versions)
