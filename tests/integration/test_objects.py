"""The object store through the runtime: put and get across processes, results in the store, refs in messages."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal

import numpy as np
import pytest

import actorrt as art
from tests.integration.cast import Counter, Echo, Faulty, Gate
from tests.running import wait_for_answer

LARGE = 300_000


class Keeper(art.Actor):
    """Holds refs and makes objects."""

    def __init__(self, value=None):
        self.value = value
        self.kept = []

    def make(self, size):
        return art.put(np.ones(size))

    def keep(self, box):
        self.kept.append(box)

    async def total_of_kept(self):
        return float((await self.kept[0][0]).sum())

    def drop(self):
        self.kept.clear()

    def total(self):
        return float(self.value.sum())

    def address(self, array):
        return array.__array_interface__["data"][0] != 0 and array.flags.owndata

    def pid(self):
        return os.getpid()

    def pin(self, box):
        art.pin(box[0])


async def until_objects(count, actor):
    """Wait until the store holds `count` objects."""
    while art.store_stats()["objects_count"] != count:
        await actor.pid()


async def test_object_put_by_one_process_is_read_by_the_other_in_both_directions(runtime):
    keeper = await Keeper.spawn()
    ref = art.put(np.arange(LARGE))
    echo = await Echo.spawn()
    assert await echo.total(ref) == LARGE * (LARGE - 1) / 2
    made = await keeper.make(LARGE)
    assert isinstance(made, art.ObjectRef)
    assert (await made).sum() == LARGE


async def test_array_of_the_store_is_a_view_on_shared_memory_on_both_sides(runtime):
    keeper = await Keeper.spawn()
    ref = art.put(np.ones(LARGE))
    assert (await ref).flags.owndata is False
    assert await keeper.address(ref) is False


async def test_ref_as_a_top_level_argument_arrives_as_its_value_positional_or_by_keyword(runtime):
    echo = await Echo.spawn()
    ref = art.put([1, 2])
    assert await echo.describe(ref) == "list [1, 2]"
    assert await echo.describe(value=ref) == "list [1, 2]"
    assert await echo.describe_keyword(value=ref) == "list [1, 2]"


async def test_ref_inside_a_container_stays_a_ref(runtime):
    echo = await Echo.spawn()
    ref = art.put([1, 2])
    (back,) = await echo.echo([ref])
    assert isinstance(back, art.ObjectRef)
    assert await back == [1, 2]


async def test_put_async_and_await_of_its_ref_work_in_async_code(runtime):
    ref = await art.put_async({"k": 1})
    assert await ref == {"k": 1}


def test_put_and_get_work_in_plain_code(session):
    ref = art.put(np.ones(LARGE))
    assert ref.get(timeout_s=10).sum() == LARGE
    keeper = Keeper.spawn().result(10)
    assert keeper.make(5).result(10).get(10).sum() == 5


async def test_allocated_buffer_is_written_in_place_and_sealed(runtime):
    echo = await Echo.spawn()
    with art.allocate((LARGE,), np.float64) as buffer:
        buffer.array[:] = 2
        ref = buffer.seal()
    assert await echo.total(ref) == 2 * LARGE


async def test_returns_ref_gives_a_ref_at_once_and_the_value_later(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    ref = gate.wait.options(returns="ref")()
    assert isinstance(ref, art.ObjectRef)
    assert not ref.done()
    await gate.open()
    assert await ref == "open"


async def test_pending_ref_is_passed_on_and_the_receiver_waits_for_it(runtime):
    gate, echo = await Gate.options(max_concurrency=2).spawn(), await Echo.spawn()
    ref = gate.wait.options(returns="ref")()
    described = echo.describe(ref)
    done, _ = await art.wait([described], timeout_s=0.05)
    assert done == []
    await gate.open()
    assert await described == "str 'open'"


async def test_call_that_waits_for_a_ref_keeps_its_place_in_the_order(runtime):
    class Order(art.Actor):
        def __init__(self):
            self.seen = []

        def note(self, item):
            self.seen.append(item)

        def all(self):
            return self.seen

    gate, order = await Gate.options(max_concurrency=2).spawn(), await Order.spawn()
    order.note(gate.wait.options(returns="ref")())
    order.note("second")
    seen = order.all()
    await gate.open()
    assert await seen == ["open", "second"]


async def test_chain_of_refs_through_three_actors_delivers_the_value(runtime):
    one, two, three = await Echo.spawn(), await Echo.spawn(), await Echo.spawn()
    a = one.ones.options(returns="ref")(LARGE)
    b = two.echo.options(returns="ref")(a)
    assert await three.total(b) == LARGE


async def test_get_of_the_ref_of_a_failed_call_raises_the_error_of_its_own_type(runtime):
    faulty = await Faulty.spawn()
    ref = faulty.raise_value_error.options(returns="ref")()
    with pytest.raises(ValueError, match="no such thing"):
        await ref


async def test_get_of_the_ref_of_a_failed_call_raises_the_error_in_another_actor(runtime):
    faulty, echo = await Faulty.spawn(), await Echo.spawn()
    ref = faulty.raise_value_error.options(returns="ref")()
    with pytest.raises(ValueError, match="no such thing"):
        await echo.describe(ref)
    assert await echo.echo(1) == 1


async def test_await_of_the_ref_of_a_call_fails_when_its_actor_is_killed(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    ref = gate.wait.options(returns="ref")()
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a call is in the gate")
    await gate.kill()
    with pytest.raises((art.ActorDiedError, art.ObjectLostError)):
        await ref


async def test_object_outlives_the_process_that_made_it(node_runtime):
    keeper = await Keeper.options(isolation="process").spawn()
    ref = await keeper.make(LARGE)
    result = keeper.make.options(returns="ref")(LARGE)
    inner = await result
    await keeper.kill()
    assert (await ref).sum() == LARGE
    assert (await inner).sum() == LARGE


async def test_ref_held_by_an_actor_keeps_its_object(runtime):
    keeper = await Keeper.spawn()
    ref = art.put(np.ones(LARGE))
    await keeper.keep([ref])
    del ref
    assert await keeper.total_of_kept() == LARGE
    await keeper.drop()
    await until_objects(0, keeper)


async def test_objects_that_a_killed_process_held_are_released(node_runtime):
    keeper = await Keeper.options(isolation="process").spawn()
    witness = await Keeper.spawn()
    for _ in range(3):
        await keeper.keep([art.put(np.ones(LARGE))])
    await keeper.pin([art.put(np.ones(LARGE))])
    assert art.store_stats()["objects_count"] == 4
    os.kill(await keeper.pid(), signal.SIGKILL)
    await art.monitor(keeper)
    await until_objects(0, witness)
    stats = art.store_stats()
    assert (stats["used_bytes"], stats["pinned_bytes"]) == (0, 0)


async def test_object_with_refs_inside_keeps_them(runtime):
    keeper = await Keeper.spawn()
    outer = art.put([art.put(np.ones(LARGE))])
    (inner,) = await outer
    assert (await inner).sum() == LARGE
    del outer, inner
    await until_objects(0, keeper)


async def test_pin_holds_an_object_and_free_withdraws_it(runtime):
    keeper = await Keeper.spawn()
    ref = art.put(np.ones(LARGE))
    art.pin(ref)
    assert art.store_stats()["pinned_bytes"] >= LARGE * 8
    art.free(ref)
    await until_objects(0, keeper)
    assert art.store_stats()["pinned_bytes"] == 0


async def test_freed_object_as_an_argument_fails_the_call(runtime):
    echo = await Echo.spawn()
    ref = art.put(np.ones(LARGE))
    art.free(ref)
    with pytest.raises(art.ObjectNotFoundError):
        await echo.total(ref)
    assert await echo.echo(1) == 1


async def test_object_in_constructor_arguments_survives_restarts(node_runtime):
    ref = art.put(np.ones(LARGE))
    keeper = await Keeper.options(isolation="process", restart="permanent").spawn(ref)
    del ref
    for _ in range(2):
        assert await keeper.total.options(retries=3)() == LARGE
        os.kill(await keeper.pid(), signal.SIGKILL)
    assert await keeper.total.options(retries=3)() == LARGE
    await keeper.stop()
    witness = await Keeper.spawn()
    await until_objects(0, witness)


async def test_object_in_keyword_constructor_arguments_arrives_as_its_value(runtime):
    keeper = await Keeper.spawn(value=art.put(np.ones(LARGE)))
    assert await keeper.total() == LARGE


async def test_full_store_is_an_error_and_the_runtime_still_works():
    async with art.Runtime(mode="local", store_bytes=64 * 1024 * 1024):
        echo = await Echo.spawn()
        held = [art.put(np.ones(1_000_000)) for _ in range(7)]
        with pytest.raises(art.ObjectStoreFullError):
            art.put(np.ones(10_000_000))  # more than the store may ever hold
        del held
        while art.store_stats()["objects_count"]:
            await echo.echo(1)
        assert await echo.total(art.put(np.ones(1_000_000))) == 1_000_000


async def test_ref_pickled_outside_of_a_message_raises_with_the_reason(runtime):
    ref = art.put([1])
    with pytest.raises(TypeError, match=r"travels only in actor messages"):
        pickle.dumps(ref)


async def test_wait_and_gather_take_refs_and_replies(runtime):
    counter, gate = await Counter.spawn(), await Gate.options(max_concurrency=2).spawn()
    ref = art.put(4)
    pending = gate.wait.options(returns="ref")()
    assert await art.gather(counter.add(), ref) == [1, 4]
    done, left = await art.wait([pending, ref, counter.add()], count=2)
    assert (len(done), left) == (2, [pending])
    await gate.open()
    assert await pending == "open"


async def test_timeout_around_the_await_of_a_ref_raises_and_keeps_the_ref_usable(runtime):
    gate = await Gate.options(max_concurrency=2).spawn()
    ref = gate.wait.options(returns="ref")()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ref
    await gate.open()
    assert await ref == "open"


async def test_refs_that_only_a_call_holds_arrive_and_are_released_with_the_call(runtime):
    keeper, echo = await Keeper.options(cpus=1).spawn(), await Echo.spawn()
    before = art.store_stats()["objects_count"]
    calls = [echo.echo(art.put(np.full(1000, number))) for number in range(100)]  # as a value
    boxes = [keeper.keep([art.put(np.full(1000, number))]) for number in range(100)]  # in a list, and kept by the actor
    assert [int(array[-1]) for array in await art.gather(*calls)] == list(range(100))
    await art.gather(*boxes)
    assert await keeper.total_of_kept() == 0.0
    del calls, boxes
    await keeper.drop()
    await until_objects(before, keeper)


async def test_ref_in_a_call_stays_valid_after_its_sender_was_killed(node_runtime):
    """The object stays while the receiver holds its ref, after the end of the sender."""
    keeper = await Keeper.options(cpus=1).spawn()
    sender = await Passer.options(cpus=1).spawn()
    await sender.pass_on(keeper, LARGE)
    await sender.kill()
    assert await keeper.total_of_kept() == LARGE


class Passer(art.Actor):
    """Puts objects and passes on their refs."""

    async def pass_on(self, keeper, size):
        await keeper.keep([art.put(np.ones(size))])


async def test_ref_method_of_a_call_returns_an_object_ref_to_its_result(runtime):
    gate, echo = await Gate.options(max_concurrency=2).spawn(), await Echo.spawn()
    ref = gate.wait.ref()
    assert isinstance(ref, art.ObjectRef)
    received = echo.echo(ref)  # passed on before its value exists
    await gate.open()
    assert (await ref, await received) == ("open", "open")
    group = art.ActorGroup([echo, await Echo.spawn()])
    refs = group.echo.ref(3)
    assert [type(each) for each in refs] == [art.ObjectRef] * 2
    assert await art.gather(*refs) == [3, 3]
    closed = await Gate.spawn()
    with pytest.raises(art.CallTimeoutError):
        await closed.wait.options(timeout_s=0.05).ref()
