"""`gather`, `wait` and `as_completed` in async code, in plain code, in other threads and on other loops."""

from __future__ import annotations

import asyncio
import threading

import pytest

import actorrt as art
from tests.integration.cast import Counter, Faulty, Gate


async def opened_in_order(gates, order):
    for index in order:
        await gates[index].open()


async def test_gather_keeps_the_order_of_its_items(runtime):
    counters = [await Counter.spawn(n) for n in range(5)]
    assert await art.gather(*[c.value() for c in counters]) == [0, 1, 2, 3, 4]
    assert await art.gather() == []


async def test_gather_ends_with_the_first_error(runtime):
    faulty, gate = await Faulty.spawn(), await Gate.spawn()
    waiting = gate.wait()
    with pytest.raises(ValueError, match="no such thing"):
        await art.gather(waiting, faulty.raise_value_error())
    waiting.cancel()


async def test_gather_with_return_exceptions_returns_errors_and_values(runtime):
    faulty, counter = await Faulty.spawn(), await Counter.spawn(2)
    error, value = await art.gather(faulty.raise_value_error(), counter.value(), return_exceptions=True)
    assert (type(error), value) == (ValueError, 2)


async def test_gather_of_spawns_returns_the_refs(runtime):
    counters = await art.gather(*[Counter.spawn(n) for n in range(10)])
    assert await art.gather(*[c.value() for c in counters]) == list(range(10))


async def test_gather_of_values_that_are_no_replies_is_a_type_error():
    with pytest.raises(TypeError, match="item 1 is a int"):
        art.gather(art.gather(), 5)


async def test_wait_returns_when_enough_are_done(runtime):
    gates = await Gate.options(max_concurrency=2).spawn_many(4)
    replies = [gate.wait() for gate in gates]
    await opened_in_order(gates, [2, 0])
    done, pending = await art.wait(replies, count=2)
    assert (done, pending) == ([replies[0], replies[2]], [replies[1], replies[3]])
    await opened_in_order(gates, [1, 3])
    done, pending = await art.wait(replies, count=4)
    assert (done, pending) == (replies, [])


async def test_wait_for_more_items_than_there_are_is_refused(runtime):
    reply = (await Counter.spawn()).add()
    with pytest.raises(ValueError, match="count=5 of 1 items: give a count from 1 to the number of items"):
        art.wait([reply], count=5)
    await reply


async def test_wait_for_no_items_with_the_default_count_returns_at_once(runtime):
    assert await art.wait([]) == ([], [])


async def test_gather_times_out_and_its_items_continue(runtime):
    gate, counter = await Gate.options(max_concurrency=2).spawn(), await Counter.spawn()
    await counter.value()  # its process is connected
    waiting = gate.wait()
    with pytest.raises(art.CallTimeoutError, match=r"1 of 2 items did not end within 0\.05 s: <Reply of Gate.*wait"):
        await art.gather(counter.add(), waiting, timeout_s=0.05)
    await gate.open()
    assert await art.gather(waiting, counter.value(), timeout_s=60) == [await waiting, 1]


def test_gather_times_out_in_plain_code(session):
    waiting = Gate.spawn().result(10).wait()
    with pytest.raises(art.CallTimeoutError, match="1 of 1 items"):
        art.gather(waiting, timeout_s=0.01).result(10)
    waiting.cancel()


async def test_as_completed_gives_the_completed_items_and_then_times_out(runtime):
    gate, counter = await Gate.options(max_concurrency=2).spawn(), await Counter.spawn()
    waiting, added = gate.wait(), counter.add()
    await added
    completing = art.as_completed([waiting, added], timeout_s=0.05)
    assert await anext(completing) == added
    with pytest.raises(art.CallTimeoutError, match=r"1 of 2 items did not end within 0\.05 s"):
        await anext(completing)
    assert not waiting.done()
    await gate.open()
    assert {item async for item in art.as_completed([waiting, added], timeout_s=60)} == {added, waiting}


def test_as_completed_times_out_in_plain_code(session):
    waiting = Gate.spawn().result(10).wait()
    with pytest.raises(art.CallTimeoutError, match="1 of 1 items"):
        next(iter(art.as_completed([waiting], timeout_s=0.01)))
    waiting.cancel()


async def test_as_completed_of_a_group_reply_times_out(runtime):
    gates = await Gate.spawn_many(2)
    reply = gates.wait()
    with pytest.raises(art.CallTimeoutError, match=r"2 of 2 items .* and others"):
        await anext(reply.as_completed(timeout_s=0.01))
    reply.cancel()


@pytest.mark.parametrize(
    "waiting",
    [art.gather, lambda **options: art.wait([], **options), lambda **options: art.as_completed([], **options)],
)
@pytest.mark.parametrize(("timeout_s", "error"), [("x", TypeError), (-1, ValueError)])
def test_invalid_timeout_of_a_wait_is_refused(waiting, timeout_s, error):
    with pytest.raises(error, match=f"timeout_s={timeout_s!r}: give a number of at least 0"):
        waiting(timeout_s=timeout_s)


async def test_wait_returns_at_its_timeout(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    reply = gate.wait()
    assert await art.wait([reply], timeout_s=0.02) == ([], [reply])
    await gate.open()
    assert await art.wait([reply], timeout_s=10) == ([reply], [])


async def test_wait_counts_errors_as_done(runtime):
    faulty = await Faulty.spawn()
    reply = faulty.raise_value_error()
    assert await art.wait([reply]) == ([reply], [])
    assert isinstance(reply.error(), ValueError)


async def test_wait_for_no_items_returns_at_once_and_a_count_of_zero_is_refused(runtime):
    assert await art.wait([]) == ([], [])
    with pytest.raises(ValueError, match="count=0"):
        art.wait([], count=0)


async def test_as_completed_gives_items_in_order_of_completion(runtime):
    gates = await Gate.options(max_concurrency=2).spawn_many(4)
    replies = [gate.wait() for gate in gates]
    order = [3, 1, 0, 2]
    seen = []
    await gates[order[0]].open()
    async for reply in art.as_completed(replies):
        seen.append(replies.index(reply))
        if len(seen) < 4:
            await gates[order[len(seen)]].open()
    assert seen == order


async def test_as_completed_gives_each_item_once_including_errors(runtime):
    faulty, counter = await Faulty.spawn(), await Counter.spawn()
    replies = [faulty.raise_value_error(), counter.add(), counter.add()]
    seen = [reply async for reply in art.as_completed(replies)]
    assert sorted(map(id, seen)) == sorted(map(id, replies))


async def test_as_completed_of_thousands_gives_every_item(runtime):
    counter = await Counter.spawn()
    replies = [counter.add() for _ in range(3000)]
    seen = [reply.value() async for reply in art.as_completed(replies)]
    assert seen == list(range(1, 3001))


def test_gather_and_wait_work_in_plain_code(session):
    counters = Counter.spawn_many(3, 1).result(10)
    assert art.gather(*[c.add() for c in counters]).result(10) == [2, 2, 2]
    replies = [c.add() for c in counters]
    done, pending = art.wait(replies, count=3, timeout_s=10).result(10)
    assert (done, pending) == (replies, [])


def test_wait_in_plain_code_returns_at_its_timeout(session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()
    assert art.wait([reply], timeout_s=0.02).result(10) == ([], [reply])
    gate.open().result(10)
    assert reply.result(10) == "open"


def test_as_completed_gives_items_in_order_of_completion_in_plain_code(session):
    gates = Gate.options(max_concurrency=2).spawn_many(3).result(10)
    replies = [gate.wait() for gate in gates]
    gates[1].open().result(10)
    seen = []
    for reply in art.as_completed(replies):
        seen.append(replies.index(reply))
        if len(seen) < 3:
            gates[(0, 2)[len(seen) - 1]].open().result(10)
    assert seen == [1, 0, 2]


def test_many_threads_call_one_actor(node_session):
    counter = Counter.spawn().result(10)
    errors = []

    def call():
        try:
            for _ in range(100):
                counter.add().result(10)
        except BaseException as error:  # reported below
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert counter.value().result(10) == 500


def test_reply_can_be_awaited_on_another_loop(node_session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()

    async def main():
        task = asyncio.ensure_future(_awaited(reply))  # waits before it opens; awaited below
        await gate.open()
        return await task

    assert asyncio.run(main()) == "open"


async def _awaited(awaitable):
    return await awaitable


def test_gather_and_as_completed_work_on_another_loop(node_session):
    async def main():
        counters = await Counter.spawn_many(3, 1)
        values = await art.gather(*[c.value() for c in counters])
        completed = [await reply async for reply in art.as_completed([c.add() for c in counters])]
        done, pending = await art.wait([counters[0].value()], timeout_s=10)
        return values, completed, len(done), pending

    assert asyncio.run(main()) == ([1, 1, 1], [2, 2, 2], 1, [])


def test_several_loops_can_await_one_reply_at_once(node_session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()
    results = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(_awaited(reply)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    gate.open().result(10)
    for thread in threads:
        thread.join()
    assert results == ["open"] * 3


def test_cancelled_awaiter_on_another_loop_cancels_the_call(node_session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    gate.counts().result(10)  # its process is connected

    async def main():
        async with asyncio.timeout(0.05):
            await gate.wait()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    while gate.counts().result(10) != (1, 1):
        pass


def test_plain_code_works_in_a_thread_of_an_async_runtime(node):
    async def main():
        counter = await Counter.spawn()
        return await asyncio.to_thread(lambda: [counter.add().result(10) for _ in range(10)])

    assert art.run(main, address=node.url) == list(range(1, 11))
