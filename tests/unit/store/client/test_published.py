"""Published values in one process: what is said to the store, and who is called back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actorrt.errors import ActorRtError, ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.client.published import Version
from actorrt.store.wire.protocol import Op
from tests.unit.store.connection.fake_channel import FakeChannel

X = ObjectId(b"x" * 16)


class Calls:
    """What callbacks were called with: the error, the version and its value."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def __call__(self, error: ActorRtError | None, version: Version | None) -> None:
        self.made.append(error if version is None else (version[0], version[1]()))


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


@pytest.fixture
def client(channel: FakeChannel) -> Iterator[StoreClient]:
    client = StoreClient(channel, PeerId(b"p" * 16), Surroundings.of_process())
    client.names.join(b"job")
    channel.take()
    yield client
    client.close()


def packed(client: StoreClient, value: Any) -> bytes:
    data = client._put_or_pack(value, None)
    assert isinstance(data, bytes)
    return data


def test_a_small_value_travels_in_the_message(channel: FakeChannel, client: StoreClient) -> None:
    channel.answer(3)
    assert client.names.publish("weights", {"a": 1}) == 3
    assert channel.take() == [(Op.PUBLISH, b"job", "weights", None, packed(client, {"a": 1}))]


def test_an_object_is_published_by_its_ref(channel: FakeChannel, client: StoreClient) -> None:
    channel.answer(None)
    ref = client.put(1, object_id=X)
    channel.take()
    channel.answer(1)
    assert client.names.publish("weights", ref) == 1
    assert channel.take() == [(Op.PUBLISH, b"job", "weights", X)]


def test_the_latest_version_is_read_from_the_message_or_the_store(channel: FakeChannel, client: StoreClient) -> None:
    channel.answer(None)
    assert client.names.latest("weights", 4) is None
    channel.answer([packed(client, "small"), 5])
    small = client.names.latest("weights", 4)
    assert small is not None
    assert (small[0], small[1]()) == (5, "small")
    assert channel.take() == [(Op.LATEST, b"job", "weights", 4)] * 2


def test_every_waiter_is_called_once(channel: FakeChannel, client: StoreClient) -> None:
    first, second = Calls(), Calls()
    for calls in (first, second):
        client.names.wait("weights", 4, calls)
    assert channel.take() == [(Op.AWAIT_VERSION, b"job", "weights", 4)] * 2
    client.names.on_published(b"job", "other", None)
    client.names.on_published(b"job", "weights", [packed(client, "small"), 5])
    client.names.on_published(b"job", "weights", None)
    assert first.made == second.made == [(5, "small")]
    assert len(client.names) == 0


def test_a_version_that_can_not_be_viewed_yet_is_released_and_asked_for(
    channel: FakeChannel, client: StoreClient
) -> None:
    calls = Calls()
    client.names.wait("weights", 4, calls)
    channel.take()
    client.names.on_published(b"job", "weights", [1, 0, 100, 5, X])
    assert calls.made == [None]
    client.flush()
    assert channel.take() == [(Op.RELEASE, [X], [X])]


def test_a_wait_that_is_withdrawn_is_not_called(client: StoreClient) -> None:
    calls = Calls()
    withdraw = client.names.wait("weights", 4, calls)
    withdraw()
    withdraw()
    client.names.on_published(b"job", "weights", None)
    assert calls.made == []


def test_a_wait_that_can_not_be_sent_is_forgotten(channel: FakeChannel, client: StoreClient) -> None:
    channel.is_gone = True
    with pytest.raises(ObjectLostError, match="the store is gone"):
        client.names.wait("weights", 4, Calls())
    assert len(client.names) == 0
    channel.is_gone = False


def test_the_end_of_the_store_is_told_to_every_waiter(client: StoreClient) -> None:
    calls, error = Calls(), ObjectLostError("gone")
    client.names.wait("weights", 4, calls)
    client.names.fail_all(error)
    assert calls.made == [error]
