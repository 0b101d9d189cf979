"""Runs that are paused and resumed, on one loop and in scripts."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint
from tests.running import own_directory, run_script

SETTINGS: dict[str, Any] = {
    "hidden": (8, 8),
    "epochs": 2,
    "minibatch_size": 64,
    "normalise_observations": True,
    "normalise_rewards": True,
}


async def trained(
    directory: Path, *, stop_at: int | None = None, steps: int = 2048, simulators: int = 2, max_lag: int = 0
) -> rl.Run:
    def on_progress(progress: rl.Progress) -> None:
        if progress.steps == stop_at:
            run.stop()

    options: dict[str, Any] = {"simulators": simulators, "seed": 3, "directory": str(directory), "max_lag": max_lag}
    algorithm = rl.PPO("CartPole-v1", **options, **SETTINGS)
    run = algorithm.start(steps=steps, on_progress=on_progress)
    return await run


async def test_directory_of_a_run_that_is_under_way_is_refused_until_its_end(tmp_path: Path) -> None:
    refusal = r"^directory='.*' is that of a run which is under way: wait for its end, or give another directory$"
    async with art.Runtime(mode="local", cpus=4):
        algorithm = rl.ARS("CartPole-v1", directory=tmp_path)
        run = algorithm.start(steps=10_000_000, on_progress=lambda progress: progress.update == 3 and run.stop())
        with pytest.raises(ValueError, match=refusal):
            algorithm.start(steps=100)
        await run
        resumed = await rl.ARS.resume(tmp_path).start(steps=run.steps + 1)
    assert resumed.steps > run.steps


async def test_live_run_in_the_directory_that_it_chose_itself_can_not_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refusals: list[str] = []

    class Resuming(rl.Callback):
        def on_checkpoint(self, run: rl.Run, path: str) -> None:
            with pytest.raises(ValueError, match="is that of a run which is under way") as raised:
                rl.ARS.resume(run.directory).start(steps=1_000_000)
            refusals.append(str(raised.value))

    async with art.Runtime(mode="local", cpus=4):
        run = await rl.ARS("CartPole-v1", evaluate_every=None).start(steps=100, callbacks=[Resuming()])
        assert refusals
        resumed = await rl.ARS.resume(run.directory).start(steps=run.steps + 1)
    assert resumed.steps > run.steps


@pytest.mark.parametrize("max_lag", [0, 1])
@pytest.mark.parametrize("simulators", [1, 2, 8])
async def test_resumed_run_equals_an_uninterrupted_run_bit_for_bit(
    tmp_path: Path, simulators: int, max_lag: int
) -> None:
    options = {"simulators": simulators, "max_lag": max_lag}
    async with art.Runtime(mode="local", cpus=16):
        whole = await trained(tmp_path / "whole", **options)
        paused = await trained(tmp_path / "paused", stop_at=1024, **options)
        assert paused.steps == 1024
        resumed = await rl.PPO.resume(paused.directory).start(steps=2048)
    assert resumed.steps == 2048
    assert [row["steps"] for row in resumed.rows] == list(range(256, 2049, 256))
    ends = [checkpoint.load(run.directory) for run in (whole, resumed)]
    assert ends[0]["weights"]["version"] == ends[1]["weights"]["version"] == 8
    assert (ends[0]["weights"]["parameters"] == ends[1]["weights"]["parameters"]).all()
    for name in ("observations.mean", "observations.squares", "returns.mean"):
        assert (ends[0]["weights"]["normaliser"][name] == ends[1]["weights"]["normaliser"][name]).all()
    assert [row["value_loss"] for row in whole.rows] == [row["value_loss"] for row in resumed.rows]
    assert [row["policy_lag"] for row in resumed.rows] == [0.0] + [float(max_lag)] * 7


@pytest.mark.parametrize("max_lag", [0, 1])
async def test_run_whose_batches_are_partial_rounds_resumes_with_the_next_simulator(
    tmp_path: Path, max_lag: int
) -> None:
    options: dict[str, Any] = {"simulators": 2, "seed": 3, "max_lag": max_lag, "batch_steps": 300, **SETTINGS}
    async with art.Runtime(mode="local", cpus=8):
        await rl.PPO("CartPole-v1", directory=str(tmp_path / "whole"), **options).start(steps=1_920)
        paused = rl.PPO("CartPole-v1", directory=str(tmp_path / "paused"), **options)
        run = paused.start(steps=1_920, on_progress=lambda progress: run.stop() if progress.update == 3 else None)
        await run
        await rl.PPO.resume(str(tmp_path / "paused")).start(steps=1_920)
    ends = [checkpoint.load(str(tmp_path / name)) for name in ("whole", "paused")]
    assert ends[0]["record"]["steps"] == ends[1]["record"]["steps"] == 1_920
    assert (ends[0]["weights"]["parameters"] == ends[1]["weights"]["parameters"]).all()


@pytest.mark.parametrize("max_lag", [0, 1])
@pytest.mark.parametrize("mode", ["local", "node"])
async def test_one_seed_gives_one_run(tmp_path: Path, mode: str, max_lag: int) -> None:
    async with art.Runtime(mode=mode, cpus=8):
        runs = [await trained(tmp_path / name, steps=1024, max_lag=max_lag) for name in ("a", "b")]
    first, second = (checkpoint.load(run.directory)["weights"]["parameters"] for run in runs)
    assert (first == second).all()


async def test_one_seed_gives_one_run_of_actor_critic_resumed_or_not(tmp_path: Path) -> None:
    options: dict[str, Any] = {"simulators": 2, "seed": 3, "hidden": (8, 8), "horizon": 16}
    async with art.Runtime(mode="local", cpus=8):
        for name in ("a", "b"):
            await rl.A2C("CartPole-v1", directory=str(tmp_path / name), **options).start(steps=1_024)
        paused = rl.A2C("CartPole-v1", directory=str(tmp_path / "c"), **options)
        run = paused.start(steps=1_024, on_progress=lambda progress: run.stop() if progress.update == 3 else None)
        assert (await run).steps < 1_024
        await rl.A2C.resume(str(tmp_path / "c")).start(steps=1_024)
    first, *others = (checkpoint.load(str(tmp_path / name))["weights"]["parameters"] for name in "abc")
    assert all((first == other).all() for other in others)


async def test_finished_run_can_be_resumed_for_more_steps(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        await trained(tmp_path, steps=512)
        again = await rl.PPO.resume(str(tmp_path)).start(steps=512)
        assert (again.steps, len(again.rows)) == (512, 2)
        more = await rl.PPO.resume(str(tmp_path)).start(steps=1024)
    assert (more.steps, len(more.rows)) == (1024, 4)
    assert more.best.version <= 4
    policy = rl.load_policy(str(tmp_path / "best.policy"))
    assert policy.normaliser is not None
    assert policy.normaliser.observations is not None
    assert (policy.parameters == more.best.parameters).all()


async def test_resumed_run_takes_other_simulators_and_settings(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        await trained(tmp_path, steps=512, max_lag=1)
        changes: dict[str, Any] = {"horizon": 16, "environments": 8, "learning_rate": 1e-4, "evaluation_episodes": 3}
        more = await rl.PPO.resume(tmp_path, simulators=4, **changes).start(steps=768)
        assert [row["steps"] for row in more.rows] == [256, 512, 640, 768]
        assert [len(fragment) for fragment in (more.progress.trained_on if more.progress else ())] == [3] * 4
        back = await rl.PPO.resume(tmp_path, simulators=2, max_lag=0, order="completion").start(steps=896)
        assert back.rows[-1]["steps"] == 896
    settings = rl.PPO.resume(tmp_path).settings
    kept = (settings.horizon, settings.learning_rate, settings.order, settings.epochs, settings.hidden)
    assert kept == (16, 1e-4, "completion", 2, (8, 8))
    assert rl.PPO.resume(tmp_path).simulators == 2


async def test_change_of_update_settings_only_resumes_the_simulators_exactly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with art.Runtime(mode="local", cpus=8):
        await trained(tmp_path, steps=512)
        await rl.PPO.resume(tmp_path, learning_rate=1e-4).start(steps=768)
        assert "not exactly where it was" not in caplog.text
        await rl.PPO.resume(tmp_path, simulators=1).start(steps=1024)
        assert "not exactly where it was" in caplog.text


async def test_evolution_resumes_the_same_with_any_number_of_simulators(tmp_path: Path) -> None:
    options: dict[str, Any] = {"seed": 3, "directions": 4}
    async with art.Runtime(mode="local", cpus=8):
        for name in ("one", "three"):
            await rl.ARS("CartPole-v1", directory=str(tmp_path / name), **options).start(steps=200)
        await rl.ARS.resume(tmp_path / "one").start(steps=1_000)
        await rl.ARS.resume(tmp_path / "three", simulators=3).start(steps=1_000)
    first, second = (checkpoint.load(str(tmp_path / name))["weights"]["parameters"] for name in ("one", "three"))
    assert (first == second).all()


async def test_run_begins_with_a_policy_and_keeps_it_if_it_learns_nothing(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        first = await trained(tmp_path / "first", steps=512)
        path = str(tmp_path / "first" / "best.policy")
        tuned = rl.PPO("CartPole-v1", policy=path, directory=str(tmp_path / "tuned"), learning_rate=1e-12, seed=4)
        run = await tuned.start(steps=512)
    kept, own = run.best, first.best
    np.testing.assert_allclose(kept.parameters, own.parameters, atol=1e-6)
    assert kept.normaliser is not None
    assert own.normaliser is not None
    assert kept.normaliser.observations is not None
    assert own.normaliser.observations is not None
    assert kept.normaliser.observations.count > own.normaliser.observations.count >= 256
    with pytest.raises(ValueError, match="a resumed run keeps its policy"):
        rl.PPO.resume(tmp_path / "tuned", policy=path)


async def test_invalid_changes_of_a_resumed_run_are_refused(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        await trained(tmp_path, steps=256)
    for change, message in (
        (
            {"hidden": (16,)},
            r"a resumed run keeps hidden=\(8, 8\), since the checkpoint has the parameters of this netw",
        ),
        ({"network": "cnn"}, "keeps network='auto'"),
        ({"seed": 4}, "a resumed run keeps its seed: leave out seed=4"),
        ({"horizons": 4}, "PPO has no setting 'horizons'; did you mean horizon"),
        ({"horizon": 0}, "horizon is at least 1"),
        ({"simulators": 0}, "simulators is at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            rl.PPO.resume(tmp_path, **change)


async def test_second_start_of_a_resumed_run_continues_from_the_end_of_the_first(tmp_path: Path) -> None:
    steps: list[int] = []
    async with art.Runtime(mode="local", cpus=8):
        await trained(tmp_path, steps=512)
        resumed = rl.PPO.resume(str(tmp_path))
        for total in (768, 1024):
            await resumed.start(steps=total, on_progress=lambda progress: steps.append(progress.steps))
    assert steps == [768, 1024]


async def test_cancelled_wait_pauses_the_run_and_explains_how_to_resume_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with art.Runtime(mode="local", cpus=8):
        first_update = asyncio.Event()
        loop = asyncio.get_running_loop()
        algorithm = rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS)
        run = algorithm.start(stop_return=500.0, on_progress=lambda _: loop.call_soon_threadsafe(first_update.set))
        waiting = asyncio.ensure_future(_wait(run))  # the wait that is cancelled; awaited below
        await first_update.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert run.done()
    assert run.steps == checkpoint.load(str(tmp_path))["record"]["steps"] >= 256
    assert run.state == "paused"
    first, line = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert first == "pausing after the current update; a second interrupt ends the run at once"
    assert line == (
        f"paused after {run.steps:,} steps; "
        f"rl.PPO.resume({str(tmp_path)!r}).start(steps=100_000, stop_return=500) resumes it, "
        f"and so does actorrt train ppo CartPole-v1 --resume {tmp_path} --steps 100000 --stop-return 500"
    )


async def test_run_killed_before_its_first_checkpoint_is_paused_and_says_so(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=8):
        ended: list[str] = []

        class Killing(rl.Callback):
            def on_update(self, run: rl.Run, progress: rl.Progress) -> None:
                if progress.update == 3:
                    run.kill()

            def on_end(self, run: rl.Run) -> None:
                ended.append(run.state)

        algorithm = rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS)
        run = await algorithm.start(callbacks=[Killing()])
        run.kill()
    assert (run.steps, run.state, ended) == (768, "paused", ["paused"])
    assert run.saved_steps is None
    assert run.describe_pause() == "ended after 768 steps, before the first checkpoint"


async def test_pause_does_not_evaluate_once_there_is_a_best_policy(tmp_path: Path) -> None:
    class Stopping(rl.Callback):
        def on_evaluation(self, run: rl.Run, steps: int, evaluation: rl.Evaluation) -> None:
            run.stop()

    async with art.Runtime(mode="local", cpus=8):
        algorithm = rl.PPO("CartPole-v1", directory=str(tmp_path), **SETTINGS)
        run = await algorithm.start(callbacks=[Stopping()])
    assert (run.state, len(run.evaluations)) == ("paused", 1)
    assert run.best_score == run.evaluations[0][1]


async def _wait(run: rl.Run) -> None:
    await run


def test_checkpoint_that_can_not_be_resumed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        rl.PPO.resume(str(tmp_path))
    checkpoint.save(str(tmp_path), {"origin": {"algorithm": "A2C"}, "array": np.zeros(1)})
    with pytest.raises(
        ValueError, match=r"the run in .* is of A2C, not of PPO: use rl\.A2C\.resume, or actorrt train a2c --res"
    ):
        rl.PPO.resume(str(tmp_path))


PLAIN = """
import os
import signal
import actorrt as art
from actorrt import rl
from actorrt.rl.records import checkpoint

art.init(mode={mode!r}, cpus=4)

def interrupt(progress):
    if progress.steps == 1024:
        os.kill(os.getpid(), signal.SIGINT)

run = rl.PPO("CartPole-v1", hidden=(8, 8), epochs=1, directory="run").start(on_progress=interrupt)
try:
    run.wait()
except KeyboardInterrupt:
    print(run.done(), run.steps == checkpoint.load("run")["record"]["steps"] >= 1024)
"""


@pytest.mark.parametrize("mode", ["local", "node"])
def test_interrupt_of_plain_code_pauses_with_a_checkpoint(mode: str, tmp_path: Path) -> None:
    with own_directory() as directory:
        script = run_script(PLAIN.format(mode=mode), tmp_path, directory)
    assert (script.process.returncode, script.output) == (0, "True True\n"), script.stderr
    assert "rl.PPO.resume('run').start(steps=100_000) resumes it" in script.stderr
    assert (tmp_path / "run" / "best.policy").exists()
