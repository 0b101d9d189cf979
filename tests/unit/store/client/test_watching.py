"""Subscriptions, and the refs that are completed when their objects are sealed or lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.watching import Watcher
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.values.errors import encode
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)


class Client:
    """The part of a client that refs use when they end."""

    is_attached = True

    def forget(self, object_id: ObjectId) -> None:
        del object_id


def ref_of(object_id: ObjectId) -> ObjectRef[Any]:
    return ObjectRef(Client(), object_id)  # type: ignore[arg-type]


class Watching:
    """A watcher on the running loop, and what it says."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        loop = EventsLoop()
        loop.attach(asyncio.get_running_loop())
        self.watcher = Watcher(lambda *message: self.said.append(message), loop)


async def test_subscriptions_of_one_tick_leave_together() -> None:
    watching = Watching()
    for object_id in (X, X, Y):
        watching.watcher.watch(ref_of(object_id))
    assert watching.said == []
    await asyncio.sleep(0)
    assert watching.said == [(Op.SUBSCRIBE, [X, Y])]


async def test_a_ref_that_is_watched_already_is_not_subscribed_to_again() -> None:
    watching = Watching()
    ref = ref_of(X)
    watching.watcher.watch(ref)
    await asyncio.sleep(0)
    watching.watcher.watch(ref)
    watching.watcher.watch(ref_of(X))
    await asyncio.sleep(0)
    assert watching.said == [(Op.SUBSCRIBE, [X])]
    assert len(watching.watcher) == 1


async def test_more_refs_than_one_message_holds_are_subscribed_to_in_several() -> None:
    watching = Watching()
    ids = [ObjectId(number.to_bytes(16, "big")) for number in range(MAX_BATCH_COUNT + 1)]
    for object_id in ids:
        watching.watcher.watch(ref_of(object_id))
    await asyncio.sleep(0)
    assert watching.said == [(Op.SUBSCRIBE, ids[:-1]), (Op.SUBSCRIBE, ids[-1:])]


async def test_every_ref_of_a_sealed_object_is_done_and_no_other() -> None:
    watching = Watching()
    first, second, other = ref_of(X), ref_of(X), ref_of(Y)
    for ref in (first, second, other):
        watching.watcher.watch(ref)
    watching.watcher.on_ready([X])
    assert [ref.is_complete for ref in (first, second, other)] == [True, True, False]
    assert len(watching.watcher) == 1


async def test_every_ref_of_an_object_that_failed_gets_an_error_of_its_own() -> None:
    watching = Watching()
    refs = ref_of(X), ref_of(X)
    errors = []
    for ref in refs:
        watching.watcher.watch(ref)
    watching.watcher.on_failed(X, encode(ValueError("bad")))
    for ref in refs:
        with pytest.raises(ValueError, match="bad") as caught:
            ref.value()
        errors.append(caught.value)
    assert errors[0] is not errors[1]


async def test_the_end_fails_refs_that_are_watched_before_and_after() -> None:
    watching = Watching()
    before, after = ref_of(X), ref_of(Y)
    watching.watcher.watch(before)
    watching.watcher.fail_all("the node is gone")
    watching.watcher.watch(after)
    for ref in (before, after):
        with pytest.raises(ObjectLostError, match="is lost: the node is gone"):
            ref.value()
    assert len(watching.watcher) == 0


async def test_a_store_that_is_gone_fails_no_subscription() -> None:
    def post(*_: Any) -> None:
        raise ObjectLostError("gone")

    loop = EventsLoop()
    loop.attach(asyncio.get_running_loop())
    watcher = Watcher(post, loop)
    ref = ref_of(X)
    watcher.watch(ref)
    await asyncio.sleep(0)
    assert not ref.is_complete
    watcher.fail_all("gone")
    assert ref.is_complete
