"""A link on ZeroMQ: one DEALER for each connection, and a monitor that reports the end of the connection.

A DEALER is closed when its connection breaks. It could reconnect by itself, but with the same name, and a ROUTER that
still remembers the former connection would ignore the new one for ever (zmq_setsockopt(3), ZMQ_ROUTER_HANDOVER).

The descriptors of both sockets are edge-triggered: after a wake-up, the socket must be used until it has no more
events, or `EVENTS` be read, before there is another wake-up (zmq_getsockopt(3), ZMQ_FD).
"""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import zmq

from actorrt.config import KIB
from actorrt.errors import AuthenticationError
from actorrt.ids import short
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.links.reconnection import RECONNECT_MAX_S, RECONNECT_MIN_S

ZmqContext = zmq.Context[zmq.Socket[bytes]]
ZmqSocket = zmq.Socket[bytes]

SOCKET_QUEUE_FRAMES: Final = 1_000
ZERO_COPY_BYTES: Final = 512 * KIB
"""A smaller buffer is copied, since that costs less than ZeroMQ's notice that it has released the buffer."""
PING_INTERVAL_MS: Final = 2_000
DEAD_AFTER_MS: Final = 6_000
"""A connection whose far end has answered no ping, or acknowledged no byte, for so long is closed."""
HANDSHAKE_TIMEOUT_MS: Final = 3_000
_NOBLOCK: Final = int(zmq.NOBLOCK)
_SNDMORE_NOBLOCK: Final = int(zmq.SNDMORE | zmq.NOBLOCK)
_POLLOUT: Final = int(zmq.POLLOUT)
_POLLIN: Final = int(zmq.POLLIN)
_BACK_BYTES: Final = 4096  # only acknowledgements and notices arrive over a link
_BACK_FRAMES: Final = 100
_BROKEN: Final = int(zmq.EVENT_DISCONNECTED)
_NOT_MADE: Final = int(zmq.EVENT_CONNECT_RETRIED)
_REJECTED: Final = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, int(zmq.EMTHREAD)})
_EVENT: Final = struct.Struct("=hi")


def fast_methods(socket: ZmqSocket) -> Any:
    """Return the socket's methods that are written in C. Their wrappers in Python would double the cost."""
    return super(zmq.Socket, socket)


def notice_dead_connections(socket: ZmqSocket) -> None:
    """Have ZeroMQ close connections whose far end is gone without a word, and handshakes that do not end.

    Heartbeats are answered by ZeroMQ's own thread, so a busy loop misses none. A stopped process misses them; its peers
    connect again when it goes on, and no frame is lost.
    """
    socket.setsockopt(zmq.HEARTBEAT_IVL, PING_INTERVAL_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, DEAD_AFTER_MS)
    socket.setsockopt(zmq.TCP_MAXRT, DEAD_AFTER_MS)  # TCP_USER_TIMEOUT: what was sent and is not acknowledged by then
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT_MS)


def open_dealer(context: ZmqContext, name: bytes) -> ZmqSocket:
    """Return a DEALER with the options for a link. It is not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, name)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDHWM, SOCKET_QUEUE_FRAMES)
    socket.setsockopt(zmq.RCVHWM, _BACK_FRAMES)
    socket.setsockopt(zmq.MAXMSGSIZE, _BACK_BYTES)
    socket.setsockopt(zmq.RECONNECT_IVL, round(RECONNECT_MIN_S * 1000))
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, round(RECONNECT_MAX_S * 1000))
    notice_dead_connections(socket)
    return socket


def _takes_nothing(*_: Any, **__: Any) -> NoReturn:
    """Replaces the `send` of a link that has no socket."""
    raise zmq.Again


class ZmqLink(QueuedLink):
    """A link on a DEALER.

    Args:
        setup: as for `QueuedLink`. A link that is made does not connect before `connect` is called.
    """

    is_polled = True

    def __init__(self, setup: LinkSetup) -> None:
        super().__init__(setup)
        self._place = ""
        self._open_socket: Callable[[Lane], ZmqSocket] | None = None
        self._socket: ZmqSocket | None = None
        self._send: Callable[..., Any] = _takes_nothing
        self._retry: asyncio.TimerHandle | None = None

    def connect(self, open_socket: Callable[[Lane], ZmqSocket], place: str) -> None:
        """Begin to connect. To be called once; has no effect on a closed link.

        Args:
            open_socket: returns a DEALER for another connection on that lane; the link closes it.
            place: the address without a key, to which the DEALER connects.

        Raises:
            ValueError: no DEALER can connect to such an address; the link is closed.
        """
        if self._is_closed:
            return
        self._place, self._open_socket = place, open_socket
        self._begin(RECONNECT_MIN_S)
        if isinstance(self.last_error, zmq.ZMQError) and self.last_error.errno not in _OUT_OF_RESOURCES:
            self.close()
            raise ValueError(f"can't connect to {self.address!r}: {self.last_error}") from self.last_error

    def _begin(self, retry_s: float) -> None:
        """Connect. If that fails, retry after `retry_s`, then after twice that time, and so on, until `close`."""
        self._retry = None
        try:
            socket, monitor = self._open()
        except zmq.ZMQError as error:
            self.last_error = error.with_traceback(None)  # a traceback would keep its frames and their variables alive
            self._retry = self._loop.call_later(retry_s, self._begin, min(2 * retry_s, RECONNECT_MAX_S))
            return
        self.last_error = None
        self._socket, self._monitor = socket, monitor
        self._send = fast_methods(socket).send
        self._fd = int(socket.getsockopt(zmq.FD))
        self._monitor_fd = int(monitor.getsockopt(zmq.FD))
        self._loop.add_reader(self._monitor_fd, self._check_monitor)
        self._loop.add_reader(self._fd, self._check_events)
        self._loop.call_soon(self._check_monitor)
        if self._is_blocked:
            self._watch()

    def _open(self) -> tuple[ZmqSocket, ZmqSocket]:
        assert self._open_socket is not None
        socket = self._open_socket(self.lane)
        try:
            monitor = socket.get_monitor_socket(_BROKEN | _REJECTED | (_NOT_MADE if self._is_lasting else 0))
        except zmq.ZMQError:
            socket.close()
            raise
        try:
            socket.connect(self._place)
        except zmq.ZMQError:
            _close(socket, monitor, 0.0)
            raise
        return socket, monitor

    def _reconnect(self, delay_s: float) -> None:
        self._disconnect(0.0)
        self._retry = self._loop.call_later(delay_s, self._begin, RECONNECT_MIN_S)

    def _check_monitor(self) -> None:
        try:
            while self._socket is not None and not self._monitor.closed:
                event, _ = self._monitor.recv_multipart(_NOBLOCK)
                number = _EVENT.unpack(event)[0]
                if number == _REJECTED:
                    self._rejected()
                elif number == _NOT_MADE:
                    self._setup.on_trouble(self, "it could not be connected")
                else:
                    self._connection_broke()
        except zmq.Again:
            return

    def _rejected(self) -> None:
        error = AuthenticationError(
            f"peer {short(self.peer)} at {self.address} does not accept the key of this node; "
            "let the two nodes join the same cluster"
        )
        self._setup.on_bad(self, error)

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        if len(parts) > 1:
            return self._transmit_parts(parts)
        try:
            self._send(parts[0], _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _transmit_parts(self, parts: Sequence[Buffer]) -> bool:
        last = len(parts) - 1
        is_taken = True
        for index, part in enumerate(parts):
            is_copied = memoryview(part).nbytes < ZERO_COPY_BYTES
            try:
                self._send(part, _NOBLOCK if index == last else _SNDMORE_NOBLOCK, copy=is_copied)
            except zmq.Again:
                if index in (0, last):
                    return False
                # The connection broke inside this message. ZeroMQ discards its parts up to the last one. The whole
                # frame is sent again later.
                is_taken = False
        return is_taken

    def _watch(self) -> None:
        self._loop.call_soon(self._check_events)  # the wake-up may have occurred already

    def _check_events(self) -> None:
        """Use the socket until it has no more events: otherwise its descriptor would never wake us again."""
        if self._socket is None:
            return
        self._read_answers()
        if self._is_blocked and self._may_send():
            self._unblocked()

    def _may_send(self) -> bool:
        return self._socket is not None and bool(int(self._socket.getsockopt(zmq.EVENTS)) & _POLLOUT)

    def _read_answers(self) -> None:
        socket = self._socket
        while socket is not None and not socket.closed and int(socket.getsockopt(zmq.EVENTS)) & _POLLIN:
            self.answered(socket.recv(_NOBLOCK))

    def _disconnect(self, linger_s: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        socket, self._socket = self._socket, None
        if socket is None:
            return
        self._send = _takes_nothing
        self._loop.remove_reader(self._fd)
        self._loop.remove_reader(self._monitor_fd)
        _close(socket, self._monitor, linger_s)


def _close(socket: ZmqSocket, monitor: ZmqSocket, linger_s: float) -> None:
    socket.disable_monitor()
    monitor.close(linger=0)  # an open monitor would prevent the context from terminating
    socket.close(linger=round(linger_s * 1000))
