"""The learning library in plain code: in local mode, and with `for` in the place of `async for`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

import actorrt as art
from actorrt import rl


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs leave their checkpoints in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def local() -> Iterator[art.Runtime]:
    yield art.init(mode="local", cpus=4)
    art.shutdown()


def small_run(steps: int) -> rl.Run:
    return rl.PPO("CartPole-v1", hidden=(8, 8), epochs=1).start(steps=steps)


def test_run_is_waited_for_in_the_thread_that_its_actors_need(local: art.Runtime) -> None:
    run = small_run(512)
    assert run.wait() is run
    assert run.steps == 512


def test_run_that_is_not_over_in_time_says_so_and_goes_on(local: art.Runtime) -> None:
    run = small_run(512)
    with pytest.raises(TimeoutError, match=r"the run goes on after 0.001 s: <Run ppo-CartPole-v1-0-.*: \w+ing after"):
        run.wait(0.001)
    assert run.wait().steps == 512


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


def test_batches_come_in_a_plain_loop(session: art.Runtime) -> None:
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
