"""Refs in messages and in objects."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

from actorrt.errors import (
    SerializationError,
)
from actorrt.store.client.client import StoreClient
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.pickling import dumps, loads


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


def test_a_dumped_message_may_travel_through_the_store_with_its_refs(client: StoreClient, other: StoreClient) -> None:
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
