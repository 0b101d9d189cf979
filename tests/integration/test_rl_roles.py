"""The roles of the learning library as actors, on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt import rl
from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.environments.seeds import EVALUATION_KEY
from actorrt.rl.roles.learner import Learner

SPEC = rl.PolicySpec("CartPole-v1", *(lambda spec: (spec.observation, spec.action))(rl.describe("CartPole-v1")), (8, 8))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write their checkpoints to the directory of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def runtime() -> AsyncIterator[art.Runtime]:
    async with art.Runtime(mode="local") as running:
        yield running


def initial_parameters(seed: int = 0) -> Any:
    return rl.MlpPolicy(SPEC).init(seed)


class Reader(art.Actor):
    """Keeps the versions that it receives; a slow reader answers only after `answer` was called."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self._versions: list[int] = []
        self._may_answer = asyncio.Event()
        if not is_slow:
            self._may_answer.set()

    async def renew(self, version: int, parameters: Any, normaliser: Any) -> None:
        self._versions.append(version)
        await self._may_answer.wait()

    def answer(self) -> None:
        self._may_answer.set()

    def versions(self) -> list[int]:
        return self._versions

    def fail(self) -> None:
        raise RuntimeError("on purpose")


async def test_published_parameters_are_the_latest_and_reach_readers(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32))
    reader = await Reader.spawn()
    assert await server.subscribe(reader) == 0
    await server.publish(np.ones(3, np.float32), 1)
    version, parameters, _ = await server.latest()
    assert (version, parameters.tolist()) == (1, [1.0, 1.0, 1.0])
    assert await reader.versions() == [1]


async def test_subscribers_are_numbered_once_each(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32))
    readers = [await Reader.spawn() for _ in range(2)]
    assert [await server.subscribe(reader) for reader in (*readers, readers[0])] == [0, 1, 0]


async def test_readers_that_have_ended_are_forgotten_with_their_numbers(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32))
    first, second = [await Reader.options(max_concurrency=2).spawn(is_slow=True) for _ in range(2)]
    assert [await server.subscribe(reader) for reader in (first, second)] == [0, 1]
    await server.publish(np.ones(3, np.float32), 1)
    assert await server.statistics() == {"readers": 2, "readers_late": 2}
    await first.stop()
    while (await server.statistics())["readers"] > 1:
        await asyncio.sleep(0)
    third = await Reader.spawn()
    assert await server.subscribe(third) == 2
    assert await server.statistics() == {"readers": 2, "readers_late": 1}
    assert await server.subscribe(second) == 1


async def test_reader_that_is_restarted_keeps_its_number(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32))
    readers = [await Reader.options(restart="permanent", crash_on=RuntimeError).spawn() for _ in range(2)]
    assert [await server.subscribe(reader) for reader in readers] == [0, 1]
    restarted = art.monitor(readers[0], restarts=True)
    with pytest.raises(art.CallError):
        await readers[0].fail()
    assert not (await restarted).is_final
    assert await server.subscribe(readers[0]) == 0


async def test_older_version_is_refused_and_changes_nothing(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32), version=4)
    with pytest.raises(ValueError, match="version 4 is not newer than 4"):
        await server.publish(np.ones(3, np.float32), 4)
    assert (await server.latest())[1].tolist() == [0.0, 0.0, 0.0]


async def test_slow_reader_has_at_most_one_version_in_transit(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(1, np.float32))
    reader = await Reader.options(max_concurrency=2).spawn(is_slow=True)
    await server.subscribe(reader)
    for version in (1, 2, 3):
        await server.publish(np.zeros(1, np.float32), version)
    assert await reader.versions() == [1]
    await reader.answer()
    await server.publish(np.zeros(1, np.float32), 4)
    assert await reader.versions() == [1, 4]


async def spawn_simulators(server: Any, count: int, **options: Any) -> Any:
    arguments = {"env": "CartPole-v1", "params": server, "envs": 2, "horizon": 4, "policy": SPEC, **options}
    return await rl.Simulator.spawn_many(count, **arguments)


async def test_simulators_have_their_own_numbers_and_episode_seeds(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters())
    fragments = await (await spawn_simulators(server, 2)).rollout()
    assert sorted(fragment.key for fragment in fragments) == [(0, 1, 0), (1, 1, 0)]
    starts = np.concatenate([fragment.obs[0] for fragment in fragments])
    assert len(np.unique(starts, axis=0)) == 4


async def test_one_seed_gives_the_same_fragments(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters())
    collected = []
    for _ in range(2):
        simulator = (await spawn_simulators(server, 1, index=3, seed=5))[0]
        collected.append([await simulator.rollout() for _ in range(3)])
    for first, second in zip(*collected, strict=True):
        assert (first.obs == second.obs).all()
        assert (first.action == second.action).all()


async def test_rollout_uses_at_least_the_requested_version(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters(), version=7)
    simulator = (await spawn_simulators(server, 1))[0]
    assert (await simulator.rollout()).policy_version == 7
    await server.publish(initial_parameters(1), 8)
    assert (await simulator.rollout(8)).policy_version == 8


async def test_simulator_of_an_unknown_environment_does_not_start(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters())
    with pytest.raises(art.ActorStartError, match="there is no environment 'CartPol-v1'; did you mean CartPole-v1"):
        await rl.Simulator.spawn(env="CartPol-v1", params=server)


async def test_role_that_waits_for_the_name_of_a_parameter_server_finds_it(runtime: art.Runtime) -> None:
    starting = rl.Simulator.spawn(env="CartPole-v1", params="later", envs=1, horizon=1, policy=SPEC)
    await rl.ParameterServer.options(name="later").spawn(initial_parameters())
    assert (await (await starting).rollout()).step_count == 1


async def test_stream_feeds_a_learner_that_publishes(runtime: art.Runtime) -> None:
    pytest.importorskip("torch")
    server = await rl.ParameterServer.spawn(initial_parameters())
    simulators = await spawn_simulators(server, 2)
    learner = await Learner.spawn(PPOSettings.preset("CartPole-v1", hidden=(8, 8)), SPEC, server, 1_000)
    batches = rl.stream(simulators, steps=16, max_lag=0)
    seen: list[Any] = []
    async for batch in batches:
        assert batch.step_count >= 16
        assert set(batch.policy_lag) == {0}
        seen += [fragment.key for fragment in batch.fragments]
        metrics = await learner.update(batch)
        batches.version = metrics["policy_version"]
        if batches.version == 5:
            break
    batches.close()
    assert len(set(seen)) == len(seen)
    assert metrics["learnt_steps"] == 5 * 16
    assert (await server.latest())[0] == 5
    assert batches.statistics()["fragments_dropped"] == 0


async def test_deterministic_stream_gives_the_same_run_twice(runtime: art.Runtime) -> None:
    pytest.importorskip("torch")
    ends = []
    for _ in range(2):
        server = await rl.ParameterServer.spawn(initial_parameters())
        simulators = [(await spawn_simulators(server, 1, index=index))[0] for index in range(3)]
        learner = await Learner.spawn(
            PPOSettings.preset("CartPole-v1", hidden=(8, 8), minibatch_size=8), SPEC, server, 1_000
        )
        batches = rl.stream(simulators, fragments=3, max_lag=0, order="deterministic")
        for _ in range(4):
            batches.version = (await learner.update(await anext(batches)))["policy_version"]
        batches.close()
        ends.append((await server.latest())[1])
    assert (ends[0] == ends[1]).all()


class Failing(art.Actor):
    """A simulator whose environment raises."""

    def rollout(self, at_least: int = 0) -> Any:
        raise ZeroDivisionError("the environment's own mistake")


async def test_exception_of_an_environment_reaches_the_reader_of_the_stream(runtime: art.Runtime) -> None:
    batches = rl.stream([await Failing.spawn()], steps=1)
    with pytest.raises(ZeroDivisionError, match="the environment's own mistake"):
        await anext(batches)
    batches.close()


async def test_stream_continues_without_simulators_that_have_ended(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters())
    simulators = await spawn_simulators(server, 2)
    batches = rl.stream(simulators, steps=16)
    await anext(batches)
    await simulators[0].kill()
    sources = {fragment.simulator for _ in range(4) for fragment in (await anext(batches)).fragments}
    assert 1 in sources
    assert batches.statistics()["simulators_alive"] == 1
    await simulators[1].kill()
    with pytest.raises(art.ActorDiedError):
        await anext(batches)  # one rollout, which is half a batch, may have ended before
    batches.close()


async def test_batch_without_transitions_is_refused(runtime: art.Runtime) -> None:
    pytest.importorskip("torch")
    server = await rl.ParameterServer.spawn(initial_parameters())
    learner = await Learner.spawn(PPOSettings.preset("CartPole-v1", hidden=(8, 8)), SPEC, server, 1_000)
    with pytest.raises(ValueError, match="holds at least one transition"):
        await learner.update(rl.Batch(()))


async def test_evaluator_plays_the_newest_policy_or_a_given_policy(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(initial_parameters(), version=3)
    evaluator = await rl.Evaluator.spawn(SPEC, server, seed=9)
    evaluation, weights = await evaluator.evaluate(0, episodes=4)
    assert (evaluation.policy_version, len(evaluation.returns)) == (3, 4)
    assert (weights.parameters == initial_parameters()).all()
    again = await evaluator.play(0, weights, episodes=4)
    assert again.returns.tolist() == evaluation.returns.tolist()
    assert EVALUATION_KEY > 1_000_000  # no simulator has such an index


async def test_evaluator_closes_its_environments_when_it_ends(runtime: art.Runtime) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    events: list[str] = []

    class Recorded(gymnasium.Wrapper):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__(gymnasium.make("CartPole-v1"))
            events.append("made")

        def close(self) -> None:
            events.append("closed")
            super().close()

    def make() -> Any:
        return Recorded()

    server = await rl.ParameterServer.spawn(initial_parameters())
    evaluator = await rl.Evaluator.spawn(SPEC, server, env=make)
    for number in range(2):
        await evaluator.evaluate(number, episodes=3)
    assert events == ["made"] * 3
    await evaluator.stop()
    assert events == ["made"] * 3 + ["closed"] * 3


async def test_complete_run_works_on_one_loop(runtime: art.Runtime) -> None:
    pytest.importorskip("torch")
    run = rl.PPO("CartPole-v1", hidden=(8, 8), evaluate_every=256, epochs=1).start(steps=512)
    assert await run is run
    assert run.done()
    assert run.steps == 512
    assert [steps for steps, _ in run.evaluations] == [256, 512]
    assert run.metrics.column("steps").to_pylist() == [256, 512]
    assert run.best.spec.env_id == "CartPole-v1"
