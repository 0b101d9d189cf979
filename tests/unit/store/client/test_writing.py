"""The messages to the store for each way of making an object, over a fake channel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from actorrt.config import KIB, MIB
from actorrt.errors import ObjectStoreFullError, SerializationError
from actorrt.ids import ObjectId, PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.values.encoding import encode
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import HELD, SEALED, Op, Status, Wait
from tests.unit.store.connection.fake_channel import FakeChannel

X = ObjectId(b"x" * 16)
ARRAY = np.arange(1000, dtype=np.uint8)


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def client(channel: FakeChannel) -> Iterator[StoreClient]:
    client = StoreClient(channel, PeerId(b"p" * 16), Surroundings.of_process())
    yield client
    client.close()


def lend(channel: FakeChannel) -> None:
    channel.answer([1, 0, 256 * KIB], with_segment=True)


def length_of(value: Any, client: StoreClient) -> int:
    return encode(value, client._carrier()).length_bytes


def test_a_small_value_is_sealed_on_loan(channel: FakeChannel, client: StoreClient) -> None:
    lend(channel)
    ref = client.put({"a": 1})
    assert ref.get() == {"a": 1}
    length = length_of({"a": 1}, client)
    assert channel.take() == [(Op.BORROW, length)]
    client.flush()
    assert channel.take() == [(Op.REPORT, 64, [[ref.id, 0, length, SEALED | HELD, 0, ""]])]


def test_an_array_is_written_in_place_on_loan(channel: FakeChannel, client: StoreClient) -> None:
    lend(channel)
    ref = client.put(ARRAY)
    assert channel.take() == [(Op.BORROW, length_of(ARRAY, client))]
    np.testing.assert_array_equal(ref.get(), ARRAY)


def test_a_promised_object_is_created_written_and_sealed(channel: FakeChannel, client: StoreClient) -> None:
    length = length_of(ARRAY, client)
    channel.answer([1, 0, length], with_segment=True)
    ref = client.put(ARRAY, object_id=X)
    assert channel.take() == [(Op.CREATE, X, length, True, "", False), (Op.SEAL, X)]
    assert ref.id == X


def test_a_promised_object_that_is_sealed_already_stays_as_it_is(channel: FakeChannel, client: StoreClient) -> None:
    channel.answer(None)
    client.put(ARRAY, object_id=X)
    assert [message[0] for message in channel.take()] == [Op.CREATE, Op.ACQUIRE]


def test_an_object_holds_the_objects_whose_refs_it_contains(channel: FakeChannel, client: StoreClient) -> None:
    lend(channel)
    inner = client.put(1)
    channel.take()
    channel.answer([1, 1024, 1024])
    outer = client.put([inner])
    create, contain, seal = [message for message in channel.take() if message[0] is not Op.REPORT]
    assert create[:2] == (Op.CREATE, outer.id)
    assert (contain, seal) == ((Op.CONTAIN, outer.id, [inner.id]), (Op.SEAL, outer.id))


def test_values_put_together_are_reserved_at_once_and_sealed_each(channel: FakeChannel, client: StoreClient) -> None:
    length = length_of(ARRAY, client)
    aligned = -(-length // 64) * 64
    channel.answer([1, 0, 2 * aligned], with_segment=True)
    first, second = client.put_many([ARRAY, ARRAY])
    (op, wanted, line, waits), *sealed = channel.take()
    assert (op, wanted, waits) == (Op.RESERVE, [(first.id, aligned), (second.id, aligned)], False)
    assert line.rpartition(":")[0].endswith("test_writing.py")
    assert sealed == [(Op.SEAL, first.id), (Op.SEAL, second.id)]


def test_buffers_that_are_left_unsealed_are_aborted(channel: FakeChannel, client: StoreClient) -> None:
    channel.answer([1, 0, 1024], with_segment=True)
    with client.allocate_many([(10, np.uint8), (10, np.uint8)]) as (first, _second):
        first.array[:] = 1
        ref = first.seal()
    (_, wanted, _, _), *ends = channel.take()
    assert ends == [(Op.SEAL, ref.id), (Op.ABORT, wanted[1][0])]


def test_a_value_that_can_not_be_pickled_asks_the_store_nothing(channel: FakeChannel, client: StoreClient) -> None:
    with pytest.raises(SerializationError, match="can't be sent"):
        client.put(threading.Lock())
    assert channel.take() == []


def test_an_array_that_fails_to_be_written_is_aborted(
    channel: FakeChannel, client: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("interrupted")

    channel.answer([1, 0, 2048], with_segment=True)
    monkeypatch.setattr(np, "copyto", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        client.put(ARRAY, object_id=X)
    assert [message[0] for message in channel.take()] == [Op.CREATE, Op.ABORT]


async def test_on_the_loop_a_put_is_readable_at_once_and_stored_by_a_thread(
    channel: FakeChannel, client: StoreClient
) -> None:
    client.attach(asyncio.get_running_loop())
    large = np.zeros(2 * MIB, np.uint8)
    channel.answer(Wait.SPACE, Status.WAIT)
    for _ in range(2):  # for the thread, whose copy the ref keeps then
        channel.answer(encode_plain(ObjectStoreFullError("no room")), Status.ERROR)
    ref = client.put(large)
    length = length_of(large, client)
    assert ref.done()
    assert len(ref.get()) == 2 * MIB
    assert [message[0] for message in channel.said[:3]] == [Op.CREATE, Op.ABORT, Op.DECLARE]
    assert channel.said[0][2] == length


def test_the_error_of_a_full_store_is_raised(channel: FakeChannel, client: StoreClient) -> None:
    full = encode_plain(ObjectStoreFullError("no room for 2 MiB"))
    for _ in range(2):
        channel.answer(full, Status.ERROR)
    with pytest.raises(ObjectStoreFullError, match="no room for 2 MiB"):
        client.put(np.zeros(2 * MIB, np.uint8))
    asked = [message for message in channel.take() if message[0] is Op.CREATE]
    assert [message[-1] for message in asked] == [False, True]
