"""Calls of every form, in every mode: their results, their order, and the process that runs them."""

from __future__ import annotations

import asyncio
import os

import pytest

import actorrt as art
from tests.integration.cast import Counter, Echo, Gate, Recorder


async def test_ask_plain_method_returns_its_value(runtime):
    counter = await Counter.spawn(10)
    assert await counter.add(5) == 15


async def test_ask_async_method_returns_its_value(runtime):
    counter = await Counter.spawn()
    assert await counter.add_async(by=2) == 2


async def test_tell_has_no_reply_and_is_handled_before_a_later_ask(runtime):
    counter = await Counter.spawn()
    assert await counter.add.tell(3) is None
    assert await counter.value() == 3


async def test_calls_of_one_pair_arrive_in_order_in_every_form_of_call(runtime):
    recorder = await Recorder.spawn()
    for n in range(300):
        (recorder.note, recorder.note_async, recorder.note.tell)[n % 3](n)
    assert await recorder.all() == list(range(300))


async def test_plain_method_after_async_methods_keeps_its_place_in_the_order(runtime):
    recorder = await Recorder.options(max_concurrency=1).spawn()
    replies = [recorder.note_async(n) if n % 2 else recorder.note(n) for n in range(50)]
    await art.gather(*replies)
    assert await recorder.all() == list(range(50))


async def test_reply_can_be_awaited_by_many_tasks(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()

    async def wait():
        return await reply

    tasks = [asyncio.ensure_future(wait()) for _ in range(5)]  # they wait before it opens; awaited below
    await gate.open()
    assert [await task for task in tasks] == ["open"] * 5
    assert await reply == "open"


async def test_ref_can_be_sent_and_called_from_another_actor(runtime):
    class Caller(art.Actor):
        async def call(self, ref, n):
            return await ref.add(n), ref == self.kept if hasattr(self, "kept") else None

        def keep(self, ref):
            self.kept = ref

    counter = await Counter.spawn()
    caller = await Caller.spawn()
    await caller.keep(counter)
    assert await caller.call(counter, 4) == (4, True)
    assert await counter.value() == 4


async def test_returned_ref_equals_and_hashes_like_the_sent_ref(runtime):
    counter = await Counter.spawn()
    echo = await Echo.spawn()
    back = await echo.echo(counter)
    assert back == counter
    assert hash(back) == hash(counter)
    assert await back.add(2) == 2


async def test_max_concurrency_lets_async_calls_interleave(runtime):
    gate = await Gate.options(max_concurrency=3).spawn()
    waiting = [gate.wait(), gate.wait()]
    await gate.open()
    assert await art.gather(*waiting) == ["open", "open"]


async def test_without_max_concurrency_each_message_waits_for_the_message_before_it(runtime):
    gate = await Gate.spawn()
    waiting = gate.wait()
    counts = gate.counts()
    done, pending = await art.wait([waiting, counts], timeout_s=0.05)
    assert (done, pending) == ([], [waiting, counts])
    waiting.cancel()
    assert (await counts)[0] == 1


async def test_max_concurrency_bounds_how_many_calls_run_together(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    await art.gather(*[gate.wait_within(0.02) for _ in range(4)], return_exceptions=True)
    assert await gate.counts() == (4, 4)
    assert await gate.peak_count() == 2


async def test_actor_on_the_same_loop_is_never_run_in_the_senders_stack(runtime):
    recorder = await Recorder.spawn()
    reply = recorder.note(1)
    assert not reply.done()
    await reply


async def test_dropping_a_reply_does_not_withdraw_the_call(runtime):
    counter = await Counter.spawn()
    counter.add()
    counter.add()
    assert await counter.value() == 2


async def test_values_return_with_the_same_value_and_type(runtime):
    echo = await Echo.spawn()
    for value in (2**63 - 1, -(2**63), 2**64, 1.5, None, True, "ä" * 3000, b"\x00" * 5000, (1, [2, {"k": {3}}])):
        back = await echo.echo(value)
        assert back == value
        assert type(back) is type(value)


def test_result_returns_the_value_in_plain_code(session):
    counter = Counter.spawn(1).result(10)
    assert counter.add(2).result(10) == 3
    assert counter.add.tell(2).result(10) is None
    assert counter.value().result(10) == 5


def test_result_with_a_timeout_times_out_and_the_call_continues(session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()
    with pytest.raises(TimeoutError, match=r"wait\(\) did not end within 0.02 s"):
        reply.result(0.02)
    gate.open().result(10)
    assert reply.result(10) == "open"


async def test_result_on_the_loop_of_the_runtime_raises_at_once(node_runtime):
    async def main():
        counter = await Counter.spawn()
        with pytest.raises(art.RuntimeStateError, match="await"):
            counter.add().result()
        return await counter.value()

    assert await main() == 1


async def test_result_inside_an_actor_raises_instead_of_hanging(runtime):
    class Impatient(art.Actor):
        def ask(self, counter):
            return counter.add().result(5)

    impatient = await Impatient.spawn()
    with pytest.raises(art.RuntimeStateError, match="await"):
        await impatient.ask(await Counter.spawn())


async def test_actors_of_a_node_are_in_other_processes(node_runtime):
    counter = await Counter.spawn()
    assert await counter.pid() != os.getpid()


async def test_group_is_indexable_iterable_and_asked_as_one(runtime):
    group = await Counter.spawn_many(3, 5)
    assert len(group) == 3
    assert list(group) == [group[0], group[1], group[2]]
    assert len(group[1:]) == 2
    assert await group.add(2) == [7, 7, 7]
    await group[1].add()
    assert await group.value() == [7, 8, 7]


async def test_group_replies_come_in_order_of_completion(runtime):
    gates = await Gate.options(max_concurrency=2).spawn_many(2)
    await gates[1].open()
    replies = gates.wait()
    seen = []
    async for reply in replies.as_completed():
        seen.append(await reply)
        if len(seen) == 1:
            await gates[0].open()
    assert seen == ["open", "open"]


async def test_each_actor_of_a_group_with_process_isolation_has_its_own_process(node_runtime):
    group = await Counter.options(cpus=1).spawn_many(3)
    assert len({*await group.pid(), os.getpid()}) == 4
    await group.stop()
    assert await group.is_alive() == [False] * 3


async def test_group_can_be_sent(runtime):
    class Summer(art.Actor):
        async def total(self, group):
            return sum(await group.value())

    summer = await Summer.spawn()
    assert await summer.total(await Counter.spawn_many(3, 4)) == 12
