"""A link on ZeroMQ: one DEALER that only sends, and the monitor that tells what becomes of its connection.

The descriptors of both are edge-triggered: they speak once, and the socket must be used until it has no more, or
`EVENTS` be read, before they speak again (zmq_getsockopt(3), ZMQ_FD).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import zmq

from actorrt.config import (
    RECONNECT_MAX_S,
    RECONNECT_MIN_S,
    SOCKET_QUEUE_FRAMES,
    ZERO_COPY_BYTES,
)
from actorrt.transport.protocol import Buffer
from actorrt.transport.queued_link import QueuedLink

ZmqContext = zmq.Context[zmq.Socket[bytes]]
ZmqSocket = zmq.Socket[bytes]

_NOBLOCK: Final = int(zmq.NOBLOCK)
_SNDMORE_NOBLOCK: Final = int(zmq.SNDMORE | zmq.NOBLOCK)
_POLLOUT: Final = int(zmq.POLLOUT)
_HANDSHAKE_BYTES: Final = 4096  # nothing else comes back on a link
_CONNECTED: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_BROKEN: Final = int(zmq.EVENT_DISCONNECTED)
_EVENT: Final = struct.Struct("=hi")


def open_dealer(context: ZmqContext, routing_id: bytes) -> ZmqSocket:
    """Return a DEALER set up for a link, not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, routing_id)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDHWM, SOCKET_QUEUE_FRAMES)
    socket.setsockopt(zmq.RCVHWM, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, _HANDSHAKE_BYTES)
    socket.setsockopt(zmq.RECONNECT_IVL, round(RECONNECT_MIN_S * 1000))
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, round(RECONNECT_MAX_S * 1000))
    return socket


class ZmqLink(QueuedLink):
    """A link on a DEALER.

    Args:
        socket: from `open_dealer`; the link closes it.
        options: as for `QueuedLink`.
    """

    def __init__(self, socket: ZmqSocket, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._socket = socket
        self._fd = int(socket.getsockopt(zmq.FD))
        self._monitor = socket.get_monitor_socket(_CONNECTED | _BROKEN)
        self._monitor_fd = int(self._monitor.getsockopt(zmq.FD))
        self._loop.add_reader(self._monitor_fd, self._check_monitor)
        self._loop.call_soon(self._check_monitor)
        try:
            socket.connect(self.address)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"can't connect to {self.address!r}: {error}") from error

    def _check_monitor(self) -> None:
        while not self._monitor.closed:
            try:
                event, _ = self._monitor.recv_multipart(_NOBLOCK)
            except zmq.Again:
                return
            kind, _ = _EVENT.unpack(event)
            if kind == _BROKEN:
                self._connection_broke()
            else:
                self._connection_came_back()

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
        self._loop.remove_reader(self._monitor_fd)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)  # an open one would keep the context from ending
        self._socket.close(linger=round(linger_s * 1000))
