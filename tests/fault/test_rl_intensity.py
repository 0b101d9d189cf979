"""Simulators that are killed all the time do not end a run, as long as each has results in between."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint

SIMULATORS, KILLS_PER_S, KILLS_COUNT = 8, 3.0, 40  # a fixed limit of 30 in 30 s would end such runs


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=SIMULATORS + 2)
    art.shutdown()


class Killer(threading.Thread):
    """Kills a random simulator several times a second; stops the run after enough kills.

    Attributes:
        count: kills so far.
    """

    def __init__(self, runtime: art.Runtime, run: rl.Run, role: str) -> None:
        super().__init__(name="killer")
        self._runtime, self._run, self._role = runtime, run, role
        self.is_over = threading.Event()
        self.count = 0

    def run(self) -> None:
        choose = random.Random(7).choice
        while self.count < KILLS_COUNT and not self.is_over.wait(1.0 / KILLS_PER_S):
            progress = self._run.progress
            if progress is not None and (self.count or progress.simulators_alive == SIMULATORS):  # all have started
                self._kill(choose(self._pids()))
        self._run.stop()

    def _pids(self) -> list[int]:
        actors = self._runtime.status().result(10)["actors"]
        return [actor["pid"] for actor in actors if self._role in actor["label"]]

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it was killed before, and its successor is not there yet
            return
        self.count += 1


@pytest.mark.parametrize(("kind", "role"), [(rl.PPO, "Simulator"), (rl.APPO, "Simulator"), (rl.ARS, "Explorer")])
def test_eight_simulators_of_which_three_are_killed_each_second_train_on(
    runtime: art.Runtime, kind: Any, role: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"evaluate_every": 1_000_000, "directory": tmp_path}
    run = kind("CartPole-v1", simulators=SIMULATORS, **settings).start(steps=10_000_000)
    killer = Killer(runtime, run, role)
    killer.start()
    try:
        run.wait(120.0)
    finally:
        killer.is_over.set()
        killer.join()
    assert killer.count == KILLS_COUNT
    assert run.progress is not None
    assert run.progress.simulators_restarted > 30
    assert checkpoint.load(str(tmp_path))["record"]["steps"] == run.steps
