"""Puts, gets, refs and views, against a store in this process."""

from __future__ import annotations

import asyncio
import errno
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref as weak

import numpy as np
import pyarrow as pa
import pytest

from actorrt.clock import MonotonicClock
from actorrt.config import MIB
from actorrt.errors import (
    ObjectLostError,
    ObjectNotFoundError,
    ObjectStoreFullError,
    RuntimeStateError,
    SerializationError,
)
from actorrt.ids import IdSource
from actorrt.store.client.client import NotReadyError, StoreClient
from actorrt.store.client.ref import ObjectRef
from actorrt.store.memory.views import place_in_store
from actorrt.store.server.local import LocalStore
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.encoding import dumps, loads
from actorrt.store.values.errors import encode as encode_error

IDS = IdSource()


@pytest.fixture
def store() -> Iterator[LocalStore]:
    store = LocalStore(64 * MIB, MonotonicClock())
    yield store
    store.close()


def connect(store: LocalStore) -> StoreClient:
    peer = IDS.peer()
    return StoreClient(store.open_channel(peer), peer)


@pytest.fixture
def client(store: LocalStore) -> Iterator[StoreClient]:
    client = connect(store)
    yield client
    client.close()


@pytest.fixture
def other(store: LocalStore) -> Iterator[StoreClient]:
    client = connect(store)
    yield client
    client.close()


def test_an_array_comes_back_equal_and_read_only(client: StoreClient) -> None:
    back = client.put(np.arange(1000)).get()
    assert back.tolist() == list(range(1000))
    with pytest.raises(ValueError, match="read-only"):
        back[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        back.flags.writeable = True


def test_two_processes_see_the_same_memory(client: StoreClient, other: StoreClient) -> None:
    with client.allocate(4, "i8") as buffer:
        view = buffer.array
        view[:] = 1
        ref = buffer.seal()
    theirs = other.get(ref.id)
    mine = ref.get()
    # Through a view that was taken before the seal, as the documentation warns: it is the same memory.
    assert theirs.tolist() == mine.tolist() == [1, 1, 1, 1]
    assert not view.flags.writeable


def test_a_second_get_asks_nobody(client: StoreClient) -> None:
    ref = client.put(np.zeros(10))
    ref.get()
    hits_count = client.stats()["hits_count"]
    ref.get()
    assert client.stats()["hits_count"] == hits_count


def test_a_view_keeps_its_memory_after_its_ref(client: StoreClient) -> None:
    ref = client.put({"weights": np.arange(1000.0)})
    part = ref.get()["weights"][10:20]
    del ref
    gc.collect()
    assert client.stats()["objects_count"] == 1
    assert client.stats()["pinned_bytes"] > 8000
    client.put(np.zeros(10_000))
    assert part.tolist() == list(map(float, range(10, 20)))
    del part
    assert client.stats()["objects_count"] == 0
    assert client.stats()["used_bytes"] == 0


@pytest.mark.parametrize(
    "make_view",
    [memoryview, lambda a: a.view(np.uint8).reshape(2, -1), lambda a: pa.array(a), lambda a: np.asarray(a).T],
    ids=["memoryview", "numpy", "arrow", "transposed"],
)
def test_any_kind_of_view_keeps_the_memory(client: StoreClient, make_view: object) -> None:
    view = make_view(client.put(np.arange(16.0)).get())  # type: ignore[operator]
    gc.collect()
    assert client.stats()["pinned_bytes"] > 0
    del view
    gc.collect()
    assert client.stats()["used_bytes"] == 0


def test_views_of_the_store_are_told_from_memory_that_may_change(client: StoreClient) -> None:
    ref = client.put(np.arange(10_000.0))
    array = ref.get()
    _, stored = dumps([array, array[5000:], array.reshape(100, 100)])
    _, changeable = dumps([np.arange(10_000.0), np.arange(10_000.0)[:5000]])
    (start, *others) = [place_in_store(buffer) for buffer in stored]
    assert start is not None
    assert others == [(ref.id, start[1] + 40_000), start]
    assert [place_in_store(buffer) for buffer in changeable] == [None, None]


def test_arrow_tables_are_views_of_the_store(client: StoreClient) -> None:
    before_bytes = pa.total_allocated_bytes()
    table = client.put(pa.table({"x": np.arange(100_000), "y": np.ones(100_000)})).get()
    assert table.column("x").to_pylist()[-1] == 99_999
    assert pa.total_allocated_bytes() - before_bytes < 100_000
    del table
    gc.collect()
    assert client.stats()["used_bytes"] == 0


def test_a_promise_is_kept_by_another_process(client: StoreClient, other: StoreClient) -> None:
    promise = client.declare()
    with pytest.raises(NotReadyError, match="is not sealed yet"):
        client.get(promise.id)
    assert not promise.done()
    other.put([1, 2, 3], object_id=promise.id)
    assert promise.get() == [1, 2, 3]
    assert promise.done()


def test_a_failed_promise_raises_the_makers_error(client: StoreClient, other: StoreClient) -> None:
    promise = client.declare()
    other.put_error(promise.id, encode_error(KeyError("no such episode")))
    with pytest.raises(KeyError, match="no such episode"):
        promise.get()
    assert isinstance(promise.error(), KeyError)


def test_a_promise_is_lost_with_its_declarer(client: StoreClient, other: StoreClient) -> None:
    promise = client.declare()
    theirs = other.ref(promise.id)
    client.close()
    with pytest.raises(ObjectLostError, match="ended before it was sealed"):
        theirs.get()


def test_a_second_result_for_the_same_object_is_the_first(client: StoreClient, other: StoreClient) -> None:
    promise = client.declare()
    other.put("first", object_id=promise.id)
    assert other.put("second", object_id=promise.id).get() == "first"


def test_a_store_whose_free_bytes_are_apart_says_how_long_the_longest_stretch_is(client: StoreClient) -> None:
    refs = [client.put(np.zeros(2 * MIB - 10_000, np.uint8)) for _ in range(32)]
    views = [ref.get() for ref in refs]
    for apart in (30, 15, 2):
        del refs[apart], views[apart]
    words = r"no room for 5\.0 MiB: 5\d\.\d of 64\.0 MiB are used, and 2\.\d MiB are the longest free stretch; "
    with pytest.raises(ObjectStoreFullError, match=words):
        client.put(np.zeros(5 * MIB, np.uint8))


def test_a_full_store_names_the_holders_and_stays_usable(client: StoreClient) -> None:
    ref = client.put(np.zeros(40 * MIB, np.uint8))
    with pytest.raises(
        ObjectStoreFullError,
        match=r"no room for 40\.0 MiB: 40\.0 of 64\.0 MiB are used; largest holders: pid \d+ 40\.0 MiB",
    ):
        client.put(np.zeros(40 * MIB, np.uint8))
    assert client.put(b"small").get() == b"small"
    del ref
    assert client.put(np.zeros(40 * MIB, np.uint8)).get().nbytes == 40 * MIB


@pytest.mark.parametrize("call", ["memfd_create", "posix_fallocate"])
def test_a_machine_without_memory_is_a_clean_error(
    client: StoreClient, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"actorrt.store.memory.segments.os.{call}", refuse)
        with pytest.raises(ObjectStoreFullError, match="gave no memory for a segment of 4 MiB: No space left"):
            client.put(1)
    assert client.put(1).get() == 1


def test_a_freed_object_is_not_found(client: StoreClient, other: StoreClient) -> None:
    ref = client.put("gone")
    theirs = other.ref(ref.id)
    client.free(ref)
    with pytest.raises(ObjectNotFoundError, match="was freed"):
        theirs.get()


def test_freeing_lets_go_of_what_only_the_ref_kept_in_view(client: StoreClient) -> None:
    ref = client.put(np.zeros(1000))
    client.pin(ref)
    view = ref.get()
    client.free(ref)
    with pytest.raises(ObjectNotFoundError, match="was freed"):
        ref.get()
    counts = client.stats()
    assert counts["objects_count"] == 0
    assert counts["pinned_bytes"] > 8000
    del view
    counts = client.stats()
    assert counts["pinned_bytes"] == counts["used_bytes"] == 0


def test_a_pinned_object_outlives_its_refs(client: StoreClient) -> None:
    ref = client.put("kept")
    object_id = ref.id
    client.pin(ref)
    del ref
    gc.collect()
    assert client.get(object_id) == "kept"
    client.free(client.ref(object_id))
    assert client.stats()["objects_count"] == 0


def test_a_buffer_left_unsealed_leaves_nothing(client: StoreClient) -> None:
    with client.allocate((10, 10), "f4") as buffer:
        buffer.array[:] = 1
        assert client.stats()["used_bytes"] > 400
    assert client.stats()["used_bytes"] == 0
    with pytest.raises(RuntimeStateError, match="sealed or given back"):
        buffer.seal()


def test_an_allocated_array_of_objects_is_refused_before_anything_changes(client: StoreClient) -> None:
    with pytest.raises(TypeError, match="dtype object can't be written in place"):
        client.allocate(3, object)
    assert client.stats()["used_bytes"] == 0


def test_a_value_that_can_not_be_stored_leaves_nothing(client: StoreClient) -> None:
    with pytest.raises(SerializationError, match=r"value\['bad'\]"):
        client.put({"good": np.zeros(10), "bad": (i for i in range(3))})
    assert client.stats()["objects_count"] == 0


def test_pickling_a_ref_outside_messages_says_why(client: StoreClient) -> None:
    ref = client.put(1)
    with pytest.raises(TypeError, match="a ref travels only in actor messages and in objects of the store"):
        pickle.dumps(ref)
    with pytest.raises(SerializationError, match=r"value\[0\] can't be sent: <ObjectRef .*> can't be pickled here"):
        dumps([ref])


def test_a_ref_sent_and_dropped_arrives_alive(client: StoreClient, other: StoreClient) -> None:
    ref = client.put("alive")
    data, buffers = dumps({"ref": ref}, Carrier(client))
    del ref
    gc.collect()
    assert client.stats()["objects_count"] == 1
    arrived = loads(data, buffers, Carrier(other))["ref"]
    assert arrived.get() == "alive"
    del arrived
    gc.collect()
    assert other.stats()["objects_count"] == 0


def test_a_dump_that_fails_begins_no_transit(client: StoreClient) -> None:
    ref = client.put("kept")
    carrier = Carrier(client)
    with pytest.raises(SerializationError):
        dumps([ref, (i for i in range(3))], carrier)
    assert carrier.refs == []
    assert carrier.tokens == []
    del ref
    gc.collect()
    assert client.stats()["objects_count"] == 0


def test_a_lost_message_is_settled(client: StoreClient) -> None:
    carrier = Carrier(client)
    dumps(client.put("lost on the way"), carrier)
    client.settle(carrier.tokens)
    carrier.refs.clear()
    assert client.stats()["objects_count"] == 0


def test_a_dumped_message_may_go_through_the_store_with_its_refs(client: StoreClient, other: StoreClient) -> None:
    inner = client.put("inner")
    data, buffers = dumps(([inner], np.zeros(100_000)), Carrier(client))
    carried = client.put_parts(data, buffers)
    token = client.new_token()
    carried.begin_transits([(carried, token)], 1)
    object_id = carried.id
    del inner, carried
    client.stats()
    (arrived,), array = other.ref(object_id, token).value()
    assert arrived.get() == "inner"
    assert array.nbytes == 800_000
    del arrived, array
    gc.collect()
    assert other.stats()["objects_count"] == 0


def test_refs_inside_objects_live_as_long_as_the_object(client: StoreClient, other: StoreClient) -> None:
    outer = client.put({"inner": client.put("treasure")})
    gc.collect()
    inner = other.ref(outer.id).get()["inner"]
    del outer
    gc.collect()
    assert inner.get() == "treasure"
    del inner
    gc.collect()
    client.stats()
    assert other.stats()["objects_count"] == 0


def test_the_end_of_a_client_gives_back_what_it_held(client: StoreClient, other: StoreClient) -> None:
    refs = [client.put(np.zeros(1000)) for _ in range(5)]
    client.flush()
    kept = other.ref(refs[0].id)
    client.close()
    assert other.stats()["objects_count"] == 1
    assert kept.get().tolist() == [0.0] * 1000
    with pytest.raises(RuntimeStateError, match="is closed"):
        client.put(1)


async def test_waiting_on_the_loop(client: StoreClient, other: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    promises = [client.declare() for _ in range(3)]
    told: list[bytes] = []
    promises[2].add_callback(lambda ref: told.append(ref.id))
    promises[2].add_callback(lambda ref: told.append(ref.id))
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: [other.put(i, object_id=p.id) for i, p in enumerate(promises)])
    assert await asyncio.gather(*promises) == [0, 1, 2]
    assert told == [promises[2].id] * 2
    late = client.declare()
    loop.call_soon(client.fail, late.id, ValueError("cancelled"))
    with pytest.raises(ValueError, match="cancelled"):
        await late


async def test_a_client_that_closes_fails_those_who_wait(client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    promise = client.declare()
    asyncio.get_running_loop().call_soon(client.close)
    with pytest.raises(ObjectLostError, match="is closed"):
        await promise


def test_refs_of_a_closed_client_fail_at_once(client: StoreClient, other: StoreClient) -> None:
    theirs = other.ref(client.declare().id)
    other.close()
    assert theirs.done()
    with pytest.raises(ObjectLostError, match="the object store client of this process is closed"):
        theirs.get()


def test_a_callback_that_could_never_be_called_is_refused(client: StoreClient) -> None:
    promise = client.declare()
    with pytest.raises(RuntimeStateError, match=r"<ObjectRef .* pending> can't be watched: .* use get\(\)"):
        promise.add_callback(print)


async def test_two_refs_to_one_object_are_both_told(client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.declare()
    second = client.declare(first.id)
    assert first is not second
    waiting = asyncio.gather(first, second)
    asyncio.get_running_loop().call_soon(lambda: client.put("both", object_id=first.id))
    assert await waiting == ["both", "both"]


async def test_segments_given_up_are_unmapped_by_those_who_read_them(client: StoreClient, other: StoreClient) -> None:
    other.attach(asyncio.get_running_loop())
    theirs = other.get(client.put(np.zeros(50 * MIB, np.uint8)).id)
    assert other.statistics()["maps_count"] == 1
    del theirs
    other.stats()
    client.close()
    promise = other.declare()
    asyncio.get_running_loop().call_soon(other.fail, promise.id, KeyError("events come in order"))
    with pytest.raises(KeyError):
        await promise
    assert other.statistics()["maps_count"] == 0


def test_values_put_together_come_back_each_as_itself(client: StoreClient, other: StoreClient) -> None:
    inner = client.put(np.arange(10))
    values = ["short", np.full(MIB, 7, np.uint8), {"inner": inner, "more": np.zeros(100)}, b"", list(range(1000))]
    refs = client.put_many(values)
    del inner
    client.flush()
    assert client.put_many([]) == []
    read = [other.ref(ref.id).get() for ref in refs]
    assert read[0] == "short"
    assert read[1].tolist() == [7] * MIB
    assert read[2]["inner"].get().tolist() == list(range(10))
    assert (read[3], read[4]) == (b"", list(range(1000)))
    del refs, read, values
    for who in (other, client, other):  # each gives back; what was inside goes after what held it
        counts = who.stats()
    assert (counts["objects_count"], counts["used_bytes"]) == (0, 0)


def test_what_does_not_fit_together_is_not_put_at_all(client: StoreClient) -> None:
    half = np.zeros(40 * MIB, np.uint8)
    with pytest.raises(
        ObjectStoreFullError,
        match=r"80\.\d MiB are more than the whole store of 64\.0 MiB: start the node with more store_bytes",
    ):
        client.put_many([half, half])
    with pytest.raises(SerializationError, match="value"):
        client.put_many([half, threading.Lock()])
    assert client.stats()["used_bytes"] == 0


def test_two_who_reserve_together_never_wait_for_each_others_half(client: StoreClient, other: StoreClient) -> None:
    """One after the other gets everything it asked for, in a store that has room for one of them at a time."""
    forms = [(24 * MIB, np.uint8)] * 2
    done: list[int] = []

    def write(who: StoreClient, number: int) -> None:
        for _ in range(20):
            with who.allocate_many(forms, timeout_s=30) as buffers:
                for buffer in buffers:
                    buffer.array[-1] = number
                refs = [buffer.seal() for buffer in buffers]
            assert [ref.get()[-1] for ref in refs] == [number, number]
            del refs
            who.stats()
            done.append(number)

    threads = [threading.Thread(target=write, args=(who, number)) for number, who in ((1, client), (2, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (done.count(1), done.count(2)) == (20, 20)


def test_buffers_that_are_left_unsealed_are_given_back(client: StoreClient) -> None:
    with client.allocate_many([(10, "f4"), ((2, 3), "i8")]) as (first, second):
        second.array[:] = 3
        sealed = second.seal()
        assert first.array.shape == (10,)
    assert sealed.get().tolist() == [[3, 3, 3], [3, 3, 3]]
    assert client.stats()["objects_count"] == 1
    assert client.list_objects(1)[0][4].startswith(__file__)


def test_refs_that_arrive_together_are_read_together(client: StoreClient, other: StoreClient) -> None:
    values = [{"number": number} for number in range(20)]
    large = client.put(np.zeros(MIB, np.uint8))
    refs = [client.put(value) for value in values]
    data, _ = dumps([*refs, large], Carrier(client))
    arrived = loads(data, (), Carrier(other))
    assert arrived[0].get() == values[0]
    assert other.stats()["hits_count"] == 20
    assert all(ref.is_complete for ref in arrived[:20])
    assert not arrived[20].is_complete, "a large one stays out of the way until it is asked for"
    assert [ref.get() for ref in arrived[:20]] == values
    assert other.stats()["hits_count"] == 20
    assert arrived[20].get().nbytes == MIB
    del refs, large, arrived
    for who in (client, other, client):
        counts = who.stats()
    assert (counts["objects_count"], counts["used_bytes"]) == (0, 0)


def test_a_listing_gives_no_whole_id_that_would_be_a_right_to_read(client: StoreClient) -> None:
    ref = client.put(np.zeros(100_000))
    assert [bytes(row[0]) for row in client.list_objects(10)] == [ref.id[:4]]


@pytest.mark.parametrize("read", [ObjectRef.value, ObjectRef.view])
def test_a_ref_whose_error_was_raised_goes_with_its_last_name(
    client: StoreClient, read: Callable[[ObjectRef[Any]], object]
) -> None:
    promise = client.declare()
    client.fail(promise.id, ValueError("gone"))
    client.look(promise)
    with pytest.raises(ValueError, match="gone"):
        read(promise)
    weakly = weak(promise)
    gc.disable()  # no cycle of error, traceback, frame and ref is left to be found
    try:
        del promise
        assert weakly() is None
    finally:
        gc.enable()
