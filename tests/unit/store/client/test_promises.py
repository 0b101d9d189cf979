"""Promised objects, and those who wait for them."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.errors import (
    ObjectLostError,
    RuntimeStateError,
)
from actorrt.store.client.client import NotReadyError, StoreClient
from actorrt.store.values.errors import encode as encode_error


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


async def test_a_client_that_closes_fails_its_waiters(client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    promise = client.declare()
    asyncio.get_running_loop().call_soon(client.close)
    with pytest.raises(ObjectLostError, match="is closed"):
        await promise


def test_a_callback_that_could_never_be_called_is_refused(client: StoreClient) -> None:
    promise = client.declare()
    with pytest.raises(RuntimeStateError, match=r"<ObjectRef .* pending> can't be watched: .* use get\(\)"):
        promise.add_callback(print)


async def test_two_refs_to_one_object_are_both_completed(client: StoreClient) -> None:
    client.attach(asyncio.get_running_loop())
    first = client.declare()
    second = client.declare(first.id)
    assert first is not second
    waiting = asyncio.gather(first, second)
    asyncio.get_running_loop().call_soon(lambda: client.put("both", object_id=first.id))
    assert await waiting == ["both", "both"]
