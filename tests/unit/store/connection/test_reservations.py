"""Reservations: when they wait, how long, and how they abort, with a fake store."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from actorrt.errors import ObjectLostError, ObjectStoreFullError
from actorrt.ids import ObjectId
from actorrt.machine.clock import ManualClock
from actorrt.machine.threads import OsThreads
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.connection.reservations import SPILLING_S, LoopCannotWaitError, Reservation, Reservations
from actorrt.store.wire.protocol import Op, Wait

X = ObjectId(b"x" * 16)
WANTED = Reservation(Op.CREATE, (X, 100, False, ""), (X,))
PLACE = [1, 0, 100]
FULL = ObjectStoreFullError("no room")


class Store:
    """Answers each request with the next of some answers; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = deque(answers)
        self.said: list[tuple[Any, ...]] = []

    def request(self, op: Op, *arguments: Any) -> Any:
        self.said.append((op, *arguments))
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def post(self, op: Op, *arguments: Any) -> None:
        self.said.append((op, *arguments))

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> bool:
        self.said.append((op, *arguments, timeout_s))
        return True

    def release_spare(self) -> None:
        self.said.append(("release_spare",))


def reservations(store: Store, loop: EventsLoop | None = None, *, is_apart: bool = True) -> Reservations:
    return Reservations(store, loop or EventsLoop(), ManualClock(), OsThreads(), is_apart=is_apart)


def ask(*, waits_for_release: bool) -> tuple[Any, ...]:
    return (Op.CREATE, X, 100, False, "", waits_for_release)


@pytest.mark.parametrize("answer", [PLACE, None])
def test_an_answer_at_once_is_returned(answer: Any) -> None:
    store = Store(answer)
    assert reservations(store).reserve(WANTED, None) == answer
    assert store.said == [ask(waits_for_release=False)]


def test_a_thread_waits_on_a_connection_of_its_own_and_takes_its_memory() -> None:
    store = Store(Wait.SPACE, PLACE)
    assert reservations(store).reserve(WANTED, None) == PLACE
    assert store.said == [
        ask(waits_for_release=False),
        (Op.AWAIT_ALLOCATION, X, SPILLING_S),
        (Op.TAKE_ALLOCATION, (X,)),
    ]


def test_a_full_store_is_asked_once_more_when_others_had_time_to_release() -> None:
    store = Store(FULL, Wait.SPACE, PLACE)
    assert reservations(store).reserve(WANTED, None) == PLACE
    assert store.said == [
        ask(waits_for_release=False),
        ("release_spare",),
        ask(waits_for_release=True),
        (Op.AWAIT_ALLOCATION, X, 0.05),
        (Op.TAKE_ALLOCATION, (X,)),
    ]


def test_a_deadline_bounds_both_waits() -> None:
    store = Store(Wait.SPACE, FULL, Wait.SPACE, FULL)
    with pytest.raises(ObjectStoreFullError, match="no room"):
        reservations(store).reserve(WANTED, 3.0)
    assert [said[-1] for said in store.said if said[0] is Op.AWAIT_ALLOCATION] == [3.0, 3.0]


def test_a_deadline_that_has_passed_is_not_extended() -> None:
    store = Store(FULL)
    with pytest.raises(ObjectStoreFullError, match="no room"):
        reservations(store).reserve(WANTED, 0.0)
    assert store.said == [ask(waits_for_release=False), ("release_spare",)]


def test_a_reservation_at_a_store_in_this_process_never_waits() -> None:
    store = Store(Wait.SPACE, PLACE)
    assert reservations(store, is_apart=False).reserve(WANTED, None) == PLACE
    assert store.said == [ask(waits_for_release=False), (Op.TAKE_ALLOCATION, (X,))]


def test_a_wait_that_is_interrupted_aborts_its_reservation() -> None:
    class Interrupted(Store):
        def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> bool:
            raise KeyboardInterrupt

    store = Interrupted(Wait.SPACE)
    with pytest.raises(KeyboardInterrupt):
        reservations(store).reserve(WANTED, None)
    assert store.said == [ask(waits_for_release=False), (Op.ABORT, X)]


async def test_the_thread_of_the_loop_waits_for_a_segment_but_not_for_a_disk() -> None:
    loop = EventsLoop()
    loop.attach(asyncio.get_running_loop())
    store = Store(Wait.MEMORY, PLACE)
    assert reservations(store, loop).reserve(WANTED, None) == PLACE
    assert store.said[1] == (Op.AWAIT_ALLOCATION, X, 5.0)
    store = Store(Wait.SPACE)
    with pytest.raises(LoopCannotWaitError, match="put_async"):
        reservations(store, loop).reserve(WANTED, None)
    assert store.said == [ask(waits_for_release=False), (Op.ABORT, X)]


async def test_a_coroutine_goes_on_when_the_store_says_so() -> None:
    loop = EventsLoop()
    loop.attach(asyncio.get_running_loop())
    store = Store(Wait.SPACE, PLACE)
    waiting = reservations(store, loop)
    reserving = asyncio.ensure_future(waiting.reserve_async(WANTED, None))
    await asyncio.sleep(0)
    assert store.said == [ask(waits_for_release=False), (Op.AWAIT_ALLOCATION, X)]
    waiting.on_allocation(ObjectId(b"y" * 16))
    waiting.on_allocation(X)
    assert await reserving == PLACE
    assert store.said[2:] == [(Op.TAKE_ALLOCATION, (X,))]


async def test_a_coroutine_that_is_cancelled_aborts_its_reservation() -> None:
    loop = EventsLoop()
    loop.attach(asyncio.get_running_loop())
    store = Store(Wait.SPACE)
    reserving = asyncio.ensure_future(reservations(store, loop).reserve_async(WANTED, None))
    await asyncio.sleep(0)
    reserving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reserving
    assert store.said[2:] == [(Op.ABORT, X)]


async def test_the_end_of_the_store_fails_every_wait() -> None:
    loop = EventsLoop()
    loop.attach(asyncio.get_running_loop())
    waiting = reservations(Store(Wait.SPACE, Wait.SPACE), loop)
    reserving = asyncio.ensure_future(waiting.reserve_async(WANTED, None))
    await asyncio.sleep(0)
    waiting.fail_all(ObjectLostError("the store is gone"))
    for wait in (reserving, waiting.reserve_async(WANTED, None)):
        with pytest.raises(ObjectLostError, match="the store is gone"):
            await wait
