"""The transport between processes, on ZeroMQ: `ipc://` inside a machine, `tcp://` between machines.

One inbound ROUTER that only receives, one outbound DEALER for each link. Sockets are driven by their descriptors
on the loop that `start` ran on; `zmq.asyncio` costs twice as much a round trip. A descriptor is edge-triggered: it
speaks once, and `EVENTS` must be read, or the socket used until it has no more, before it speaks again
(zmq_getsockopt(3), ZMQ_FD).

ZeroMQ is trusted with little: its queues count messages, so the bounds are ours; a connection that breaks loses
its tail, so frames are numbered.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import zmq

from actorrt.config import (
    MAX_FRAME_BYTES,
    RECEIVE_BUDGET_FRAMES,
    RECONNECT_MAX_S,
    RECONNECT_MIN_S,
    SOCKET_QUEUE_FRAMES,
    ZERO_COPY_BYTES,
)
from actorrt.ids import PeerId
from actorrt.transport.endpoint import Endpoint
from actorrt.transport.inbound import routing_id
from actorrt.transport.protocol import Buffer, Lane
from actorrt.transport.queued_link import QueuedLink

_NOBLOCK: Final = int(zmq.NOBLOCK)
_SNDMORE_NOBLOCK: Final = int(zmq.SNDMORE | zmq.NOBLOCK)
_POLLOUT: Final = int(zmq.POLLOUT)
_HANDSHAKE_BYTES: Final = 4096  # the limit holds for the commands of the handshake too
_IPC_PATH_MAX_BYTES: Final = 107  # sockaddr_un, less its final zero


class _ZmqLink(QueuedLink):
    """A link on a DEALER that only sends."""

    def __init__(self, socket: zmq.Socket[bytes], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._socket = socket
        self._fd = socket.FD
        socket.connect(self.address)

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        if len(parts) > 1:
            return self._transmit_parts(parts)
        try:
            self._socket.send(parts[0], _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _transmit_parts(self, parts: Sequence[Buffer]) -> bool:
        last = len(parts) - 1
        is_taken = True
        for index, part in enumerate(parts):
            is_copied = memoryview(part).nbytes < ZERO_COPY_BYTES
            try:
                self._socket.send(part, _NOBLOCK if index == last else _SNDMORE_NOBLOCK, copy=is_copied)
            except zmq.Again:
                if index in (0, last):
                    return False
                # The connection broke inside this message. ZeroMQ has taken back what it had of it, and
                # swallows the rest up to the last part; the frame then goes again as a whole.
                is_taken = False
        return is_taken

    def _watch(self) -> None:
        self._loop.add_reader(self._fd, self._check_events)
        self._loop.call_soon(self._check_events)  # it may have become writable since, and have said so already

    def _check_events(self) -> None:
        if self._is_blocked and int(self._socket.getsockopt(zmq.EVENTS)) & _POLLOUT:
            self._unblocked()

    def _unwatch(self) -> None:
        self._loop.remove_reader(self._fd)

    def _disconnect(self, linger_s: float) -> None:
        self._socket.close(linger=round(linger_s * 1000))


class ZmqTransport(Endpoint):
    """An endpoint on ZeroMQ.

    Args:
        peer: the id of this incarnation of this process.
        address: `ipc://` and a path of at most 107 bytes, or `tcp://host:port`; with port 0 the system chooses,
            and `address` holds the real one after `start`.
        context: shared with others, who then terminate it; by default one of its own.
        options: as for `Endpoint`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("ipc://", "tcp://")

    def __init__(
        self, peer: PeerId, address: str, *, context: zmq.Context[zmq.Socket[bytes]] | None = None, **options: Any
    ) -> None:
        super().__init__(peer, address, **options)
        self._is_own_context = context is None
        self._context = context

    def _check_address(self, address: str) -> None:
        super()._check_address(address)
        path = address.removeprefix("ipc://")
        if path != address and len(path.encode()) > _IPC_PATH_MAX_BYTES:
            raise ValueError(
                f"the path in {address!r} is longer than the {_IPC_PATH_MAX_BYTES} bytes of a socket's name"
            )

    def _bind(self) -> None:
        if self._context is None:
            self._context = zmq.Context(io_threads=1)
        router = self._context.socket(zmq.ROUTER)
        try:
            router.setsockopt(zmq.LINGER, 0)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
            router.setsockopt(zmq.RCVHWM, SOCKET_QUEUE_FRAMES)
            router.bind(self.address)
        except zmq.ZMQError as error:
            router.close()
            raise OSError(error.errno, f"can't bind to {self.address}: {error}") from error
        self.address = router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._router = router
        self._router_fd = router.FD
        self._is_drain_due = False
        self._loop.add_reader(self._router_fd, self._drain)
        self._drain_later()

    def _drain_later(self) -> None:
        if not self._is_drain_due:
            self._is_drain_due = True
            self._loop.call_soon(self._drain_rest)

    def _drain_rest(self) -> None:
        self._is_drain_due = False
        if not self._router.closed:
            self._drain()

    def _drain(self) -> None:
        """Receive until there is no more, or the budget is spent; then others have their turn first."""
        receive = self._router.recv
        assert self._inbound is not None
        message = self._inbound.message
        for _ in range(RECEIVE_BUDGET_FRAMES):
            try:
                source_id = receive(_NOBLOCK)
            except zmq.Again:
                return
            head = receive(_NOBLOCK, False)
            message(source_id, head.buffer, self._receive_buffers() if head.more else ())
            if self._closing is not None and self._router.closed:
                return
        self._drain_later()

    def _receive_buffers(self) -> list[Buffer]:
        buffers: list[Buffer] = []
        has_more = True
        while has_more:
            part = self._router.recv(_NOBLOCK, False)
            buffers.append(part.buffer.toreadonly())
            has_more = part.more
        return buffers

    def _connect(self, peer: PeerId, address: str, lane: Lane, hello: bytes, number: int) -> QueuedLink:
        assert self._context is not None
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, routing_id(self.peer, lane, number))
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, SOCKET_QUEUE_FRAMES)
        socket.setsockopt(zmq.RCVHWM, 1)  # nothing comes back on a link
        socket.setsockopt(zmq.MAXMSGSIZE, _HANDSHAKE_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, round(RECONNECT_MIN_S * 1000))
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, round(RECONNECT_MAX_S * 1000))
        return _ZmqLink(
            socket,
            peer,
            address,
            lane,
            hello=hello,
            queue_bytes=self._queue_bytes,
            connect_timeout_s=self._connect_timeout_s,
            on_unreachable=self._unreachable,
        )

    def _unbind(self) -> None:
        self._loop.remove_reader(self._router_fd)
        self._router.close(linger=0)

    async def _release(self) -> None:
        """Terminate the context, which waits for what lingers, in a thread: it blocks."""
        if self.address.startswith("ipc://"):
            Path(self.address.removeprefix("ipc://")).unlink(missing_ok=True)  # libzmq leaves the socket's file behind
        if not self._is_own_context or self._context is None:
            return
        ended = asyncio.Event()
        thread = threading.Thread(target=self._terminate, args=(self._context, ended), name="actorrt-zmq-terminate")
        thread.start()
        await ended.wait()
        thread.join()

    def _terminate(self, context: zmq.Context[zmq.Socket[bytes]], ended: asyncio.Event) -> None:
        context.term()
        self._loop.call_soon_threadsafe(ended.set)
