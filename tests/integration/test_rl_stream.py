"""`rl.stream` over simulators that a program spawns itself: early exits, sharing, cancellation, closing, failures."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt import rl
from tests.running import run_script

SPEC = rl.describe("CartPole-v1", hidden=(8, 8))


@pytest.fixture
async def runtime() -> AsyncIterator[art.Runtime]:
    async with art.Runtime(mode="local") as running:
        yield running


async def spawn_simulators(count: int = 2, **options: Any) -> Any:
    server = await rl.ParameterServer.spawn(rl.MlpPolicy(SPEC).init(seed=0))
    arguments = {"env": "CartPole-v1", "params": server, "envs": 2, "horizon": 4, "policy": SPEC, **options}
    return await rl.Simulator.spawn_many(count, **arguments)


def keys(batch: rl.Batch) -> list[tuple[int, int, int]]:
    return [fragment.key for fragment in batch.fragments]


async def test_stream_can_be_read_on_after_its_loop_was_left(runtime: art.Runtime) -> None:
    simulators = await spawn_simulators()
    batches, seen = rl.stream(simulators, fragments=2), []
    for _ in range(3):
        async for batch in batches:
            seen += keys(batch)
            break
    batches.close()
    assert len(seen) == len(set(seen)) >= 6
    for index in (0, 1):
        numbers = [number for simulator, _, number in seen if simulator == index]
        assert numbers == list(range(len(numbers)))  # no fragment was lost between the loops


async def test_streams_over_the_same_simulators_deliver_no_fragment_twice(runtime: art.Runtime) -> None:
    simulators = await spawn_simulators()
    first, second = rl.stream(simulators, fragments=3), rl.stream(simulators, steps=8)
    seen = [key for _ in range(4) for batches in (first, second) for key in keys(await anext(batches))]
    assert len(seen) == len(set(seen))
    first.close()
    assert keys(await anext(second))
    second.close()


async def test_simulators_of_any_size_fill_a_batch_together(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(rl.MlpPolicy(SPEC).init(seed=0))
    sizes = {(1, 1), (3, 7), (5, 2)}
    simulators = [
        await rl.Simulator.spawn("CartPole-v1", server, envs=envs, horizon=horizon, policy=SPEC)
        for envs, horizon in sizes
    ]
    for order in ("completion", "deterministic"):
        batches = rl.stream(simulators, steps=40, max_lag=0, order=order)  # type: ignore[arg-type]
        for _ in range(3):
            batch = await anext(batches)
            assert batch.step_count >= 40
            assert {fragment.reward.shape[::-1] for fragment in batch.fragments} <= sizes
        batches.close()


async def _next(batches: rl.Stream) -> rl.Batch:
    return await anext(batches)


async def test_cancelled_wait_loses_no_fragment(runtime: art.Runtime) -> None:
    batches, seen = rl.stream(await spawn_simulators(1, horizon=50), fragments=2, max_lag=0), []
    for _ in range(4):
        waiting = asyncio.ensure_future(_next(batches))  # the wait that is cancelled; awaited below
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        seen += keys(await anext(batches))
    batches.close()
    assert seen == [(0, 1, number) for number in range(8)]


async def test_closed_stream_ends_its_loop(runtime: art.Runtime) -> None:
    simulators = await spawn_simulators()
    batches = rl.stream(simulators, fragments=2)
    count = 0
    async for _ in batches:
        count += 1
        if count == 3:
            batches.close()
    assert count == 3
    batches.close()
    with pytest.raises(StopAsyncIteration):
        await anext(batches)
    assert list(batches) == []


async def test_closed_stream_ends_a_task_that_waits_for_a_batch(runtime: art.Runtime) -> None:
    batches = rl.stream(await spawn_simulators(1), steps=1_000_000)

    async def all_batches() -> list[rl.Batch]:
        return [batch async for batch in batches]

    waiting = asyncio.ensure_future(all_batches())  # the wait that closing ends; awaited below
    while not batches.statistics()["simulators_alive"]:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    batches.close()
    assert await asyncio.wait_for(waiting, 10.0) == []


async def test_stream_whose_simulators_are_stopped_raises_on_every_read(runtime: art.Runtime) -> None:
    simulators = await spawn_simulators()
    batches = rl.stream(simulators, fragments=2)
    await anext(batches)
    for simulator in simulators:
        await simulator.stop()
    with pytest.raises(art.ActorDiedError):
        [_ async for _ in batches]  # some batches arrive before the error
    for _ in range(2):
        with pytest.raises(art.ActorDiedError):
            await asyncio.wait_for(anext(batches), 10.0)


class Late(art.Actor):
    """Misses the deadline of its first call, or of all calls."""

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self._count = 0

    async def rollout(self, at_least: int = 0) -> rl.Fragment:
        self._count += 1
        if self._always or self._count == 1:
            await asyncio.Event().wait()
        rows = np.zeros((1, 1), np.float32)
        empty, yes = np.zeros(0), np.ones((1, 1), bool)
        columns = (rows, rows, rows, ~yes, ~yes, yes, rows, rows, rows[0], rows[0], empty, empty, empty, empty, empty)
        return rl.Fragment(*columns, policy_version=0, simulator=0, incarnation=1, sequence=self._count, process_id=1)


async def test_rollout_that_misses_its_deadline_is_requested_again(
    runtime: art.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    batches = rl.stream([await Late.options(call_timeout_s=0.05).spawn(always=False)], fragments=1)
    assert keys(await anext(batches)) == [(0, 1, 2)]
    assert batches.statistics()["rollouts_lost"] == 1
    assert [record.getMessage().split(":")[1] for record in caplog.records] == [" CallTimeoutError"]
    batches.close()


async def test_rollouts_that_always_miss_their_deadline_end_the_stream(runtime: art.Runtime) -> None:
    batches = rl.stream([await Late.options(call_timeout_s=0.02).spawn(always=True)], fragments=1)
    with pytest.raises(art.CallTimeoutError):
        await anext(batches)
    assert batches.statistics()["rollouts_lost"] == 3
    batches.close()


async def test_value_that_is_no_simulator_is_named_in_the_error(runtime: art.Runtime) -> None:
    server = await rl.ParameterServer.spawn(np.zeros(3, np.float32))
    for simulators, message in (
        (server, "give an ActorGroup, or a list of refs that were waited for, not <ActorRef ParameterServer"),
        (rl.ParameterServer.spawn(np.zeros(3, np.float32)), "a list of refs that were waited for"),
        ([server], r"<ActorRef ParameterServer .*> is no ref of a simulator"),
        ("ab", "'a' is no ref of a simulator"),
    ):
        with pytest.raises(TypeError, match=message):
            rl.stream(simulators, steps=10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one simulator"):
        rl.stream([], steps=10)


PROGRAM = """
    import actorrt as art
    from actorrt import rl

    async def main():
        spec = rl.describe("CartPole-v1", hidden=(16, 16))
        policy = rl.MlpPolicy(spec)
        params = await rl.ParameterServer.spawn(policy.init(seed=0))
        learner = await rl.Learner.options(cpus=1).spawn(rl.PPOSettings(hidden=(16, 16)), spec, params, 10_000)
        sims = await rl.Simulator.options(cpus=1, restart="permanent").spawn_many(
            2, env="CartPole-v1", params=params, policy=spec, envs=8, horizon=32
        )
        count = 0
        async for batch in rl.stream(sims, steps=1024, max_lag=4, order="completion"):
            metrics = await learner.update(batch)
            count += 1
            assert batch.step_count >= 1024 and max(batch.policy_lag) <= 4
            if count == 4:
                break
        print(metrics["policy_version"], (await params.latest()).version)

    art.run(main, cpus=4)
"""


def test_documented_loop_over_a_stream_is_a_complete_program(tmp_path: Path) -> None:
    assert run_script(PROGRAM, tmp_path, within_s=50.0).output == "4 4\n"


def test_no_fragment_arrives_twice_while_simulators_are_killed(node_session: art.Runtime) -> None:
    server = rl.ParameterServer.spawn(rl.MlpPolicy(SPEC).init(seed=0)).result()
    options: dict[str, Any] = {"cpus": 1, "restart": "permanent", "max_restarts": 50}
    simulators = (
        rl.Simulator.options(**options).spawn_many(2, "CartPole-v1", server, envs=2, horizon=8, policy=SPEC).result()
    )
    batches, seen, killed = rl.stream(simulators, fragments=4, max_lag=None), [], []
    for batch in batches:
        seen += keys(batch)
        if len(killed) < 3 and len(seen) > 60 * (len(killed) + 1):
            killed.append(batch.fragments[-1].process_id)
            os.kill(killed[-1], signal.SIGKILL)
        if batches.statistics()["simulators_restarted"] == 3:
            break
    batches.close()
    simulators.stop().result()
    assert len(seen) == len(set(seen))
    assert max(incarnation for _, incarnation, _ in seen) >= 2
    for simulator, incarnation, number in seen:
        assert number == 0 or (simulator, incarnation, number - 1) in seen  # no number is missing within an incarnation
