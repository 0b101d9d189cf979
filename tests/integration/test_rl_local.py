"""The learning library in plain code: in local mode, and with `for` in place of `async for`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.runs import live, picture
from actorrt.rl.views import notebook


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write their checkpoints to the directory of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def local() -> Iterator[art.Runtime]:
    yield art.init(mode="local", cpus=4)
    art.shutdown()


def small_run(steps: int) -> rl.Run:
    return rl.PPO("CartPole-v1", hidden=(8, 8), epochs=1).start(steps=steps)


def test_plain_code_can_wait_for_a_run_in_the_thread_that_its_actors_use(local: art.Runtime) -> None:
    run = small_run(512)
    assert run.wait() is run
    assert run.steps == 512


def test_wait_for_a_run_that_takes_longer_times_out_and_the_run_continues(local: art.Runtime) -> None:
    run = small_run(512)
    with pytest.raises(
        TimeoutError, match=r"the run has not ended after 0.001 s: <Run ppo-CartPole-v1-0-.*: \w+ing after"
    ):
        run.wait(0.001)
    assert run.wait().steps == 512


def test_curve_and_metrics_are_saved_in_the_directory_of_the_run_or_at_a_given_path(
    local: art.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("actorrt.rl.views.curve.draw_png", lambda *arguments: drawn.append(arguments))
    run = small_run(512)
    with pytest.raises(LookupError, match="nothing has been measured yet; wait for the run, or for its first update"):
        run.save_metrics()
    run.wait()
    assert run.save_curve() == f"{run.directory}/curve.png"
    assert run.save_curve(str(tmp_path / "plots" / "run.svg")) == str(tmp_path / "plots" / "run.svg")
    points = [(row["steps"], row["return_mean"]) for row in run.rows]
    title = "PPO on CartPole-v1, seed 0"
    assert drawn == [
        (f"{run.directory}/curve.png", title, points, run.evaluations, None),  # at the end of the run
        (f"{run.directory}/curve.png", title, points, run.evaluations, None),
        (str(tmp_path / "plots" / "run.svg"), title, points, run.evaluations, None),
    ]
    with open(run.save_metrics(), encoding="utf-8") as file:
        assert [int(row["steps"]) for row in csv.DictReader(file)] == [256, 512]
    assert {entry.name for entry in Path(run.directory).iterdir()} == {"best.policy", "checkpoint", "metrics.csv"}


def test_notebook_cell_that_starts_or_awaits_a_run_does_not_draw_it_twice(
    local: art.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace(execution_count=3)
    handle = SimpleNamespace(update=lambda picture: None)
    monkeypatch.setattr(notebook, "_shell", lambda: shell)
    monkeypatch.setattr(live, "view", lambda: live.NotebookView(lambda picture, display_id: handle))
    monkeypatch.setattr(picture, "as_html", lambda run: "drawn")
    run = small_run(256)
    drawn = [run._repr_html_()]
    shell.execution_count = 4
    drawn.append(run._repr_html_())
    drawn.append(run.wait()._repr_html_())
    shell.execution_count = 5
    drawn.append(run._repr_html_())
    assert drawn == [None, "drawn", None, "drawn"]


def test_runs_can_be_waited_for_together(local: art.Runtime) -> None:
    runs = [small_run(256), small_run(512)]
    done, pending = art.wait(runs, count=2).result()
    assert (done, pending) == (runs, [])
    assert [run.steps for run in art.gather(*runs).result()] == [256, 512]


def test_run_ends_with_its_runtime(local: art.Runtime) -> None:
    run = small_run(1_000_000)
    art.shutdown()
    with pytest.raises(art.ActorRtError):
        run.wait(10.0)


def test_batches_are_read_in_a_plain_loop(session: art.Runtime) -> None:
    spec = rl.describe("CartPole-v1", hidden=(8, 8))
    server = rl.ParameterServer.spawn(rl.MlpPolicy(spec).init(seed=0)).result()
    simulators = rl.Simulator.spawn_many(2, "CartPole-v1", server, envs=2, horizon=4, policy=spec).result()
    batches = rl.stream(simulators, steps=16, max_lag=0)
    keys = []
    for batch in batches:
        assert batch.step_count >= 16
        keys += [fragment.key for fragment in batch.fragments]
        if len(keys) >= 8:
            break
    batches.close()
    assert len(set(keys)) == len(keys)
