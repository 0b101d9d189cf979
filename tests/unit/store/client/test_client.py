"""The life of a client, and objects that it frees, pins and lists."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref as weak

import numpy as np
import pytest

from actorrt.errors import (
    ObjectLostError,
    ObjectNotFoundError,
    RuntimeStateError,
)
from actorrt.store.client.client import StoreClient
from actorrt.store.client.ref import ObjectRef


def test_a_freed_object_is_not_found(client: StoreClient, other: StoreClient) -> None:
    ref = client.put("gone")
    theirs = other.ref(ref.id)
    client.free(ref)
    with pytest.raises(ObjectNotFoundError, match="was freed"):
        theirs.get()


def test_freeing_releases_the_view_that_only_the_ref_kept(client: StoreClient) -> None:
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


def test_the_end_of_a_client_ends_its_holds(client: StoreClient, other: StoreClient) -> None:
    refs = [client.put(np.zeros(1000)) for _ in range(5)]
    client.flush()
    kept = other.ref(refs[0].id)
    client.close()
    assert other.stats()["objects_count"] == 1
    assert kept.get().tolist() == [0.0] * 1000
    with pytest.raises(RuntimeStateError, match="is closed"):
        client.put(1)


def test_refs_of_a_closed_client_fail_at_once(client: StoreClient, other: StoreClient) -> None:
    theirs = other.ref(client.declare().id)
    other.close()
    assert theirs.done()
    with pytest.raises(ObjectLostError, match="the object store client of this process is closed"):
        theirs.get()


def test_a_listing_gives_no_whole_id(client: StoreClient) -> None:
    ref = client.put(np.zeros(100_000))
    assert [bytes(row[0]) for row in client.list_objects(10)] == [ref.id[:4]]


@pytest.mark.parametrize("read", [ObjectRef.value, ObjectRef.view])
def test_a_ref_whose_error_was_raised_is_freed_with_its_last_name(
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
