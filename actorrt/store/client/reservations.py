"""Finds room for objects: asks the store, and waits where the answer is that room is still to be made.

Whoever waits hears from the store's events that it can take its room: a thread blocks, a coroutine is suspended. The
thread of the loop that hears the events can do neither for as long as a disk may take: it waits for memory only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from actorrt.clock import Clock
from actorrt.completion import Completion
from actorrt.errors import ActorRtError, CallTimeoutError, ObjectStoreFullError
from actorrt.ids import ObjectId
from actorrt.store.client.connection import StoreConnection
from actorrt.store.wire.protocol import Op, Wait

MAKING_S: Final = 30.0
"""How long the store may take to move others to disk, for whoever has given no time."""
_MEMORY_S: Final = 5.0


class LoopCannotWaitError(ObjectStoreFullError):
    """There is room as soon as others are on disk, but this thread's loop does the runtime's work."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that somebody wants.

    Attributes:
        op, arguments: what asks for it.
        objects: what is to lie there.
    """

    op: Op
    arguments: tuple[Any, ...]
    objects: Sequence[ObjectId]


@dataclass(frozen=True, slots=True)
class _Pause:
    """Wait until the store says that the room of an object can be taken, and not beyond the deadline."""

    object_id: ObjectId
    deadline: float


class Reservations:
    """One process's way to room in its store. Thread-safe.

    Args:
        connection: the process's conversation with the store.
        clock: for deadlines.
    """

    def __init__(self, connection: StoreConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._told: dict[ObjectId, Completion[None]] = {}
        self._lock = threading.Lock()
        self._end_error: ActorRtError | None = None

    def find(self, wanted: Reservation, timeout_s: float | None) -> list[int] | None:
        """Return a place for objects, which are begun there, or None where they are sealed already; blocks.

        Args:
            wanted: the objects.
            timeout_s: seconds to wait at the most; None: while others are moved to disk, but not for others to let go.

        Raises:
            ObjectStoreFullError: there was no room in time; nothing is begun.
            LoopCannotWaitError: this is the thread of the loop that hears the store's events, and others must be moved
                to disk first, which has begun; nothing else is.
            ObjectLostError: the promised object was given up.
        """
        search = self._search(wanted, timeout_s)
        try:
            pause = next(search)
            while True:
                try:
                    self._sleep(pause)
                except BaseException as error:
                    search.throw(error)
                pause = next(search)
        except StopIteration as end:
            place: list[int] | None = end.value
            return place

    async def find_async(self, wanted: Reservation, timeout_s: float | None) -> list[int] | None:
        """Return a place as `find`, and let the loop do other things meanwhile."""
        search = self._search(wanted, timeout_s, blocks=False)
        try:
            pause = next(search)
            while True:
                try:
                    await self._suspend(pause)
                except BaseException as error:
                    search.throw(error)
                pause = next(search)
        except StopIteration as end:
            place: list[int] | None = end.value
            return place

    def _search(
        self, wanted: Reservation, timeout_s: float | None, *, blocks: bool = True
    ) -> Generator[_Pause, None, list[int] | None]:
        """Ask for room as long as there is hope; what is yielded is to be waited for."""
        began_at = self._clock.now()
        try:
            return (yield from self._ask(wanted, began_at + _seconds(timeout_s, MAKING_S), False, blocks))
        except LoopCannotWaitError:
            raise
        except ObjectStoreFullError:
            self._connection.let_go()
            now = self._clock.now()
            deadline = now + self._connection.grace_s if timeout_s is None else began_at + timeout_s
            if deadline <= now or (blocks and self._connection.is_on_own_loop):
                raise
        return (yield from self._ask(wanted, deadline, True, blocks))

    def _ask(
        self, wanted: Reservation, deadline: float, waits_for_release: bool, blocks: bool
    ) -> Generator[_Pause, None, list[int] | None]:
        answer = self._connection.request(wanted.op, *wanted.arguments, waits_for_release)
        if not isinstance(answer, Wait):
            place: list[int] | None = answer
            return place
        try:
            if blocks and self._connection.is_on_own_loop:
                deadline = self._soon(answer, deadline)
            if self._connection.is_apart or waits_for_release:  # else what had to be done is done
                yield _Pause(wanted.objects[0], deadline)
        except BaseException:
            self._abort(wanted)
            raise
        taken: list[int] | None = self._connection.request(Op.TAKE_ALLOCATION, wanted.objects)
        return taken

    def _soon(self, waits_for: Wait, deadline: float) -> float:
        """Return until when the loop's own thread may wait, which is not long."""
        if waits_for is Wait.SPACE and self._connection.is_apart:
            raise LoopCannotWaitError(
                "there is no room until others are moved to disk, for which this can't wait on a loop that hosts "
                "actors: use `await actorrt.put_async(value)`"
            )
        return min(deadline, self._clock.now() + _MEMORY_S)

    def _abort(self, wanted: Reservation) -> None:
        with suppress(ActorRtError):  # the store is gone, and all that it was to give up
            for object_id in wanted.objects:
                self._connection.abort(object_id)

    # Waiting

    def _sleep(self, pause: _Pause) -> None:
        """Wait in this thread."""
        left_s = max(0.0, pause.deadline - self._clock.now())
        if self._connection.loop is None or self._connection.is_on_own_loop:
            self._connection.wait(Op.AWAIT_ALLOCATION, pause.object_id, timeout_s=left_s)
            return
        told = self._expect(pause.object_id)
        try:
            with suppress(CallTimeoutError):
                told.result(left_s)
        finally:
            self._told.pop(pause.object_id, None)

    async def _suspend(self, pause: _Pause) -> None:
        """Wait in a coroutine."""
        if self._connection.loop is None:
            await asyncio.get_running_loop().run_in_executor(None, self._sleep, pause)
            return
        told = self._expect(pause.object_id)
        try:
            async with asyncio.timeout(max(0.0, pause.deadline - self._clock.now())):
                await told
        except TimeoutError:
            return
        finally:
            self._told.pop(pause.object_id, None)

    def _expect(self, object_id: ObjectId) -> Completion[None]:
        """Return what is done when the store says that room can be taken."""
        told: Completion[None] = Completion()
        with self._lock:
            if self._end_error is not None:
                told.set_error(self._end_error)
            self._told[object_id] = told
        self._connection.post(Op.AWAIT_ALLOCATION, object_id)
        return told

    def on_room(self, object_id: ObjectId) -> None:
        """Called when the store says so."""
        told = self._told.get(object_id)
        if told is not None:
            told.set_value(None)

    def fail_all(self, error: ActorRtError) -> None:
        """Nothing will be told any more."""
        with self._lock:
            self._end_error = error
            waiting = list(self._told.values())
        for told in waiting:
            told.set_error(error)

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()


def _seconds(given: float | None, default: float) -> float:
    return default if given is None else given
