"""The channel between a client and the store of another process: Unix sockets to the daemon."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from actorrt.errors import ActorRtError, CallTimeoutError, ObjectLostError, PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.machine.clock import Clock
from actorrt.store.values.errors import decode
from actorrt.store.wire.channel import OnEvent, StoreReply
from actorrt.store.wire.protocol import (
    MAX_JOINED_BYTES,
    MAX_JOINED_COUNT,
    MAX_MESSAGE_BYTES,
    VERSION,
    Op,
    ProtocolError,
    Role,
    Status,
    join,
    pack,
    unpack,
)

REQUEST_TIMEOUT_S: Final = 30.0
_FD_BYTES: Final = array("i").itemsize


class SocketChannel:
    """Speaks to the daemon over a Unix socket.

    Args:
        path: the daemon's store socket.
        peer: this process, for the HELLO.
        clock: for the deadlines of blocking waits.
        on_gone: called when the store is found gone, in the thread that found it, before anything fails for that.

    Raises:
        PeerUnreachableError: no store answers there.
    """

    is_apart = True

    def __init__(self, path: str, peer: PeerId, clock: Clock, on_gone: Callable[[], None] | None = None) -> None:
        self._path = path
        self._peer = peer
        self._clock = clock
        self._on_gone = on_gone
        self.is_gone = False
        self._serial = 0
        self._queued: list[bytes] = []
        self._queued_bytes = 0
        self._unanswered: dict[int, tuple[Op, tuple[Any, ...]]] = {}
        self._stale: list[tuple[Op, tuple[Any, ...], StoreReply]] = []
        self._events: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = self._connect(Role.REQUESTS)

    def _connect(self, role: Role) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            # Limits of the kernel, because Python's own timeouts cost a poll for each packet.
            limit = struct.pack("ll", int(REQUEST_TIMEOUT_S), 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            sock.connect(self._path)
            sock.send(pack((Op.HELLO, 1, VERSION, role, self._peer)))
            _, status, result, _ = unpack(_packet(sock))
        except (OSError, EOFError, ProtocolError) as error:
            sock.close()
            raise PeerUnreachableError(f"no object store answers at {self._path}: {error}") from error
        if status != Status.DONE:
            sock.close()
            raise decode(result)
        self.capacity_bytes = result
        return sock

    def request(self, op: Op, *arguments: Any) -> StoreReply:
        self._serial += 1
        self._unanswered[self._serial] = (op, arguments)
        self._queue(op, self._serial, arguments)
        self.flush()
        try:
            while True:
                reply, serial = self._receive()
                asked = self._unanswered.pop(serial)
                if serial == self._serial:
                    return reply
                # The answer to an earlier request, whose thread was interrupted or timed out.
                self._stale.append((*asked, reply))
        except BlockingIOError as error:
            what = f"the node's object store did not answer within {REQUEST_TIMEOUT_S:.0f} s"
            raise CallTimeoutError(what, executed="maybe") from error
        except (OSError, EOFError, ProtocolError, KeyError) as error:
            raise self._gone(error) from error

    def take_stale(self) -> list[tuple[Op, tuple[Any, ...], StoreReply]]:
        stale, self._stale = self._stale, []
        return stale

    def queue(self, op: Op, *arguments: Any) -> None:
        self._queue(op, 0, arguments)

    def _queue(self, op: Op, serial: int, arguments: tuple[Any, ...]) -> None:
        packed = pack((op, serial, *arguments))
        if self._queued_bytes + len(packed) > MAX_JOINED_BYTES or len(self._queued) == MAX_JOINED_COUNT:
            self.flush()
        self._queued.append(packed)
        self._queued_bytes += len(packed)

    def flush(self) -> None:
        queued = self._queued
        if not queued:
            return
        self._queued, self._queued_bytes = [], 0
        try:
            self._socket.send(join(queued))
        except OSError as error:
            raise self._gone(error) from error

    def post(self, op: Op, *arguments: Any) -> None:
        self._queue(op, 0, arguments)
        self.flush()

    def _receive(self) -> tuple[StoreReply, int]:
        packet, fd = _packet_and_fd(self._socket)
        if not packet:
            raise EOFError("the connection ended")
        serial, status, result, retired = unpack(packet)
        return StoreReply(Status(status), result, retired, fd), serial

    def listen(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        self._loop = loop
        self._events = events = self._connect(Role.EVENTS)
        loop.add_reader(events.fileno(), self._on_readable, on_event, on_lost)

    def _on_readable(self, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Handle one event only, so that its waiter runs before the next event is read."""
        if self._events is None:
            return
        try:
            packet, fd = _packet_and_fd(self._events, socket.MSG_DONTWAIT)
            message = unpack(packet) if packet else None
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            message, fd = None, None
        if message is None:
            self.stop_listening()
            self._tell_gone()
            on_lost()
        else:
            on_event(message, fd)

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> list[Any] | None:
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        with self._connect(Role.WAIT) as sock:
            try:
                sock.send(pack((op, 0, *arguments)))
                poll = select.poll()
                poll.register(sock, select.POLLIN)
                while not poll.poll(self._left_ms(deadline)):
                    if deadline is not None and self._clock.now() >= deadline:
                        return None
                return unpack(_packet(sock))
            except (OSError, EOFError, ProtocolError) as error:
                raise self._gone(error) from error

    def _left_ms(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, (deadline - self._clock.now()) * 1e3)

    def stop_listening(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(events.fileno())
            events.close()

    def _gone(self, error: BaseException) -> ActorRtError:
        if isinstance(error, BlockingIOError):
            return ObjectLostError(f"the node's object store read nothing for {REQUEST_TIMEOUT_S:.0f} s")
        if isinstance(error, EOFError | ConnectionError):
            self._tell_gone()
        return ObjectLostError(f"the node's object store is gone: {error}")

    def _tell_gone(self) -> None:
        self.is_gone = True
        if self._on_gone is not None:
            self._on_gone()

    def close(self) -> None:
        self._on_gone = None  # a request of another thread may still find the socket closed
        self._socket.close()

    def abandon_after_fork(self) -> None:
        """Close a forked child's copies, so that the parent's end is seen when the parent ends."""
        with suppress(OSError):
            self._socket.close()
        if self._events is not None:
            self._events.close()


def _packet(sock: socket.socket) -> bytes:
    packet = sock.recv(MAX_MESSAGE_BYTES)
    if not packet:
        raise EOFError("the connection ended")
    return packet


def _packet_and_fd(sock: socket.socket, flags: int = 0) -> tuple[bytes, int | None]:
    packet, ancillary, _, _ = sock.recvmsg(
        MAX_MESSAGE_BYTES, socket.CMSG_SPACE(_FD_BYTES), socket.MSG_CMSG_CLOEXEC | flags
    )
    fds = array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % _FD_BYTES])
    return packet, fds[0] if fds else None
