"""Evaluations of whole runs: turned off, on another environment, with limits, and where episodes never end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gymnasium
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint
from actorrt.rl.runs import loop
from tests.unit.rl.counting import CountingEnv

SETTINGS: dict[str, Any] = {"hidden": (8, 8), "environments": 2, "horizon": 64}


def endless() -> Any:
    return CountingEnv(0, truncates=False)


def steep() -> Any:
    """CartPole-v1 that begins with a fallen pole."""
    return gymnasium.make("CartPole-v1", max_episode_steps=3)


@pytest.mark.parametrize("kind", [rl.PPO, rl.ARS])
def test_newest_policy_is_the_best_without_evaluations(node_session: art.Runtime, kind: Any, tmp_path: Path) -> None:
    more = SETTINGS if kind is rl.PPO else {"directions": 2}
    seen: list[bool] = []

    class Looks(rl.Callback):
        def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
            seen.append(run.best.version == run.policy.version >= progress.metrics["policy_version"])

    algorithm = kind("CartPole-v1", evaluate_every=None, directory=str(tmp_path), **more)
    run = algorithm.start(steps=512, callbacks=[Looks()]).wait()
    assert set(seen) == {True}
    weights = checkpoint.load(str(tmp_path))["weights"]
    assert (run.best.parameters == weights["parameters"]).all()
    assert run.best.version == weights["version"] == run.rows[-1]["policy_version"]
    assert (run.evaluations, run.best_score) == ([], None)
    assert rl.load_policy(str(tmp_path / "best.policy")).version == run.best.version


@pytest.mark.parametrize("kind", [rl.PPO, rl.ES])
def test_evaluations_play_another_environment(node_session: art.Runtime, kind: Any, tmp_path: Path) -> None:
    more = SETTINGS if kind is rl.PPO else {"directions": 2, "hidden": (8,)}
    algorithm = kind("CartPole-v1", evaluation_env=steep, evaluation_deterministic=False, directory=tmp_path, **more)
    run = algorithm.start(steps=256).wait()
    assert {mean for _, mean in run.evaluations} == {3.0}


def test_episodes_that_never_end_are_evaluated_within_the_limit_of_steps(
    node_session: art.Runtime, tmp_path: Path
) -> None:
    seen: list[rl.Evaluation] = []

    class Hears(rl.Callback):
        def on_evaluation(self, run: rl.Run, steps: int, evaluation: rl.Evaluation) -> None:
            seen.append(evaluation)

    algorithm = rl.PPO(endless, evaluation_steps=200, directory=tmp_path, **SETTINGS)
    run = algorithm.start(steps=256, callbacks=[Hears()]).wait()
    assert {(evaluation.mean, evaluation.unfinished) for evaluation in seen} == {(55.0, 20)}
    assert run.best_score == 55.0


def test_run_ends_though_its_evaluations_never_do(
    node_session: art.Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**SETTINGS, "evaluate_every": 128, "evaluation_wait_s": 0.5}
    run = rl.PPO(endless, directory=tmp_path, **settings).start(steps=512).wait(30.0)
    assert (run.state, run.evaluations, run.best_score) == ("ended", [], None)
    assert run.best.version == run.rows[-1]["policy_version"]
    line = "the evaluation of the last policy was given up: it did not end in time; it counts as the best one"
    assert line in caplog.text


def test_stop_does_not_wait_for_an_evaluation_that_never_ends(
    node_session: art.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PAUSE_WAIT_S", 0.5)
    settings = {**SETTINGS, "evaluation_wait_s": None}
    is_trained = threading.Event()
    run = rl.PPO(endless, directory=tmp_path, **settings).start(
        steps=512, on_progress=lambda progress: is_trained.set() if progress.steps >= 512 else None
    )
    assert is_trained.wait(60.0)
    assert not run.done()
    run.stop()
    run.wait(30.0)
    assert (run.state, run.steps, run.best_score) == ("ended", 512, None)


def test_evaluator_whose_process_ends_again_and_again_does_not_fail_a_trained_run(
    node_session: art.Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def ending() -> Any:
        import os

        class Ending(CountingEnv):
            def step(self, action: Any) -> Any:
                os._exit(3)

        return Ending(5, truncates=False)

    settings = {**SETTINGS, "evaluate_every": 10_000}
    run = rl.PPO(lambda: CountingEnv(5, truncates=False), evaluation_env=ending, directory=tmp_path, **settings)
    ended = run.start(steps=256).wait(60.0)
    assert (ended.state, ended.steps, ended.best_score) == ("ended", 256, None)
    assert ended.best.version == 2
    assert "the evaluation of the last policy was given up: ActorDiedError: the evaluator died 6 times" in caplog.text
