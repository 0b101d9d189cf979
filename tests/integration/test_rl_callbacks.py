"""Callbacks, plain or async, are called for the events of a run; they can end it early or with an error."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.views import curve

SETTINGS: dict[str, Any] = {"hidden": (8, 8), "epochs": 1, "evaluate_every": 512}


class RecordingCallback(rl.Callback):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_start(self, run: rl.Run) -> None:
        self.events.append("start")

    async def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
        await asyncio.sleep(0)
        self.events.append(progress.steps)

    async def on_evaluation(self, run: rl.Run, steps: int, evaluation: rl.Evaluation) -> None:
        self.events.append(("evaluation", steps, len(evaluation.returns)))

    def on_checkpoint(self, run: rl.Run, path: str) -> None:
        self.events.append(Path(path).name)

    def on_end(self, run: rl.Run) -> None:
        self.events.append("end")


@pytest.mark.parametrize("kind", [rl.PPO, rl.ES])
async def test_evaluations_have_the_number_of_episodes_of_the_settings(kind: Any, tmp_path: Path) -> None:
    callback, more = RecordingCallback(), {"hidden": (8, 8), "evaluation_episodes": 3, "directory": str(tmp_path)}
    async with art.Runtime(mode="local", cpus=4):
        await kind("CartPole-v1", **more).start(steps=64, callbacks=[callback])
    assert [event[2] for event in callback.events if isinstance(event, tuple)] == [3]
    assert kind.resume(str(tmp_path)).settings.evaluation_episodes == 3


async def test_callbacks_are_called_for_every_event_in_order(tmp_path: Path) -> None:
    callback, seen = RecordingCallback(), []

    async def function(progress: rl.Progress) -> None:
        seen.append(progress.update)

    async with art.Runtime(mode="local", cpus=4):
        algorithm = rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS)
        await algorithm.start(steps=512, callbacks=[callback, function])
    assert callback.events == [
        *("start", 256, 512, "checkpoint"),
        *(("evaluation", 512, 20), "checkpoint", "end"),
    ]
    assert seen == [1, 2]


@pytest.mark.parametrize("kind", [rl.PPO, rl.A3C])
async def test_fragments_are_told_before_the_update_that_they_led_to(kind: Any, tmp_path: Path) -> None:
    heard: list[Any] = []

    class Counting(rl.Callback):
        async def on_fragment(self, run: rl.Run, fragment: rl.Fragment) -> None:
            heard.append((fragment.simulator, fragment.step_count))

        def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
            heard.append(progress.steps)

    async with art.Runtime(mode="local", cpus=4):
        algorithm = kind("CartPole-v1", directory=str(tmp_path), environments=4, horizon=16, hidden=(8, 8))
        await algorithm.start(steps=128, callbacks=[Counting()])
    told = [each for each in heard if isinstance(each, tuple)]
    assert len(told) == 4
    assert {steps for _, steps in told} == {32}
    if kind is rl.PPO:
        assert heard == [(0, 32), (1, 32), 64, (0, 32), (1, 32), 128]


@pytest.mark.parametrize("kind", [rl.PPO, rl.ES])
async def test_newest_policy_of_a_run_is_there_at_any_time(kind: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    async with art.Runtime(mode="local", cpus=4):
        algorithm = kind("CartPole-v1", directory=str(tmp_path), hidden=(8, 8), evaluate_every=None)
        run = algorithm.start(
            steps=512, on_progress=lambda progress: seen.append((progress.update, run.policy.version))
        )
        await run
    assert seen
    assert all(update == version for update, version in seen)
    assert run.policy.version == seen[-1][1]
    assert run.policy(np.zeros((3, 4))).shape == (3,)
    assert (run.policy.parameters == run.best.parameters).all()


def test_newest_policy_can_be_read_beside_a_run_in_processes(node_session: art.Runtime, tmp_path: Path) -> None:
    run = rl.PPO("CartPole-v1", directory=str(tmp_path), hidden=(8, 8)).start(steps=100_000)
    assert (run.policy.parameters == run.plan.weights.parameters).all() or run.policy.version > 0
    versions = [run.policy.version]
    while versions[-1] < 3:
        versions.append(run.policy.version)
    run.kill()
    run.wait()
    assert versions == sorted(versions)
    assert run.policy.version == 0  # there was no checkpoint


async def test_run_leaves_its_metrics_and_its_curve(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=4):
        run = await rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS).start(steps=512)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].split(",") == list(run.rows[-1])
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left - {"curve.png"} == {"best.policy", "checkpoint", "metrics.csv"}
    if curve.can_draw_png():
        assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


async def test_run_whose_evaluations_stop_improving_is_stopped(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=4):
        algorithm = rl.ARS("CartPole-v1", directory=str(tmp_path), deviation=1e-6, learning_rate=1e-9, evaluate_every=1)
        run = await algorithm.start(steps=1_000_000, callbacks=[rl.EarlyStop(patience=3, min_improvement=100.0)])
    assert run.steps < 1_000_000
    assert not run.is_reached
    assert len(run.evaluations) >= 4


async def test_error_of_a_callback_ends_the_run(tmp_path: Path) -> None:
    callback = RecordingCallback()

    def fail(progress: rl.Progress) -> None:
        raise LookupError("the callback's own mistake")

    async with art.Runtime(mode="local", cpus=4):
        run = rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS).start(steps=512, callbacks=[fail, callback])
        with pytest.raises(LookupError, match="the callback's own mistake"):
            await run
    assert callback.events == ["start", "checkpoint", "end"]


def test_value_that_is_no_callback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a callback is an rl.Callback or a function of rl.Progress, not 7"):
        rl.PPO("CartPole-v1", directory=str(tmp_path)).start(callbacks=[7])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"function of rl.Progress, not <class 'actorrt.rl.runs.callbacks.EarlyStop'>$"):
        rl.PPO("CartPole-v1", directory=str(tmp_path)).start(callbacks=[rl.EarlyStop])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"^callbacks is a list, as in callbacks=\[rl.EarlyStop\(\)\]: callbacks=<"):
        rl.PPO("CartPole-v1", directory=str(tmp_path)).start(callbacks=rl.EarlyStop())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="patience is at least 1: patience=0"):
        rl.EarlyStop(0)
    with pytest.raises(ValueError, match="min_improvement is a finite number: min_improvement=nan"):
        rl.EarlyStop(min_improvement=math.nan)


async def test_early_stop_counts_anew_in_each_run(tmp_path: Path) -> None:
    stop = rl.EarlyStop(patience=2, min_improvement=100.0)
    counts = []
    async with art.Runtime(mode="local", cpus=4):
        for name in ("first", "second"):
            settings: dict[str, Any] = {"deviation": 1e-6, "learning_rate": 1e-9, "evaluate_every": 1}
            algorithm = rl.ARS("CartPole-v1", directory=str(tmp_path / name), **settings)
            counts.append(len((await algorithm.start(steps=1_000_000, callbacks=[stop])).evaluations))
    assert min(counts) >= 3


def test_restarts_of_simulators_are_reported_to_callbacks(node_session: art.Runtime, tmp_path: Path) -> None:
    restarts: list[int] = []

    class Restarts(rl.Callback):
        def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
            for _, _, process_id in progress.trained_on if progress.update == 1 else ():
                os.kill(process_id, signal.SIGKILL)

        def on_restart(self, run: rl.Run, progress: rl.Progress) -> None:
            restarts.append(progress.simulators_restarted)

    algorithm = rl.PPO("CartPole-v1", environments=2, horizon=8, directory=str(tmp_path), hidden=(8, 8))
    algorithm.start(steps=64, callbacks=[Restarts()]).wait()
    assert restarts[-1] == 2


async def test_times_of_the_phases_are_within_the_time_of_the_run(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=4):
        run = await rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS).start(steps=1_024)
    assert run.progress is not None
    times = run.progress.times
    assert 0.0 < times.sampling_s < run.progress.running_s
    assert times.sampling_s < times.waiting_s  # on one loop, a wait is a wait for all simulators
    assert 0.0 < times.learning_s < run.progress.running_s
    assert times.waiting_s + times.learning_s <= run.progress.running_s
    assert run.rows[-1]["sampling_s"] == times.sampling_s
    assert run.rows[-1]["return_std"] > 0.0
