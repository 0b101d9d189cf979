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


class Killer(rl.Callback):
    """Kills a random simulator several times a second, and each incarnation only after a result of it was trained on.

    So a restart follows each kill, however slow the machine is, and a kill never hits a process that is dead already.
    Stops the run when every simulator was trained on again after its last kill.

    Attributes:
        count: kills so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._is_over = threading.Event()
        self._changed = threading.Condition()
        self._newest: dict[int, tuple[int, int]] = {}  # incarnation and process id, by simulator
        self._killed: dict[int, int] = {}  # incarnation, by simulator
        self._thread = threading.Thread(target=self._kill_all, name="killer")

    def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
        with self._changed:
            for simulator, incarnation, pid in progress.trained_on:
                self._newest[simulator] = max(self._newest.get(simulator, (0, 0)), (incarnation, pid))
            self._changed.notify()
            if self.count == KILLS_COUNT and len(self._victims()) == SIMULATORS:
                run.stop()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Kill nothing any more."""
        with self._changed:
            self._is_over.set()
            self._changed.notify()
        self._thread.join()

    def _kill_all(self) -> None:
        choose = random.Random(7).choice
        self._wait_until(lambda: len(self._newest) == SIMULATORS)
        while self.count < KILLS_COUNT and not self._is_over.wait(1.0 / KILLS_PER_S):
            self._wait_until(self._victims)
            with self._changed:
                if not self._is_over.is_set():
                    self._kill(choose(self._victims()))

    def _wait_until(self, is_so: Any) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over.is_set() or is_so())

    def _victims(self) -> list[int]:
        """Return the simulators that were trained on after they were killed last."""
        return sorted(k for k, (incarnation, _) in self._newest.items() if incarnation > self._killed.get(k, 0))

    def _kill(self, simulator: int) -> None:
        self._killed[simulator], pid = self._newest[simulator]
        os.kill(pid, signal.SIGKILL)
        self.count += 1


@pytest.mark.parametrize(("kind", "own"), [(rl.PPO, {}), (rl.APPO, {}), (rl.ARS, {"directions": SIMULATORS})])
def test_eight_simulators_of_which_three_are_killed_each_second_train_on(
    runtime: art.Runtime, kind: Any, own: dict[str, Any], tmp_path: Path
) -> None:
    killer = Killer()
    settings: dict[str, Any] = {"simulators": SIMULATORS, "evaluate_every": 1_000_000, "directory": tmp_path, **own}
    run = kind("CartPole-v1", **settings).start(steps=10_000_000, callbacks=[killer])
    killer.start()
    try:
        run.wait(120.0)
    finally:
        killer.end()
    assert killer.count == KILLS_COUNT
    assert run.progress is not None
    assert run.progress.simulators_restarted >= KILLS_COUNT
    assert checkpoint.load(str(tmp_path))["record"]["steps"] == run.steps
