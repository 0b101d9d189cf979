"""A store inside one process, for a runtime whose daemon, workers and driver share one loop.

It has the same core and the same segments as the daemon's; requests are calls. Events are told on the listener's loop,
never within another client's request. It exchanges objects with other stores if a node attaches to its exchange.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final

from actorrt.config import MIB
from actorrt.errors import ObjectLostError, ObjectStoreFullError
from actorrt.ids import PeerId
from actorrt.machine.clock import Clock
from actorrt.store.memory.disk import SpillError, SpillFile, Spilling, spill_sources, verify
from actorrt.store.memory.segments import Segment
from actorrt.store.server.core import StoreCore
from actorrt.store.server.exchange import Exchange
from actorrt.store.server.retention import Retention
from actorrt.store.table.instructions import (
    Adopt,
    DropSegment,
    Fetch,
    MakeSegment,
    ReleaseAdopted,
    Send,
    Spill,
    TransitArrived,
    Verify,
)
from actorrt.store.wire.channel import OnEvent, StoreReply
from actorrt.store.wire.protocol import VERSION, Op, Role, Status

_DISK_PAUSE_S: Final = 1.0  # after a disk failed or was full
_SEGMENT_BYTES: Final = 4 * MIB  # small, because the caller waits while it is made


class LocalStore:
    """One store, called by the clients of this process.

    Args:
        capacity_bytes: the bound on its memory.
        clock: for what expires.
        disk: takes objects that memory has no room for; None if there is none.

    Attributes:
        exchange: the store, as other stores see it. It may be used only if one thread calls this store.
    """

    def __init__(self, capacity_bytes: int, clock: Clock, *, disk: Spilling | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self._core = StoreCore(capacity_bytes, _SEGMENT_BYTES, may_spill=disk is not None)
        self._clock = clock
        self._disk = disk
        self._segments: dict[int, Segment | SpillFile] = {}
        self._receivers: dict[int, Callable[[Send, int | None], None]] = {}
        self._lock = threading.RLock()
        self._last_number = 0
        self._is_closed = False
        self._disk_again_at: float | None = None  # when a disk that has failed is tried again for whoever waits
        self.retention = Retention(self._core, self._settle, self._lock)
        self.exchange = self._new_exchange(self._core)

    def _new_exchange(self, core: StoreCore) -> Exchange:
        return Exchange(core, self._settle)

    def open_channel(self, peer: PeerId, pid: int) -> LocalChannel:
        """Connect a client, which is listed as of the process of that number."""
        return LocalChannel(self, peer, pid)

    def stats(self) -> dict[str, int]:
        """Return the store's counts."""
        with self._lock:
            return self._core.stats()

    def close(self) -> None:
        """Release all memory that is not in view. Idempotent."""
        with self._lock:
            self._is_closed = True
            self.exchange.close()
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()
            self._receivers.clear()

    def begin(self, peer: PeerId, pid: int, role: Role, receive: Callable[[Send, int | None], None]) -> int:
        """Open a connection; `receive` is called with each message to it and owns the descriptor beside it."""
        with self._lock:
            self._last_number += 1
            number = self._last_number
            self._core.open(number, f"pid {pid}")
            self._core.handle(number, [Op.HELLO, 1, VERSION, role, peer])
            self._carry_out()  # the reply is dropped: nobody receives yet
            self._receivers[number] = receive
            return number

    def end(self, number: int) -> None:
        """Close a connection and end everything that it has. Idempotent."""
        with self._lock:
            if self._receivers.pop(number, None) is not None:
                self._core.close(number, self._clock.now())
                self._settle()

    def handle(self, number: int, message: list[Any]) -> None:
        """Act on a message of a connection.

        Raises:
            ObjectLostError: the store is closed.
        """
        with self._lock:
            if self._is_closed or number not in self._receivers:
                raise ObjectLostError("the object store of this process is closed")
            if self._disk_again_at is not None:
                self._try_disk_again(message[0])
            self._core.handle(number, message)
            self._settle()

    def _try_disk_again(self, op: Op) -> None:
        """Try a disk that has failed again for a new request for memory; for any other message after a while only.

        Else a request that waits would have it tried without end, since each failure makes processes send what they can
        spare.
        """
        assert self._disk_again_at is not None, "it has failed"
        if op in (Op.CREATE, Op.RESERVE) or self._clock.now() >= self._disk_again_at:
            self._disk_again_at = None
            self._core.allocator.try_disk_again()
            self._carry_out()

    def _settle(self) -> None:
        self._carry_out()
        self._core.sweep(self._clock.now())
        self._carry_out()

    def _carry_out(self) -> None:
        while instructions := self._core.take():
            for instruction in instructions:
                match instruction:
                    case Send():
                        self._send(instruction)
                    case MakeSegment(segment_id, size_bytes, _):
                        self._make(segment_id, size_bytes)
                    case DropSegment(segment_id):
                        self._segments.pop(segment_id).close()
                    case Spill():
                        self._spill(instruction)
                    case Fetch() | Adopt() | TransitArrived() | ReleaseAdopted():
                        self.exchange.carry_out(instruction)
                    case Verify(object_id, place):
                        fd = os.dup(self._segments[place.segment_id].fd(writable=False))
                        self._core.verified(object_id, place, verify(fd, object_id, place))

    def _make(self, segment_id: int, size_bytes: int) -> None:
        try:
            self._segments[segment_id] = Segment(segment_id, size_bytes)
        except ObjectStoreFullError as error:
            self._core.segment_made(segment_id, error)
        else:
            self._core.segment_made(segment_id, None)

    def _spill(self, spill: Spill) -> None:
        assert self._disk is not None, "the core was told that there is a disk"
        try:
            written = self._disk.write(spill_sources(spill.objects, self._segments))
        except SpillError as error:
            self._core.spilled(spill.file_id, [], str(error))
            self._disk_again_at = self._clock.now() + _DISK_PAUSE_S
        else:
            self._segments[spill.file_id] = written
            self._core.spilled(spill.file_id, written.offsets)

    def _send(self, send: Send) -> None:
        is_inside = send.connection in self.exchange.connections
        receive = self._receivers.get(send.connection)
        if receive is None and not is_inside:
            return
        fd = None
        if send.segment_id is not None:
            fd = os.dup(self._segments[send.segment_id].fd(writable=send.writable))
        if receive is None:
            self.exchange.receive(send.message, fd, writable=send.writable)
        else:
            receive(send, fd)


class LocalChannel:
    """The channel between a client and a `LocalStore`."""

    is_apart = False
    is_gone = False  # a store of this process ends after everything that uses it

    def __init__(self, store: LocalStore, peer: PeerId, pid: int) -> None:
        self._store = store
        self._peer = peer
        self._pid = pid
        self.capacity_bytes = store.capacity_bytes
        self._replies: list[StoreReply] = []
        self._events: int | None = None
        self._number = store.begin(peer, pid, Role.REQUESTS, self._receive)

    def _receive(self, send: Send, fd: int | None) -> None:
        _, status, result, retired = send.message
        self._replies.append(StoreReply(Status(status), result, retired, fd))

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        return []  # a call returns with its answer

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        self._store.handle(self._number, [op, 1, *arguments])
        return self._replies.pop()

    def post(self, op: Op, *arguments: Any) -> None:
        self._store.handle(self._number, [op, 0, *arguments])

    queue = post  # a call costs no packet

    def flush(self) -> None:
        """Do nothing: what was queued has been handled."""

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        def receive(send: Send, fd: int | None) -> None:
            if loop.is_closed():
                _close_fd(fd)
            else:
                loop.call_soon_threadsafe(self._tell, on_event, send.message, fd)

        self._events = self._store.begin(self._peer, self._pid, Role.EVENTS, receive)

    def _tell(self, on_event: OnEvent, message: list[Any], fd: int | None) -> None:
        if self._events is None:  # the client has stopped listening
            _close_fd(fd)
        else:
            on_event(message, fd)

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        events: SimpleQueue[list[Any]] = SimpleQueue()
        number = self._store.begin(self._peer, self._pid, Role.WAIT, lambda send, _: events.put(send.message))
        try:
            self._store.handle(number, [op, 0, *arguments])
            return events.get(timeout=timeout_s)
        except Empty:
            return None
        finally:
            self._store.end(number)

    def stop_listening(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            self._store.end(events)

    def close(self) -> None:
        self._store.end(self._number)

    def abandon_after_fork(self) -> None:
        """Do nothing: a forked child has a copy of the whole store, and no code uses that copy."""


def _close_fd(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
