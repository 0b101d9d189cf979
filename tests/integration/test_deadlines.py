"""Deadlines and cancellation: which calls are dropped or cancelled, and the errors that their callers get."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import actorrt as art
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from tests.integration.cast import Counter, Gate
from tests.running import Script, growing_timeouts, wait_for_answer


def queued_in(statistics):
    """Return how many messages the actors of all processes have in their mailboxes."""
    return sum(actor["queued"] for here in statistics.values() for actor in here["actors"])


async def reached(gate, entered, cancelled):
    """Wait until `entered` calls have begun and `cancelled` of them were cancelled."""
    await wait_for_answer(
        gate.counts, lambda counts: counts == (entered, cancelled), f"{entered} entered, {cancelled} cancelled"
    )


class Blocking(art.Actor):
    """Blocks its loop in a plain method until a file exists."""

    def __init__(self, opener) -> None:
        self.opener = Path(opener)
        self.blocked = 0

    def block(self):
        self.opener.with_suffix(".begun").touch()
        while not self.opener.exists():
            time.sleep(0.005)  # the fault that is tested: a method that blocks its loop
        self.blocked += 1

    def blocked_count(self):
        return self.blocked


class Relay(art.Actor):
    """Passes calls on to other actors."""

    async def wait_at(self, gate):
        return await gate.wait()

    async def deadline_left(self):
        deadline = self.context.deadline
        return None if deadline is None else deadline - time.monotonic()

    async def deadline_left_at(self, other):
        return await other.deadline_left()


async def test_deadline_in_the_queue_drops_the_call_unexecuted(runtime):
    gate = await Gate.spawn()
    first = gate.wait()
    with pytest.raises(art.CallTimeoutError) as caught:
        await gate.wait.options(timeout_s=0.05)()
    assert caught.value.executed == "no"
    first.cancel()
    await reached(gate, entered=1, cancelled=1)


async def test_deadline_while_an_async_method_runs_cancels_it(runtime):
    gate = await Gate.spawn()
    error = await timed_out_within(gate, gate.wait)
    assert error.executed == "maybe"
    assert isinstance(error, TimeoutError)
    await reached(gate, entered=1, cancelled=1)


async def timed_out_within(gate, method, *args):
    """Return the error of a call whose deadline passes when the gate has been entered."""
    for timeout_s in growing_timeouts(0.05):
        with pytest.raises(art.CallTimeoutError) as caught:
            await method.options(timeout_s=timeout_s)(*args)
        if (await gate.counts())[0]:
            break
    return caught.value


async def test_deadline_while_a_plain_method_runs_ends_the_call_for_its_caller_and_the_method_continues(
    node_runtime, tmp_path
):
    opener = tmp_path / "open"
    blocking = await Blocking.options(isolation="process").spawn(str(opener))
    for timeout_s in growing_timeouts(0.1):
        with pytest.raises(art.CallTimeoutError) as caught:
            await blocking.block.options(timeout_s=timeout_s)()
        if opener.with_suffix(".begun").exists():
            break
    assert caught.value.executed == "maybe"
    opener.touch()
    assert await blocking.blocked_count() == 1


async def test_call_timeout_s_of_the_actor_is_the_deadline_of_calls_without_a_timeout(runtime):
    gate = await Gate.options(call_timeout_s=0.05).spawn()
    with pytest.raises(art.CallTimeoutError):
        await gate.wait()


async def test_deadline_shrinks_along_nested_calls(runtime):
    relay, other = await Relay.spawn(), await Relay.spawn()
    assert await relay.deadline_left() is None
    left = await relay.deadline_left_at.options(timeout_s=5)(other)
    assert 0 < left < 5


async def test_deadline_of_the_outer_call_cancels_the_inner_one(runtime):
    relay, gate = await Relay.spawn(), await Gate.options(max_concurrency=2).spawn()
    await timed_out_within(gate, relay.wait_at, gate)
    await reached(gate, entered=1, cancelled=1)


async def test_method_that_times_out_by_itself_raises_its_own_timeout(runtime):
    gate = await Gate.spawn()
    with pytest.raises(TimeoutError) as caught:
        await gate.wait_within(0.02)
    assert not isinstance(caught.value, art.CallTimeoutError)


async def test_cancel_of_a_queued_call_removes_it(runtime):
    gate = await Gate.spawn()
    first, queued = gate.wait_within(0.1), gate.wait()
    queued.cancel()
    with pytest.raises(art.CallCancelledError):
        await queued
    with pytest.raises(TimeoutError):
        await first
    assert await gate.counts() == (1, 1)


async def test_cancel_of_a_running_async_call_cancels_it(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()
    await reached(gate, entered=1, cancelled=0)
    reply.cancel()
    with pytest.raises(art.CallCancelledError):
        await reply
    await reached(gate, entered=1, cancelled=1)


async def test_cancel_right_after_the_call_leaves_no_call_running(runtime):
    gate = await Gate.options(max_concurrency=100).spawn()
    replies = [gate.wait() for _ in range(50)]
    for reply in replies:
        reply.cancel()
    await wait_for_answer(gate.counts, lambda counts: len({*counts}) == 1, "every call that was entered is cancelled")


async def test_cancel_of_a_completed_call_has_no_effect(runtime):
    counter = await Counter.spawn()
    reply = counter.add()
    assert await reply == 1
    reply.cancel()
    assert await reply == 1


async def test_cancelling_the_only_awaiter_cancels_the_call(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()

    async def wait():
        await reply

    task = asyncio.ensure_future(wait())  # the awaiter, cancelled and awaited below
    await reached(gate, entered=1, cancelled=0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(art.CallCancelledError):
        await reply
    await reached(gate, entered=1, cancelled=1)


async def test_cancelling_one_of_two_awaiters_cancels_nothing(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()

    async def wait():
        return await reply

    stays, goes = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())  # both awaited below
    await reached(gate, entered=1, cancelled=0)
    goes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await goes
    await gate.open()
    assert await stays == "open"


async def test_cancelled_method_cancels_the_calls_that_it_awaits(runtime):
    relay, gate = await Relay.spawn(), await Gate.options(max_concurrency=2).spawn()
    reply = relay.wait_at(gate)
    await reached(gate, entered=1, cancelled=0)
    reply.cancel()
    with pytest.raises(art.CallCancelledError):
        await reply
    await reached(gate, entered=1, cancelled=1)


async def test_timeout_around_an_await_cancels_the_call(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()
    await reached(gate, entered=1, cancelled=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reply
    await reached(gate, entered=1, cancelled=1)


@pytest.mark.parametrize(("is_late", "error"), [(False, art.CallCancelledError), (True, art.CallTimeoutError)])
async def test_cancel_that_overtakes_its_call_withdraws_the_call(is_late, error):
    async with art.Runtime(mode="local", cpus=1) as runtime:
        gate = await Gate.spawn()
        endpoints = [o for o in gc.get_objects() if type(o) is ActorEndpoint]
        (incoming,) = [s.incoming for s in endpoints if s.population.cell(gate._actor_id) is not None]
        driver = runtime.endpoint
        incoming.cancelled(driver.peers.own_peer, gate._actor_id, driver.pending.newest_id + 1, is_late)
        assert incoming.early_cancels_count == 1
        with pytest.raises(error) as caught:
            await gate.wait()
        assert caught.value.executed == "no"
        assert (await gate.counts(), incoming.early_cancels_count) == ((0, 0), 0)


async def test_calls_made_in_a_method_get_at_most_the_time_that_remains_of_its_deadline(node_runtime):
    relay, other = [await Relay.options(isolation="process").spawn() for _ in range(2)]

    class Chain(art.Actor):
        async def ask(self, relay, other, seconds):
            return await relay.deadline_left_at.options(timeout_s=seconds)(other)

    chain = await Chain.options(isolation="process", call_timeout_s=10).spawn()
    assert 1 < await chain.ask(relay, other, 30) < 10
    assert 0 < await chain.ask(relay, other, 1) < 1


async def test_dead_callers_queued_call_is_withdrawn_before_it_runs(node_runtime):
    class Caller(art.Actor):
        async def call(self, gate):
            await gate.wait()

        def die(self):
            os.kill(os.getpid(), signal.SIGKILL)

    gate = await Gate.spawn()
    holding = gate.wait()
    caller = await Caller.options(isolation="process", max_concurrency=2).spawn()
    calling = caller.call(gate)
    await wait_for_answer(node_runtime.statistics, lambda seen: queued_in(seen) == 1, "one call is queued")
    caller.die.tell()
    with pytest.raises(art.ActorDiedError):
        await calling
    await wait_for_answer(node_runtime.statistics, lambda seen: queued_in(seen) == 0, "no call is queued")
    holding.cancel()
    await reached(gate, entered=1, cancelled=1)


def test_calls_of_a_killed_driver_that_run_are_cancelled(node, tmp_path):
    with art_job(node) as gate, Script(KILLED_DRIVER.format(url=node.url), tmp_path) as script:
        assert script.line() == "waiting"
        script.send(signal.SIGKILL)
        while gate.counts().result(10) != (1, 1):
            pass


KILLED_DRIVER = """
    import actorrt as art

    art.init(address="{url}", namespace="killed")
    gate = art.lookup("gate", timeout_s=10).result(10)
    reply = gate.wait()
    while gate.counts().result(10) != (1, 0):
        pass
    print("waiting")
    reply.result()
"""


@contextmanager
def art_job(node):
    """A job with a gate that other drivers can look up by its name."""
    art.init(address=node.url, namespace="killed")
    try:
        yield Gate.options(name="gate", max_concurrency=5).spawn().result(10)
    finally:
        art.shutdown()
