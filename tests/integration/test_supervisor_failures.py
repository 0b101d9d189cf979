"""Effects of a child's failure: its siblings stop without a drain, and its callers get errors at once."""

from __future__ import annotations

import asyncio
import time

import pytest

import actorrt as art
from tests.integration.cast import Gate, Recorder
from tests.running import wait_for_answer

PLACES = [{}, {"isolation": "process"}]
SOON_S = 4.0
"""Less than the default `shutdown_s` and than the delays of these tests."""


class Consumer(art.Actor):
    async def take(self, item):
        if item == "poison":
            raise SystemExit("on purpose")
        return item

    def incarnation(self):
        return self.context.incarnation


class Producer(art.Actor):
    """Waits in its first call for a gate that stays closed, with another call in its mailbox."""

    def __init__(self, gate, recorder):
        self.gate, self.recorder = gate, recorder

    async def push(self, item):
        if self.context.incarnation == 1:
            await self.gate.wait()
        await self.recorder.note(item)
        return item, self.context.incarnation

    def incarnation(self):
        return self.context.incarnation

    async def on_stop(self, reason):
        await self.recorder.note("on_stop")


class Line(art.Supervisor):
    """A consumer and its producer; the producer is stopped when the consumer fails."""

    strategy = "rest_for_one"

    def __init__(self, gate, recorder, **options):
        self.gate, self.recorder, self.options_of = gate, recorder, options

    def children(self):
        yield art.Child(Consumer, id="consumer")
        yield art.Child(Producer, self.gate, self.recorder, id="producer", **self.options_of)


async def line_at_work(options):
    """Return a line whose producer runs a call that does not end, with another call in its mailbox."""
    gate, recorder = await Gate.options(max_concurrency=9).spawn(), await Recorder.spawn()
    line = await Line.spawn(gate, recorder, **options)
    consumer, producer = await line.child("consumer"), await line.child("producer")
    in_hand, queued = producer.push(1), producer.push(2)
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    return consumer, producer, in_hand, queued, recorder


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_sibling_stopped_by_a_failure_does_not_drain_and_its_next_incarnation_handles_the_queue(runtime, options):
    consumer, producer, in_hand, queued, recorder = await line_at_work(options)
    began = time.monotonic()
    with pytest.raises(art.ActorUnavailableError):
        await consumer.take("poison")
    with pytest.raises(
        art.ActorUnavailableError, match=r"was stopped during push\(\) and is being restarted"
    ) as caught:
        await in_hand
    assert caught.value.executed == "maybe"
    assert await queued == (2, 2)
    assert [await consumer.incarnation(), await producer.incarnation()] == [2, 2]
    assert time.monotonic() - began < SOON_S
    assert await recorder.all() == ["on_stop", 2]


async def test_temporary_sibling_stopped_by_a_failure_ends_at_once_for_its_callers(runtime):
    consumer, producer, in_hand, queued, recorder = await line_at_work({"restart": "temporary"})
    began = time.monotonic()
    await consumer.take.tell("poison")
    for call, executed in ((in_hand, "maybe"), (queued, "no")):
        with pytest.raises(art.ActorDiedError) as caught:
            await call
        assert caught.value.executed == executed
    assert time.monotonic() - began < SOON_S
    assert not await producer.is_alive()
    assert await recorder.all() == ["on_stop"]


class Slow(art.Actor):
    def __init__(self, gate):
        self.gate = gate

    async def on_stop(self, reason):
        await self.gate.wait()

    def incarnation(self):
        return self.context.incarnation


class Pair(art.Supervisor):
    strategy = "rest_for_one"

    def __init__(self, gate, options):
        self.gate, self.options_of = gate, options

    def children(self):
        yield art.Child(Consumer, id="consumer")
        yield art.Child(Slow, self.gate, id="slow", **self.options_of)


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_on_stop_of_a_sibling_stopped_by_a_failure_has_at_most_shutdown_s(runtime, options):
    pair = await Pair.spawn(await Gate.options(max_concurrency=9).spawn(), {"shutdown_s": 0.1, **options})
    slow = await pair.child("slow")
    await (await pair.child("consumer")).take.tell("poison")
    await wait_for_answer(slow.incarnation.options(retries=5), lambda number: number > 1, "the sibling is restarted")
    assert [info.restarts for info in await pair.children_info()] == [1, 1]


async def test_caller_of_a_failed_child_gets_its_error_before_the_siblings_have_stopped(runtime):
    gate = await Gate.options(max_concurrency=9).spawn()
    pair = await Pair.spawn(gate, {"shutdown_s": 60})
    consumer = await pair.child("consumer")
    async with asyncio.timeout(20):
        with pytest.raises(art.ActorUnavailableError, match="is being restarted"):
            await consumer.take("poison")
        assert {info.id: info.state for info in await pair.children_info()} == {
            "consumer": "waiting",
            "slow": "stopping",
        }
        await gate.open()
        assert await consumer.incarnation() == 2


async def test_supervisor_stopped_by_the_failure_of_a_sibling_does_not_drain_its_children(runtime):
    class Top(art.Supervisor):
        strategy = "rest_for_one"

        def __init__(self, gate, recorder):
            self.gate, self.recorder = gate, recorder

        def children(self):
            yield art.Child(Consumer, id="first")
            yield art.Child(Line, self.gate, self.recorder, id="line")

    gate, recorder = await Gate.options(max_concurrency=9).spawn(), await Recorder.spawn()
    top = await Top.spawn(gate, recorder)
    line = await top.child("line")
    in_hand = (await line.child("producer")).push(1)
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    began = time.monotonic()
    await (await top.child("first")).take.tell("poison")
    with pytest.raises(art.ActorDiedError):
        await in_hand
    again = await line.child.options(retries=5)("producer")
    await gate.open()
    assert await again.push(3) == (3, 1)
    assert time.monotonic() - began < SOON_S


async def test_ordered_stop_of_a_supervisor_still_drains_its_children(runtime):
    gate, recorder = await Gate.options(max_concurrency=9).spawn(), await Recorder.spawn()
    line = await Line.spawn(gate, recorder)
    producer = await line.child("producer")
    calls = [producer.push(1), producer.push(2)]
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    stopping = line.stop()
    await gate.open()
    await stopping
    assert await art.gather(*calls) == [(1, 1), (2, 1)]
    assert await recorder.all() == [1, 2, "on_stop"]


class Fragile(art.Actor):
    """Ends before it has handled a message, so that its restart backs off."""

    async def die(self):
        await asyncio.sleep(0)
        raise SystemExit("on purpose")

    async def exit(self):
        await asyncio.sleep(0)
        import os

        os._exit(3)


BACKOFF = art.Backoff(first_s=60, max_s=60, jitter=0)


class Guard(art.Supervisor):
    def __init__(self, options):
        self.options_of = options

    def children(self):
        yield art.Child(Fragile, id="fragile", backoff=BACKOFF, **self.options_of)


async def twice(call):
    """Let an actor fail twice before it handles a message, so that the second restart waits; return the last error."""
    with pytest.raises(art.ActorUnavailableError):
        await call()
    with pytest.raises(art.ActorUnavailableError) as caught:
        await call()
    return caught.value


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_caller_of_a_supervised_child_in_back_off_gets_an_error_with_the_restart_delay_at_once(runtime, options):
    guard = await Guard.spawn(options)
    fragile = await guard.child("fragile")
    async with asyncio.timeout(20):
        error = await twice(fragile.die)
    assert "is started again in 60 s" in str(error)
    assert error.executed == "maybe"
    assert [info.state for info in await guard.children_info()] == ["backing_off"]


async def test_caller_of_a_supervised_process_in_back_off_gets_an_error_with_the_restart_delay_at_once(node_runtime):
    fragile = await (await Guard.spawn({"isolation": "process"})).child("fragile")
    async with asyncio.timeout(20):
        assert "is started again in 60 s: crashed" in str(await twice(fragile.exit))


async def test_caller_of_an_unsupervised_actor_in_back_off_gets_an_error_with_the_restart_delay_at_once(runtime):
    fragile = await Fragile.options(restart="permanent", backoff=BACKOFF).spawn()
    async with asyncio.timeout(20):
        assert "is started again in 60 s" in str(await twice(fragile.die))


class Busy(art.Actor):
    async def wait_a_little(self, item):
        await asyncio.sleep(0.0005)
        return item

    def answer(self, item):
        return item

    def fail(self):
        raise SystemExit("on purpose")


class Group(art.Supervisor):
    strategy = "one_for_all"

    def children(self):
        yield art.Child(Busy, id="busy", isolation="process")


class GivesUp(art.Supervisor):
    """Gives up at the first failure; one child of its group is in a process of its own, and another shares one."""

    max_restarts = 0

    def children(self):
        yield art.Child(Busy, id="failing")
        yield art.Child(Busy, id="busy")
        yield art.Child(Group, id="group")


async def test_calls_that_arrive_while_a_supervisor_gives_up_end_with_errors_of_calls(runtime):
    """A message that an actor takes up in the step in which it ends must not meet an actor without an instance."""
    ends = []

    async def call(ref, method):
        while True:
            try:
                await asyncio.gather(*[getattr(ref, method)(b"." * size) for size in (1, 200_000)])
            except Exception as error:
                ends.append(error)
                return

    for _ in range(5):
        supervisor = await GivesUp.spawn()
        down, group = art.monitor(supervisor), await supervisor.child("group")
        refs = [await supervisor.child("busy"), await group.child("busy")]
        async with asyncio.TaskGroup() as calls:
            for ref in refs:
                for method in ("wait_a_little", "answer"):
                    calls.create_task(call(ref, method))
            await (await supervisor.child("failing")).fail.tell()
        assert (await down).reason.kind is art.ExitKind.INTENSITY
    assert {type(error) for error in ends} <= {art.ActorDiedError, art.ActorUnavailableError}
    assert len(ends) == 20
