"""Reserves memory for objects: asks the store, and waits if others must be moved to disk or released first.

A waiter hears from the store's events that it can take its memory: a thread blocks, a coroutine is suspended. The
thread of the loop that hears the events can do neither for as long as a disk may take: it waits only for a new segment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actorrt.completion import Completion
from actorrt.errors import ActorRtError, CallTimeoutError, ObjectStoreFullError
from actorrt.ids import ObjectId
from actorrt.machine.clock import Clock
from actorrt.machine.threads import Threads
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.wire.protocol import Op, Wait

SPILLING_S: Final = 30.0
"""How long the store may take to move other objects to disk, if the caller gives no timeout."""
_SEGMENT_S: Final = 5.0
_RELEASE_S: Final = 0.05
"""How long other processes may take to hear that memory is short and to release what they no longer need."""


class LoopCannotWaitError(ObjectStoreFullError):
    """Other objects must be moved to disk first, and this thread can't wait: its loop does the runtime's work."""


class AllocatingConnection(Protocol):
    """The part of a connection that reservations use."""

    def request(self, op: Op, *arguments: Any) -> Any: ...

    def post(self, op: Op, *arguments: Any) -> None: ...

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> bool: ...

    def release_spare(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request for memory.

    Attributes:
        op, arguments: the message.
        objects: the objects that will lie there.
    """

    op: Op
    arguments: tuple[Any, ...]
    objects: Sequence[ObjectId]


_Wait = Callable[[ObjectId, float], Awaitable[None]]
"""Waits until the store says that the memory of an object can be taken, but not beyond a deadline."""


class Reservations:
    """The reservations of one process. Thread-safe.

    Args:
        connection: asks the store.
        events_loop: hears when memory can be taken.
        clock: for deadlines.
        threads: wait in place of a loop that does not hear the store's events.
        is_apart: whether the store is another process. A store in this process makes segments and moves objects to disk
            before it answers, so there is nothing to wait for.
    """

    def __init__(
        self,
        connection: AllocatingConnection,
        events_loop: EventsLoop,
        clock: Clock,
        threads: Threads,
        *,
        is_apart: bool,
    ) -> None:
        self._connection = connection
        self._events_loop = events_loop
        self._clock = clock
        self._threads = threads
        self._is_apart = is_apart
        self._waiting: dict[ObjectId, Completion[None]] = {}
        self._lock = threading.Lock()
        self._end_error: ActorRtError | None = None

    def reserve(self, wanted: Reservation, timeout_s: float | None) -> list[int] | None:
        """Return a place for objects, which are begun there, or None if they are sealed already; blocks.

        Args:
            wanted: the objects.
            timeout_s: seconds to wait at the most; None waits while other objects are moved to disk, but not until
                objects are released.

        Raises:
            ObjectStoreFullError: there was no room in time; nothing is begun.
            LoopCannotWaitError: this is the thread of the loop that hears the store's events, and other objects must be
                moved to disk first. The move goes on; no object of the reservation is begun.
            ObjectLostError: the promised object was given up.
        """
        search = self._search(wanted, timeout_s, self._block, blocks=True)
        try:
            search.send(None)
        except StopIteration as end:
            place: list[int] | None = end.value
            return place
        raise AssertionError("a search that blocks its thread is never suspended")

    async def reserve_async(self, wanted: Reservation, timeout_s: float | None) -> list[int] | None:
        """Return a place as `reserve` does, without blocking the loop."""
        return await self._search(wanted, timeout_s, self._suspend, blocks=False)

    async def _search(
        self, wanted: Reservation, timeout_s: float | None, wait: _Wait, *, blocks: bool
    ) -> list[int] | None:
        """Ask for memory; if the store is full, ask again and wait until other objects are released."""
        began_at = self._clock.now()
        deadline = began_at + (SPILLING_S if timeout_s is None else timeout_s)
        try:
            return await self._ask(wanted, deadline, wait, blocks=blocks, waits_for_release=False)
        except LoopCannotWaitError:
            raise
        except ObjectStoreFullError:
            self._connection.release_spare()
            now = self._clock.now()
            grace_s = _RELEASE_S if self._is_apart else 0.0
            deadline = now + grace_s if timeout_s is None else began_at + timeout_s
            if deadline <= now or (blocks and self._events_loop.is_current):
                raise
        return await self._ask(wanted, deadline, wait, blocks=blocks, waits_for_release=True)

    async def _ask(
        self, wanted: Reservation, deadline: float, wait: _Wait, *, blocks: bool, waits_for_release: bool
    ) -> list[int] | None:
        answer = self._connection.request(wanted.op, *wanted.arguments, waits_for_release)
        if not isinstance(answer, Wait):
            place: list[int] | None = answer
            return place
        try:
            if blocks and self._events_loop.is_current:
                deadline = self._loop_deadline(answer, deadline)
            if self._is_apart or waits_for_release:
                await wait(wanted.objects[0], deadline)
        except BaseException:
            self._abort(wanted)
            raise
        taken: list[int] | None = self._connection.request(Op.TAKE_ALLOCATION, wanted.objects)
        return taken

    def _loop_deadline(self, waits_for: Wait, deadline: float) -> float:
        """Return the deadline for the thread of the loop, which may wait for a segment but not for the disk."""
        if waits_for is Wait.SPACE and self._is_apart:
            raise LoopCannotWaitError(
                "there is no room until other objects are moved to disk, and a loop that hosts actors can't wait for "
                "the disk: use `await actorrt.put_async(value)`"
            )
        return min(deadline, self._clock.now() + _SEGMENT_S)

    def _abort(self, wanted: Reservation) -> None:
        with suppress(ActorRtError):  # the store is gone, and the objects with it
            for object_id in wanted.objects:
                self._connection.post(Op.ABORT, object_id)

    # Waiting

    async def _block(self, object_id: ObjectId, deadline: float) -> None:
        """Wait in this thread, which is never suspended."""
        self._sleep(object_id, deadline)

    def _sleep(self, object_id: ObjectId, deadline: float) -> None:
        left_s = self._left_s(deadline)
        if self._events_loop.loop is None or self._events_loop.is_current:
            self._connection.wait(Op.AWAIT_ALLOCATION, object_id, timeout_s=left_s)
            return
        told = self._expect(object_id)
        try:
            with suppress(CallTimeoutError):
                told.result(left_s)
        finally:
            self._waiting.pop(object_id, None)

    async def _suspend(self, object_id: ObjectId, deadline: float) -> None:
        """Wait in a coroutine."""
        if self._events_loop.loop is None:
            await self._threads.run(self._sleep, object_id, deadline)
            return
        told = self._expect(object_id)
        try:
            async with asyncio.timeout(self._left_s(deadline)):
                await told
        except TimeoutError:
            return
        finally:
            self._waiting.pop(object_id, None)

    def _left_s(self, deadline: float) -> float:
        return max(0.0, deadline - self._clock.now())

    def _expect(self, object_id: ObjectId) -> Completion[None]:
        """Return a completion that is done when the store says that the memory can be taken."""
        told: Completion[None] = Completion()
        with self._lock:
            if self._end_error is not None:
                told.set_error(self._end_error)
            self._waiting[object_id] = told
        self._connection.post(Op.AWAIT_ALLOCATION, object_id)
        return told

    def on_allocation(self, object_id: ObjectId) -> None:
        """Called when the store says that the memory of an object can be taken."""
        told = self._waiting.get(object_id)
        if told is not None:
            told.set_value(None)

    def fail_all(self, error: ActorRtError) -> None:
        """Called when the store has ended: fails every wait, and each wait that begins later."""
        with self._lock:
            self._end_error = error
            waiting = list(self._waiting.values())
        for told in waiting:
            told.set_error(error)

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
