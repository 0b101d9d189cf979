"""Large arguments of calls that nobody opens are given back to the store."""

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
    """Takes large values, when it is not held."""

    def take(self, value):
        return len(value)


async def until_empty(witness):
    """Return when the store holds nothing."""
    async with asyncio.timeout(5):
        while art.store_stats()["objects_count"]:
            await witness.value()


async def ended(replies):
    """Return the types of the errors of all."""
    return {type(result) for result in await art.gather(*replies, return_exceptions=True)}


def large():
    return np.ones(LARGE)


async def held(**options):
    """Return an actor that is held by a call, and the call."""
    holding = await Holding.options(isolation="process", **options).spawn()
    await holding.take([])
    return holding, holding.wait()


@pytest.mark.parametrize("make", [large, lambda: [art.put(large())]], ids=["value", "ref"])
async def test_of_calls_lost_with_a_killed_process(node_runtime, make):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    pid = await holding.pid()
    holding.wait()
    replies = [holding.take(make()) for _ in range(10)]
    os.kill(pid, signal.SIGKILL)
    assert await ended(replies) == {art.ActorDiedError}
    del replies
    await until_empty(witness)


async def test_of_calls_lost_and_sent_again(node_runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process", restart="permanent").spawn()
    pid = await holding.pid()
    replies = [holding.take.options(retries=3)(large()) for _ in range(10)]
    os.kill(pid, signal.SIGKILL)
    assert await art.gather(*replies) == [LARGE] * 10
    del replies
    await until_empty(witness)


async def test_of_calls_cancelled_in_the_queue(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take(large()) for _ in range(10)]
    for reply in [*replies, waiting]:
        reply.cancel()
    assert await ended(replies) == {art.CallCancelledError}
    del replies, reply, waiting
    await until_empty(witness)


async def test_of_calls_whose_deadline_passes_in_the_queue(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take.options(timeout_s=0.05)(large()) for _ in range(10)]
    assert await ended(replies) == {art.CallTimeoutError}
    waiting.cancel()
    del replies, waiting
    await until_empty(witness)


async def test_of_calls_refused_by_a_full_mailbox(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held(mailbox_messages=2, overflow="fail")
    replies = [holding.take(large()) for _ in range(10)]
    waiting.cancel()
    assert await ended(replies) >= {art.MailboxFullError}
    del replies, waiting
    await until_empty(witness)


async def test_of_calls_to_an_actor_that_is_gone(runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    await holding.stop()
    replies = [holding.take(large()) for _ in range(5)]
    assert await ended(replies) == {art.ActorDiedError}
    del replies
    await until_empty(witness)


async def test_of_what_a_caller_held_beside_a_call_to_an_actor_that_is_gone(runtime):
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


async def test_of_calls_in_a_mailbox_that_is_killed(runtime):
    witness = await Counter.spawn()
    holding, waiting = await held()
    replies = [holding.take(large()) for _ in range(5)]
    await holding.kill()
    assert await ended([*replies, waiting]) == {art.ActorDiedError}
    del replies, waiting
    await until_empty(witness)


async def test_of_tells_that_fail_their_actor(runtime):
    witness = await Counter.spawn()
    holding = await Holding.options(isolation="process").spawn()
    down = art.monitor(holding)
    for _ in range(5):
        holding.open.tell()
        holding.take.tell(large())
    await holding.kill()
    await down
    await until_empty(witness)


async def test_of_results_for_a_caller_that_is_killed(node_runtime):
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
