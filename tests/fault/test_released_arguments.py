"""Large arguments of calls that no actor handles are released in the store."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

import actorrt as art
from tests.integration.cast import Counter, Gate
from tests.running import wait_for_answer

LARGE = 100_000


class Holding(Gate):
    """An actor that takes large values while no call holds it."""

    def take(self, value):
        return len(value)


async def until_empty(witness):
    """Wait until the store holds no object."""
    async with asyncio.timeout(5):
        while art.store_stats()["objects_count"]:
            await witness.value()


async def ended(replies):
    """Return the types of the results of all calls, which include their errors."""
    return {type(result) for result in await art.gather(*replies, return_exceptions=True)}


def large():
    return np.ones(LARGE)


async def held(**options):
    """Return an actor that a call holds, and the call."""
    holding = await Holding.options(isolation="process", **options).spawn()
    await holding.take([])
    return holding, holding.wait()


@pytest.mark.parametrize("make", [large, lambda: [art.put(large())]], ids=["value", "ref"])
async def test_arguments_of_calls_lost_with_a_killed_process_are_released(node_runtime, make):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    pid = await holding.pid()
    holding.wait()
    replies = [holding.take(make()) for _ in range(10)]
    os.kill(pid, signal.SIGKILL)
    assert await ended(replies) == {art.ActorDiedError}
    del replies
    await until_empty(witness)


async def test_arguments_of_calls_lost_and_sent_again_are_released(node_runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process", restart="permanent").spawn()
    pid = await holding.pid()
    replies = [holding.take.options(retries=3)(large()) for _ in range(10)]
    os.kill(pid, signal.SIGKILL)
    assert await art.gather(*replies) == [LARGE] * 10
    del replies
    await until_empty(witness)


async def test_arguments_of_calls_cancelled_in_the_queue_are_released(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take(large()) for _ in range(10)]
    for reply in [*replies, waiting]:
        reply.cancel()
    assert await ended(replies) == {art.CallCancelledError}
    del replies, reply, waiting
    await until_empty(witness)


async def test_arguments_of_calls_whose_deadline_passes_in_the_queue_are_released(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take.options(timeout_s=0.05)(large()) for _ in range(10)]
    assert await ended(replies) == {art.CallTimeoutError}
    waiting.cancel()
    del replies, waiting
    await until_empty(witness)


async def test_arguments_of_calls_refused_by_a_full_mailbox_are_released(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held(mailbox_messages=2, overflow="fail")
    replies = [holding.take(large()) for _ in range(10)]
    waiting.cancel()
    assert await ended(replies) >= {art.MailboxFullError}
    del replies, waiting
    await until_empty(witness)


async def test_arguments_of_calls_to_an_actor_that_has_ended_are_released(runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    await holding.stop()
    replies = [holding.take(large()) for _ in range(5)]
    assert await ended(replies) == {art.ActorDiedError}
    del replies
    await until_empty(witness)


async def test_objects_that_a_caller_held_beside_a_call_to_an_ended_actor_are_released(runtime):
    witness = await Counter.spawn()
    holding = await Holding.spawn()
    await holding.stop()

    async def ask():
        value = art.put(large())
        with pytest.raises(art.ActorDiedError):
            await holding.take([])
        return value.id

    assert await ask() != await ask()
    await until_empty(witness)


async def test_arguments_of_calls_in_the_mailbox_of_a_killed_actor_are_released(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take(large()) for _ in range(5)]
    await holding.kill()
    assert await ended([*replies, waiting]) == {art.ActorDiedError}
    del replies, waiting
    await until_empty(witness)


async def test_arguments_of_tells_that_fail_their_actor_are_released(runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    down = art.monitor(holding)
    for _ in range(5):
        holding.open.tell()
        holding.take.tell(large())
    await holding.kill()
    await down
    await until_empty(witness)


async def test_results_for_a_killed_caller_are_released(node_runtime):
    class Maker(art.Actor):
        async def make(self, gate):
            await gate.wait()
            return large()

    class Asker(art.Actor):
        async def ask(self, maker, gate):
            await maker.make(gate)

        def pid(self):
            return os.getpid()

    witness, gate = await Counter.spawn(), await Gate.options(max_concurrency=9).spawn()
    maker = await Maker.spawn()
    asker = await Asker.options(isolation="process", max_concurrency=2).spawn()
    asking = asker.ask(maker, gate)
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    os.kill(await asker.pid(), signal.SIGKILL)
    await gate.open()
    assert await ended([asking]) == {art.ActorDiedError}
    await until_empty(witness)
