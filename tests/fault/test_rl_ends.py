"""Runs that can't continue end with an error that names the cause and the checkpoint that is left."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint
from tests.running import Script, children_of, descendants_of, wait_until_none_runs

SCRIPT = """
import actorrt.rl.runs.loop
from actorrt import rl

actorrt.rl.runs.loop.CHECKPOINT_PERIOD_S = 0.0  # always, so that the kill hits a checkpoint that is being written


class PrintingCallback(rl.Callback):
    def on_checkpoint(self, run, path):
        print(run.saved_steps, flush=True)


rl.KIND("CartPole-v1", hidden=(8, 8), directory="run").start(steps=10_000_000, callbacks=[PrintingCallback()]).wait()
"""


@pytest.fixture
def runtime() -> Iterator[art.Runtime]:
    yield art.init(cpus=4)
    art.shutdown()


def failed_run(kind: Any, kill: Callable[[], None], directory: Path) -> art.ActorDiedError:
    """Call `kill` at the third update of a run, and return the error of the run."""
    count = 0

    def on_progress(_: rl.Progress) -> None:
        nonlocal count
        count += 1
        if count == 3:
            kill()

    algorithm = kind("CartPole-v1", hidden=(8, 8), directory=str(directory))
    with pytest.raises(art.ActorDiedError) as failure:
        algorithm.start(steps=10_000_000, on_progress=on_progress).wait()
    return failure.value


@pytest.mark.parametrize("kind", [rl.PPO, rl.IMPALA, rl.A3C])
def test_error_of_a_run_names_its_killed_supervisor(runtime: art.Runtime, kind: Any, tmp_path: Path) -> None:
    def kill() -> None:
        actors = runtime.status().result(10)["actors"]
        os.kill(next(actor["pid"] for actor in actors if "Training-" in actor["label"]), signal.SIGKILL)

    error = failed_run(kind, kill, tmp_path)
    assert str(error) == "the supervisor of the run is gone: crashed (SIGKILL); its roles ended with it"
    assert error.reason is not None
    assert error.reason.signal == signal.SIGKILL
    assert re.fullmatch(r"the run failed after [\d,]+ steps; it had no checkpoint yet", error.__notes__[-1])


def test_run_of_ars_whose_supervisor_was_killed_can_be_resumed(runtime: art.Runtime, tmp_path: Path) -> None:
    def kill() -> None:
        actors = runtime.status().result(10)["actors"]
        os.kill(next(actor["pid"] for actor in actors if "Evolution-" in actor["label"]), signal.SIGKILL)

    note = failed_run(rl.ARS, kill, tmp_path).__notes__[-1]
    saved = checkpoint.load(str(tmp_path))
    steps = saved["record"]["steps"]
    assert saved["weights"]["version"] >= 3
    assert note == (
        f"the run failed after {steps:,} steps; rl.ARS.resume({str(tmp_path)!r}).start(steps=10_000_000) resumes "
        f"from its checkpoint of {steps:,} steps"
    )
    assert rl.ARS.resume(str(tmp_path)).start(steps=steps + 1).wait().steps > steps


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_error_of_a_run_names_its_killed_node(kind: Any, tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    art.init(cpus=4)
    (node_pid,) = set(children_of(os.getpid())) - before
    try:
        error = failed_run(kind, lambda: os.kill(node_pid, signal.SIGKILL), tmp_path)
    finally:
        art.shutdown()
    assert f"node_lost: the node daemon (process {node_pid}) ended" in str(error)
    assert error.__notes__[-1].startswith("the run failed after ")


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_run_that_is_killed_before_its_first_checkpoint_ends_without_an_error(
    runtime: art.Runtime, kind: Any, tmp_path: Path
) -> None:
    class KillsIt(rl.Callback):
        def on_evaluation(self, run: rl.Run, steps: int, evaluation: rl.Evaluation) -> None:
            run.kill()
            run.kill()  # a second kill does not interrupt the end that the first began

    directory = tmp_path / "run"
    algorithm = kind("CartPole-v1", hidden=(8, 8), evaluate_every=1, evaluation_episodes=1, directory=str(directory))
    run = algorithm.start(steps=10_000_000, callbacks=[KillsIt()]).wait(60)
    assert run.state == "paused"
    assert rl.load_policy(str(directory / "best.policy")).version == run.best.version


def test_run_that_is_killed_in_its_start_callback_ends_without_an_error(runtime: art.Runtime, tmp_path: Path) -> None:
    class KillsIt(rl.Callback):
        async def on_start(self, run: rl.Run) -> None:
            run.kill()
            await asyncio.Event().wait()

    run = rl.PPO("CartPole-v1", directory=str(tmp_path)).start(steps=256, callbacks=[KillsIt()]).wait(60)
    assert run.steps == 0
    assert run.error() is None


def test_error_of_a_run_names_a_node_killed_while_the_run_starts(tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    art.init(cpus=4)
    (node_pid,) = set(children_of(os.getpid())) - before
    try:
        run = rl.PPO("CartPole-v1", directory=str(tmp_path)).start(steps=10_000_000)
        os.kill(node_pid, signal.SIGKILL)
        with pytest.raises(art.ActorRtError, match=f"process {node_pid}\\) ended|the runtime was shut down"):
            run.wait()
    finally:
        art.shutdown()


@pytest.mark.parametrize("kind", [rl.PPO, rl.A3C, rl.ES])
def test_killed_script_leaves_only_a_complete_checkpoint(kind: Any, tmp_path: Path) -> None:
    with Script(SCRIPT.replace("KIND", kind.__name__), tmp_path) as script:
        saved_steps = [int(script.line()) for _ in range(5)]
        pids = descendants_of(script.pid)
        script.send(signal.SIGKILL)
        wait_until_none_runs([script.pid, *pids], 20.0)
    steps = checkpoint.load(str(tmp_path / "run"))["record"]["steps"]
    assert steps >= saved_steps[-1]
    art.init(mode="local", cpus=4)
    try:
        run = kind.resume(str(tmp_path / "run")).start(steps=steps + 1).wait()
    finally:
        art.shutdown()
    assert run.steps > steps
