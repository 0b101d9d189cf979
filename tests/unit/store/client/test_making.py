"""Objects that are made together, in place, or not at all."""

from __future__ import annotations

import errno
import threading

import numpy as np
import pytest

from actorrt.config import MIB
from actorrt.errors import (
    ObjectStoreFullError,
    RuntimeStateError,
    SerializationError,
)
from actorrt.store.client.client import StoreClient


def test_a_store_whose_free_bytes_are_apart_says_how_long_the_longest_range_is(client: StoreClient) -> None:
    refs = [client.put(np.zeros(2 * MIB - 10_000, np.uint8)) for _ in range(32)]
    views = [ref.get() for ref in refs]
    for apart in (30, 15, 2):
        del refs[apart], views[apart]
    words = r"no room for 5\.0 MiB: 5\d\.\d of 64\.0 MiB are used, and 2\.\d MiB are the longest free range; "
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
def test_a_machine_without_memory_raises_and_the_store_stays_usable(
    client: StoreClient, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"actorrt.store.memory.segments.os.{call}", refuse)
        with pytest.raises(ObjectStoreFullError, match="gave no memory for a segment of 4 MiB: No space left"):
            client.put(1)
    assert client.put(1).get() == 1


def test_a_buffer_left_unsealed_leaves_nothing(client: StoreClient) -> None:
    with client.allocate((10, 10), "f4") as buffer:
        buffer.array[:] = 1
        assert client.stats()["used_bytes"] > 400
    assert client.stats()["used_bytes"] == 0
    with pytest.raises(RuntimeStateError, match="sealed or given up"):
        buffer.seal()


def test_an_allocated_array_of_objects_is_refused_before_anything_changes(client: StoreClient) -> None:
    with pytest.raises(TypeError, match="dtype object can't be written in place"):
        client.allocate(3, object)
    assert client.stats()["used_bytes"] == 0


def test_a_value_that_can_not_be_stored_leaves_nothing(client: StoreClient) -> None:
    with pytest.raises(SerializationError, match=r"value\['bad'\]"):
        client.put({"good": np.zeros(10), "bad": (i for i in range(3))})
    assert client.stats()["objects_count"] == 0


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
    for each in (other, client, other):  # each sends its releases; inner objects are deleted after outer ones
        counts = each.stats()
    assert (counts["objects_count"], counts["used_bytes"]) == (0, 0)


def test_values_of_which_one_can_not_be_stored_are_not_put_at_all(client: StoreClient) -> None:
    half = np.zeros(40 * MIB, np.uint8)
    with pytest.raises(
        ObjectStoreFullError,
        match=r"80\.\d MiB are more than the whole store of 64\.0 MiB: start the node with more store_bytes",
    ):
        client.put_many([half, half])
    with pytest.raises(SerializationError, match="value"):
        client.put_many([half, threading.Lock()])
    assert client.stats()["used_bytes"] == 0


def test_two_writers_never_wait_for_each_other_with_half_of_their_memory(
    client: StoreClient, other: StoreClient
) -> None:
    """One after the other gets everything it asked for, in a store that has room for one of them at a time."""
    forms = [(24 * MIB, np.uint8)] * 2
    done: list[int] = []

    def write(writer: StoreClient, number: int) -> None:
        for _ in range(20):
            with writer.allocate_many(forms, timeout_s=30) as buffers:
                for buffer in buffers:
                    buffer.array[-1] = number
                refs = [buffer.seal() for buffer in buffers]
            assert [ref.get()[-1] for ref in refs] == [number, number]
            del refs
            writer.stats()
            done.append(number)

    threads = [threading.Thread(target=write, args=(writer, number)) for number, writer in ((1, client), (2, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (done.count(1), done.count(2)) == (20, 20)


def test_memory_of_buffers_that_are_left_unsealed_is_freed(client: StoreClient) -> None:
    with client.allocate_many([(10, "f4"), ((2, 3), "i8")]) as (first, second):
        second.array[:] = 3
        sealed = second.seal()
        assert first.array.shape == (10,)
    assert sealed.get().tolist() == [[3, 3, 3], [3, 3, 3]]
    assert client.stats()["objects_count"] == 1
    assert client.list_objects(1)[0][4].startswith(__file__)
