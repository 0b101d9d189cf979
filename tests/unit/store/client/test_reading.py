"""Values that are read: equal, read-only, and in place as long as they are in view."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pyarrow as pa
import pytest

from actorrt.config import MIB
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.views import place_in_store
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps, loads


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
    for each in (client, other, client):
        counts = each.stats()
    assert (counts["objects_count"], counts["used_bytes"]) == (0, 0)


async def test_dropped_segments_are_unmapped_by_their_readers(client: StoreClient, other: StoreClient) -> None:
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
