"""Methods that yield: flow control, early ends, and errors in the middle of a stream."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import actorrt as art
from tests.integration.cast import Counter, Source
from tests.integration.witnesses import Notes
from tests.running import wait_for_answer


async def closed(source, count):
    """Wait until `count` generators have been closed, and return how many items were made."""
    return (await wait_for_answer(source.state, lambda state: state[1] == count, f"{count} closed generators"))[0]


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
async def test_stream_gives_every_item_in_order(runtime, method):
    source = await Source.spawn()
    assert [n async for n in getattr(source, method)(200)] == list(range(200))
    assert await closed(source, 1) == 200


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
async def test_empty_stream_ends(runtime, method):
    source = await Source.spawn()
    assert [n async for n in getattr(source, method)(0)] == []


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
async def test_slow_reader_holds_the_generator_back(runtime, method):
    source = await Source.options(max_concurrency=2).spawn()
    stream = getattr(source, method)(100_000)
    items = aiter(stream)
    assert await anext(items) == 0
    await wait_for_answer(source.state, lambda state: state[0] >= 32, "32 items are made")
    for _ in range(20):
        made, _ = await source.state()
        assert made <= 64
    await items.aclose()
    assert await closed(source, 1) <= 64


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
async def test_close_of_a_stream_after_a_break_runs_the_finally_of_the_generator(runtime, method):
    source = await Source.options(max_concurrency=2).spawn()
    stream = getattr(source, method)(100_000)
    async for n in stream:
        if n == 3:
            break
    stream.close()
    assert await closed(source, 1) < 100_000


async def test_error_of_a_stream_arrives_after_the_items_before_it(runtime):
    source = await Source.spawn()
    seen = []

    async def read():
        async for n in source.breaking(5):
            seen.append(n)

    with pytest.raises(ValueError, match="broken after 5") as caught:
        await read()
    assert seen == [0, 1, 2, 3, 4]
    assert "breaking" in caught.value.__notes__[0]


async def test_two_streams_of_one_actor_interleave(runtime):
    source = await Source.options(max_concurrency=3).spawn()
    left, right = aiter(source.numbers(3)), aiter(source.numbers(3))
    seen = [await anext(left), await anext(right), await anext(left), await anext(right)]
    assert seen == [0, 0, 1, 1]
    assert [n async for n in left] == [2]
    assert [n async for n in right] == [2]


async def test_stream_raises_when_its_actor_is_killed(runtime):
    source = await Source.options(max_concurrency=2).spawn()
    items = aiter(source.numbers(100_000))
    assert await anext(items) == 0
    await source.kill()
    with pytest.raises(art.ActorDiedError):
        await _all(items)


async def _all(items):
    return [item async for item in items]


async def test_actor_reads_a_stream_of_another(runtime):
    class Summer(art.Actor):
        async def total(self, source, count):
            return sum([n async for n in source.numbers(count)])

    summer = await Summer.spawn()
    assert await summer.total(await Source.spawn(), 100) == 4950


async def test_stream_with_an_object_ref_argument_gets_its_value(runtime):
    class Letters(art.Actor):
        async def letters(self, word):
            for letter in word:
                yield letter

        def plain_letters(self, word):
            yield from word

    letters = await Letters.spawn()
    ref = art.put("abc")
    assert [letter async for letter in letters.letters(ref)] == ["a", "b", "c"]
    assert [letter async for letter in letters.plain_letters(ref)] == ["a", "b", "c"]


async def test_wrong_arguments_of_a_stream_are_refused_at_the_caller(runtime):
    source = await Source.spawn()
    with pytest.raises(TypeError, match="numbers"):
        source.numbers()


async def test_await_of_a_stream_is_a_type_error(runtime):
    source = await Source.spawn()
    stream = source.numbers(3)
    with pytest.raises(TypeError):
        await stream
    stream.close()


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
def test_stream_is_read_by_a_for_loop_in_plain_code(session, method):
    source = Source.spawn().result(10)
    assert list(getattr(source, method)(100)) == list(range(100))


def test_early_exit_of_a_for_loop_in_plain_code_runs_the_finally_of_the_generator(session):
    source = Source.options(max_concurrency=2).spawn().result(10)
    for n in source.numbers(100_000):
        if n == 3:
            break
    while source.state().result(10)[1] == 0:
        pass


async def test_large_items_of_a_stream_arrive(runtime):
    class Large(art.Actor):
        async def arrays(self, count):
            import numpy as np

            for n in range(count):
                yield np.full(100_000, n)

    large = await Large.spawn()
    assert [int(array[-1]) async for array in large.arrays(40)] == list(range(40))


async def test_deadline_of_a_stream_counts_per_item(runtime):
    class Steady(art.Actor):
        async def ticks(self, count, seconds):
            import asyncio

            for n in range(count):
                await asyncio.sleep(seconds)
                yield n

    steady = await Steady.spawn()
    assert [n async for n in steady.ticks.options(timeout_s=0.5)(8, 0.1)] == list(range(8))
    with pytest.raises(art.CallTimeoutError):
        await _all(steady.ticks.options(timeout_s=0.1)(2, 30))


async def test_other_actor_can_be_called_while_a_stream_is_read(runtime):
    source, counter = await Source.spawn(), await Counter.spawn()
    async for _ in source.numbers(50):
        await counter.add()
    assert await counter.value() == 50


@pytest.mark.parametrize("options", [{"key": "k"}, {"retries": 1}, {"returns": "ref"}], ids=str)
async def test_options_that_a_stream_can_not_have_are_refused(runtime, options):
    source = await Source.spawn()
    with pytest.raises(TypeError, match=r"numbers\(\) yields"):
        source.numbers.options(**options)(3)
    assert await source.state() == (0, 0)


async def test_tell_to_a_method_that_yields_is_refused_at_the_caller(runtime):
    source = await Source.spawn()
    with pytest.raises(TypeError, match=r"numbers\(\) yields"):
        source.numbers.tell(3)
    assert await source.state() == (0, 0)


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
async def test_break_of_the_loop_closes_the_generator(runtime, method):
    source = await Source.options(max_concurrency=2).spawn()
    async for n in getattr(source, method)(100_000):
        if n == 3:
            break
    assert await closed(source, 1) < 100_000


async def test_stream_that_is_closed_before_it_is_read_closes_its_generator(runtime):
    source = await Source.options(max_concurrency=2).spawn()
    source.numbers(100_000).close()
    await wait_for_answer(
        source.state, lambda state: state[0] == 0 or state[1] > 0, "its generator is closed, or never began"
    )
    assert await source.numbers(3).__aiter__().__anext__() == 0


async def test_error_of_the_reader_closes_the_generator(runtime):
    source = await Source.options(max_concurrency=2).spawn()

    async def read():
        async for n in source.numbers(100_000):
            if n == 3:
                raise KeyError("of the reader")

    with pytest.raises(KeyError):
        await read()
    assert await closed(source, 1) < 100_000


async def test_cancelled_reader_closes_the_generator(runtime):
    class Ticking(Source):
        async def ticks(self):
            try:
                self.made += 1
                yield 0
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    source = await Ticking.options(max_concurrency=2).spawn()
    reader = asyncio.ensure_future(_all(source.ticks()))  # the reader, cancelled and awaited below
    await wait_for_answer(source.state, lambda state: state[0] > 0, "an item is made")
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await closed(source, 1) == 1


async def test_deadline_of_an_item_closes_the_generator_and_the_actor_still_serves(runtime):
    class Stuck(Source):
        async def stuck(self):
            try:
                yield 0
                await asyncio.Event().wait()
            finally:
                self.closed += 1

    source = await Stuck.spawn()
    seen = []

    async def read():
        async for n in source.stuck.options(timeout_s=0.1)():
            seen.append(n)

    with pytest.raises(art.CallTimeoutError) as caught:
        await read()
    assert (seen, caught.value.executed) == ([0], "maybe")
    assert await closed(source, 1) == 0


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
async def test_death_of_the_process_of_the_generator_ends_the_stream_after_the_received_items(node_runtime, restart):
    class Mortal(Source):
        async def numbers_then_death(self, count):
            for n in range(count):
                yield n
            await asyncio.sleep(0.05)  # the yielded items must leave the process before the fault
            os.kill(os.getpid(), signal.SIGKILL)

    source = await Mortal.options(isolation="process", restart=restart).spawn()
    seen = []

    async def read():
        async for n in source.numbers_then_death(3):
            seen.append(n)

    expected = art.ActorDiedError if restart == "temporary" else art.ActorUnavailableError
    with pytest.raises(expected) as caught:
        await read()
    assert (seen, caught.value.executed) == ([0, 1, 2], "maybe")


async def test_death_of_the_process_of_the_reader_closes_the_generator(node_runtime, tmp_path):
    class Reader(art.Actor):
        async def read(self, source, folder):
            async for _ in source.numbers(100_000):
                Notes(folder).open()
                await asyncio.Event().wait()

        def pid(self):
            return os.getpid()

    source = await Source.options(max_concurrency=2).spawn()
    reader = await Reader.options(isolation="process", max_concurrency=2).spawn()
    reading = reader.read(source, tmp_path)
    while not (tmp_path / "open").exists():
        await source.state()
    os.kill(await reader.pid(), signal.SIGKILL)
    with pytest.raises(art.ActorDiedError):
        await reading
    assert await closed(source, 1) < 100_000
