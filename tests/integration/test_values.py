"""Arguments and results are values: they are captured when the call expression returns; large ones go by the store."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa
import pytest

import actorrt as art
from actorrt.actors.refs.ref import DEFAULT_CALL
from tests.integration.cast import Echo, Recorder
from tests.running import PATIENCE_S

LARGE = 300_000
SIZES = (10, LARGE)


async def test_list_changed_after_the_call_arrives_unchanged(runtime):
    echo = await Echo.spawn()
    items = [1, [2]]
    reply = echo.echo(items)
    items.append(3)
    items[1].append(4)
    assert await reply == [1, [2]]


@pytest.mark.parametrize("size", SIZES)
async def test_array_changed_after_the_call_arrives_unchanged(runtime, size):
    echo = await Echo.spawn()
    array = np.ones(size)
    reply = echo.total(array)
    array[:] = 5
    assert await reply == size


@pytest.mark.parametrize("size", SIZES)
async def test_array_changed_after_a_spawn_reaches_the_constructor_unchanged(runtime, size):
    class Holder(art.Actor):
        def __init__(self, array):
            self.array = array

        def total(self):
            return float(self.array.sum())

    array = np.ones(size)
    start = Holder.spawn(array)
    array[:] = 5
    assert await (await start).total() == size


@pytest.mark.parametrize("size", SIZES)
async def test_arrays_arrive_read_only(runtime, size):
    echo = await Echo.spawn()
    assert not await echo.is_writable(np.ones(size))
    assert not (await echo.ones(size)).flags.writeable


async def test_result_is_not_the_actors_own_object(runtime):
    recorder = await Recorder.spawn()
    await recorder.note(1)
    items = await recorder.all()
    items.append(2)
    assert await recorder.all() == [1]


async def test_result_that_the_actor_changes_afterwards_arrives_unchanged(runtime):
    class Growing(art.Actor):
        def __init__(self, size):
            self.array = np.zeros(size)

        def next(self):
            self.array += 1
            return self.array

    for size in SIZES:
        growing = await Growing.spawn(size)
        first = await growing.next()
        await growing.next()
        assert first[0] == 1


async def test_argument_kept_by_one_actor_is_not_shared_with_another(runtime):
    one, two = await Recorder.spawn(), await Recorder.spawn()
    item = {"k": []}
    await art.gather(one.note(item), two.note(item))
    item["k"].append(1)
    assert await one.all() == [{"k": []}]
    assert await two.all() == [{"k": []}]


async def test_yielded_item_that_the_generator_changes_arrives_unchanged(runtime):
    class Changing(art.Actor):
        async def items(self):
            item = [0]
            for n in range(5):
                item[0] = n
                yield item

    changing = await Changing.spawn()
    assert [item async for item in changing.items()] == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "make",
    [
        lambda size: np.arange(size, dtype=np.int16),
        lambda size: np.arange(size * 2, dtype=np.float32)[::2],
        lambda size: bytes(size),
        lambda size: bytearray(size),
        lambda size: "x" * size,
        lambda size: {"a": [np.arange(size)], "b": (1, "two")},
        lambda size: pa.table({"n": np.arange(size)}),
        lambda size: pa.array(["word"] * size),
        lambda size: [list(range(size))],
    ],
    ids=["int16", "strided", "bytes", "bytearray", "str", "nested", "table", "arrow", "list"],
)
async def test_value_returns_equal_and_of_its_type(runtime, make, size):
    value = make(size)
    back = await (await Echo.spawn()).echo(value)
    assert type(back) is type(value)
    if isinstance(value, dict):
        assert np.array_equal(back["a"][0], value["a"][0])
        assert back["b"] == value["b"]
    elif isinstance(value, np.ndarray):
        assert back.dtype == value.dtype
        assert np.array_equal(back, value)
    else:
        assert back == value


async def test_large_values_leave_nothing_in_the_store_when_they_are_dropped(runtime):
    echo = await Echo.spawn()
    for _ in range(5):
        await echo.total(np.ones(LARGE))
        assert (await echo.ones(LARGE)).sum() == LARGE
    while art.store_stats()["objects_count"] > 0:
        await echo.echo(1)


async def test_large_arguments_of_a_tell_are_released(runtime):
    class Sink(art.Actor):
        def __init__(self):
            self.total = 0.0

        def take(self, array):
            self.total += float(array.sum())

        def sum(self):
            return self.total

    sink = await Sink.spawn()
    for _ in range(10):
        sink.take.tell(np.ones(LARGE))
    assert await sink.sum() == 10 * LARGE
    while art.store_stats()["objects_count"] > 0:
        await sink.sum()


async def test_exception_with_an_array_arrives(runtime):
    class Thrower(art.Actor):
        def throw(self):
            raise ValueError(np.ones(LARGE))

    with pytest.raises(ValueError) as caught:
        await (await Thrower.spawn()).throw()
    assert caught.value.args[0].sum() == LARGE


class Shelf(art.Actor):
    """Keeps arrays, and checks whether they are shared or copied."""

    def keep(self, *arrays):
        self.arrays = arrays
        return self.arrays

    def total(self):
        return float(sum(array.sum() for array in self.arrays))

    def drop(self):
        self.arrays = ()

    async def is_kept_by_reference(self, array):
        """Return whether a child on the same loop gets and returns the same bytes, and whether they are writable."""
        shelf = await Shelf.spawn()
        (back,) = await shelf.keep(array)
        return np.shares_memory(back, array), back.flags.writeable

    async def pass_on(self, array):
        """Let a child on the same loop add it up; the runner that handles the call is idle afterwards."""
        child = await Echo.spawn()
        return await child.total(array)

    async def keeps_part_of(self, ref):
        array = await ref[0]
        return await self.is_kept_by_reference(array[LARGE // 2 :])


async def test_array_of_the_store_passes_by_reference_inside_a_process(runtime):
    shelf = await Shelf.options(isolation="process").spawn()
    ref = art.put(np.arange(LARGE))
    assert await shelf.is_kept_by_reference(ref) == (True, False)
    assert await shelf.keeps_part_of([ref]) == (True, False)
    assert await shelf.is_kept_by_reference(np.arange(LARGE)) == (True, False)  # it arrived through the store


async def test_array_of_the_store_is_sent_to_another_process_without_a_copy(runtime):
    shelf = await Shelf.options(isolation="process").spawn()
    ref = art.put({"a": np.arange(LARGE), "b": np.ones(LARGE)})
    value = await ref
    before = art.store_stats()["objects_count"]
    back = await shelf.keep(value["a"], value["b"][1000:], np.ones(10))
    assert art.store_stats()["objects_count"] == before
    assert [array.sum() for array in back] == [LARGE * (LARGE - 1) / 2, LARGE - 1000, 10]
    del ref, value, back
    assert await shelf.total() == LARGE * (LARGE - 1) / 2 + LARGE - 1000 + 10
    await shelf.drop()
    while art.store_stats()["objects_count"] > 0:
        await shelf.total()


async def test_array_that_was_passed_on_is_unpinned_when_the_calls_are_complete(runtime):
    shelf = await Shelf.options(isolation="process").spawn()
    array = await art.put(np.ones(LARGE))
    assert await shelf.pass_on(array) == LARGE
    own = await Echo.spawn()
    reply = own.total(array)
    assert await reply == LARGE
    for _ in range(2):  # the second call is not handled
        assert await own.total.options(key="once")(array) == LARGE
    told = own.total.tell(array)
    await told
    assert await own.echo(1) == 1
    del array
    async with asyncio.timeout(PATIENCE_S):
        while art.store_stats()["objects_count"] > 0:
            await runtime.status()  # and no further call, which would replace the last one
    assert reply.done()
    assert told.done()


async def test_array_of_a_freed_object_stays_readable_here_and_is_not_found_elsewhere(runtime):
    shelf = await Shelf.options(isolation="process").spawn()
    ref = art.put(np.ones(LARGE))
    array = await ref
    art.free(ref)
    with pytest.raises(art.ObjectNotFoundError, match="freed"):
        await shelf.keep(array)
    assert array.sum() == LARGE
    await shelf.keep(array.copy())
    assert await shelf.total() == LARGE


async def test_array_of_the_store_sent_to_many_is_released_even_if_a_receiver_never_opens_it(runtime):
    shelves = await Shelf.options(isolation="process").spawn_many(2)
    array = await art.put(np.ones(LARGE))
    assert [len(kept) for kept in await shelves.keep(array)] == [1, 1]
    for shelf in shelves:
        shelf.keep.tell(array, array)
    assert await shelves.total() == [2 * LARGE] * 2
    await shelves[0].kill()
    shelves[0].keep.tell(array)
    await shelves[1].drop()
    del array
    while art.store_stats()["objects_count"] > 0:
        await shelves[1].total()


async def test_items_of_a_stream_that_are_in_the_store_are_not_copied(runtime):
    class Reader(art.Actor):
        async def parts(self, ref, count):
            array = await ref[0]
            for part in np.split(array, count):
                yield part

    reader = await Reader.options(isolation="process").spawn()
    ref = art.put(np.arange(LARGE))
    assert [part[0] async for part in reader.parts([ref], 5)] == list(range(0, LARGE, LARGE // 5))
    assert art.store_stats()["objects_count"] == 1


def test_array_of_the_store_can_be_sent_from_plain_code(session):
    shelf = Shelf.spawn().result(10)
    array = art.put(np.ones(LARGE)).get()
    (back,) = shelf.keep(array).result(10)
    assert back.sum() == LARGE


class Neighbour(art.Actor):
    """Returns the identities of its arguments, and the value that it keeps."""

    def __init__(self) -> None:
        self.kept = None

    def identities(self, *values, **named):
        return [id(value) for value in (*values, *named.values())]

    def keep(self, value):
        self.kept = value

    async def give(self, count):
        for _ in range(count):
            yield self.kept

    def given(self):
        return self.kept


class Family(art.Actor):
    """An actor with a child in the same process."""

    async def on_start(self):
        self.child = await Neighbour.spawn()
        await self.child.identities()  # from now on the route to the child is known

    async def are_passed_by_reference(self, *values):
        there = await self.child.identities(*values, named=values[0])
        return [identity == id(value) for identity, value in zip(there, (*values, values[0]), strict=True)]

    async def comes_back(self, value):
        await self.child.keep.tell(value)
        items = [item async for item in self.child.give(2)]
        return [item is value for item in (await self.child.given(), *items)]


CONSTANTS = [
    b"x" * LARGE,
    "x" * LARGE,
    "\u00e4" * 2000,
    (b"x" * LARGE, ("y" * 2000, 1.5), None),
    frozenset({"x" * 2000}),
]


@pytest.mark.parametrize("value", CONSTANTS, ids=lambda value: type(value).__name__)
async def test_immutable_values_pass_by_reference_inside_a_process(runtime, value):
    family = await Family.spawn()
    assert await family.are_passed_by_reference(value, 1) == [True, True, True]
    assert await family.comes_back(value) == [True, True, True]


async def test_values_that_contain_mutable_parts_are_copied_inside_a_process(runtime):
    family = await Family.spawn()
    for value in ([b"x" * 2000], ("x" * 2000, []), (bytearray(2000),), tuple(range(5000))):
        assert await family.are_passed_by_reference(value) == [False, False]
        assert await family.comes_back(value) == [False, False, False]


@pytest.mark.parametrize("size", [2000, LARGE])
async def test_arguments_captured_for_a_neighbour_on_the_loop_arrive_in_another_process(node_runtime, size):
    shelf = await Shelf.options(isolation="process").spawn()
    calls, spec = node_runtime.endpoint.calls, shelf._interface.methods["keep"]
    route = node_runtime.endpoint.routes.of(shelf)
    route.inbox, link = object(), route.link  # the route at the time of the capture
    message = calls._captures.call(shelf, spec, ("x" * size, (1, b"y")), {}, DEFAULT_CALL)
    route.inbox = None
    assert route.link is link
    calls.submit(message)
    assert await message == ("x" * size, (1, b"y"))
    assert message.body == ()
    while art.store_stats()["objects_count"] > 0:
        await shelf.drop()
