"""Several learners make the same steps: by the mean of their gradients, from the same state, restarted together."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import actorrt as art  # noqa: E402
from actorrt import rl  # noqa: E402
from actorrt.rl.algorithms.ppo import PPOUpdate  # noqa: E402
from tests.running import wait_until  # noqa: E402

SPEC = rl.describe("CartPole-v1", hidden=(8, 8))
SETTINGS = rl.PPOSettings.preset(
    "CartPole-v1", hidden=(8, 8), epochs=2, minibatch_size=1_000, normalise_advantages=False, learners=2
)


async def test_two_learners_step_along_the_mean_of_their_gradients() -> None:
    async with art.Runtime(cpus=4):
        parameters = rl.MlpPolicy(SPEC).init(seed=0)
        await rl.ParameterServer.options(name="server").spawn(parameters)
        simulator = await rl.Simulator.spawn("CartPole-v1", "server", envs=2, horizon=16, policy=SPEC, index=0)
        fragment = await simulator.rollout()
        spawning = rl.Learner.options(isolation="process")
        learners: list[Any] = [
            await spawning.spawn(SETTINGS, SPEC, "server", 1_000, rank=rank, count=2) for rank in range(2)
        ]
        await art.gather(*(learner.update(rl.Batch((fragment,))) for learner in learners))
        version, moved, _ = await (await art.lookup("server")).latest()
        states = await art.gather(*(learner.state() for learner in learners))
    assert version == 1
    assert (states[0]["optimiser"]["first_moment"] == states[1]["optimiser"]["first_moment"]).all()
    alone = PPOUpdate(SETTINGS, SPEC, parameters, seed=0)  # the mean of the means of two halves is the mean of all
    alone((fragment,), remaining=1.0)
    np.testing.assert_allclose(moved, alone.network.parameters(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [rl.PPO, rl.IMPALA, rl.A2C])
def test_run_with_two_learners_reaches_its_steps_and_can_be_resumed(
    kind: Any, node_session: art.Runtime, tmp_path: Path
) -> None:
    algorithm = kind("CartPole-v1", learners=2, hidden=(8, 8), directory=str(tmp_path))
    assert "2 learners" in algorithm.explain()
    assert algorithm.start(steps=512).wait().steps >= 512
    assert kind.resume(str(tmp_path)).start(steps=1_024).wait().steps >= 1_024


@pytest.mark.timeout(150)  # a wait for the dead learner may last until the timeout of the gradients
def test_run_continues_when_one_of_two_learners_is_killed(node_session: art.Runtime, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_once(progress: rl.Progress) -> None:
        if not killed and progress.update == 3:
            actors = node_session.status().result(10)["actors"]
            pids = [actor["pid"] for actor in actors if actor["label"].startswith("Learner-")]
            killed.extend(pids or [actor["pid"] for actor in actors if "earner-1" in actor["label"]])
            os.kill(killed[-1], signal.SIGKILL)

    algorithm = rl.PPO("CartPole-v1", learners=2, hidden=(8, 8), epochs=1, directory=str(tmp_path))
    run = algorithm.start(steps=5_120, on_progress=kill_once).wait()
    assert run.steps >= 5_120
    assert killed
    versions = [row["policy_version"] for row in run.rows]
    assert versions == sorted(versions)


def learners_of(status: Any) -> list[Any]:
    return [actor for actor in status["actors"] if actor["label"].startswith("Learner-")]


@pytest.mark.timeout(150)
def test_batch_that_reaches_a_half_restarted_group_is_lost_and_the_run_continues(
    node_session: art.Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One learner is dead and the driver knows it; the other one is not stopped yet, so that a batch still reaches it.

    That learner must end because it has lost its group, and the dead learner's next incarnation must not learn from the
    batch alone.
    """
    thawing: list[threading.Thread] = []
    gone: list[bytes] = []
    endpoint_gone = node_session.endpoint.endpoint_gone

    def settle_and_note(peer: Any, *more: Any) -> None:
        endpoint_gone(peer, *more)
        gone.append(peer)

    monkeypatch.setattr(node_session.endpoint, "endpoint_gone", settle_and_note)

    def kill_unnoticed(progress: rl.Progress) -> None:
        if thawing or progress.update != 3:
            return
        status = node_session.status().result(10)
        (supervisors,) = [worker["pid"] for worker in status["workers"] if worker["kind"] == "supervisors"]
        victim = learners_of(status)[-1]["pid"]
        (peer,) = [worker["peer"] for worker in status["workers"] if worker["pid"] == victim]
        os.kill(supervisors, signal.SIGSTOP)
        thawing.append(threading.Thread(target=thaw_when_both_have_ended, args=(supervisors,)))
        thawing[0].start()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: peer in gone, "calls to the dead learner wait for its next incarnation")

    def thaw_when_both_have_ended(supervisors: int) -> None:
        def have_ended() -> bool:
            return all(each["state"] == "deciding" for each in learners_of(node_session.status().result(10)))

        try:
            wait_until(have_ended, "the end of both learners")
        finally:
            os.kill(supervisors, signal.SIGCONT)

    algorithm = rl.PPO("CartPole-v1", learners=2, hidden=(8, 8), epochs=1, directory=str(tmp_path))
    run = algorithm.start(steps=5_120, on_progress=kill_unnoticed).wait()
    thawing[0].join()
    assert run.steps >= 5_120
    assert [text for text in caplog.messages if "lost with its learner" in text] != []
    assert [text for text in caplog.messages if "Timed out" in text] == []


async def test_several_learners_in_local_mode_are_an_error_that_names_the_setting(tmp_path: Path) -> None:
    async with art.Runtime(mode="local", cpus=4):
        run = rl.PPO("CartPole-v1", learners=2, hidden=(8, 8), directory=str(tmp_path)).start(steps=512)
        with pytest.raises(art.ActorStartError, match="local mode has only one process: give learners=1"):
            await run
