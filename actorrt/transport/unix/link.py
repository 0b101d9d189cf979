"""A link on a Unix stream socket, to another process of this machine.

The first message of a connection is its name, which gives the peer and the lane. The link's messages follow.
Acknowledgements and notices arrive in the opposite direction. The loop watches the sockets' descriptors, which are
level-triggered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from actorrt.config import MIB
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.frames.framing import FrameReader, pack_start
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.links.reconnection import RECONNECT_MAX_S, RECONNECT_MIN_S

JOINED_BYTES: Final = 64 * 1024
"""A message up to this size is copied behind its lengths, since sending one part costs less than sending two."""
_SEND_BUFFER_BYTES: Final = 2 * MIB  # so that a large frame takes few ticks of both loops
_PARTS_AT_ONCE: Final = 512  # sendmsg(2) takes 1,024
_BACK_BYTES: Final = 4096  # only acknowledgements and notices arrive over a link


class UnixLink(QueuedLink):
    """A link on a Unix stream socket.

    Args:
        next_name: returns the name for the next connection on a lane.
        path: the path at which the far end listens, or will listen.
        setup: as for `QueuedLink`.
    """

    def __init__(self, next_name: Callable[[Lane], bytes], path: str, setup: LinkSetup) -> None:
        super().__init__(setup)
        self._next_name = next_name
        self._path = path
        self._shared = memoryview(bytearray(_BACK_BYTES))
        self._socket: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._unsent: list[memoryview] = []  # the rest of the message that was accepted last
        self._begin(RECONNECT_MIN_S)

    def _begin(self, retry_s: float) -> None:
        """Connect. If that fails, retry after `retry_s`, then after twice that time, and so on, until `close`."""
        self._retry = None
        try:
            connection = _open_connection(self._path)
        except OSError as error:  # no process listens, the backlog is full, or no descriptor is free
            self.last_error = error.with_traceback(None)  # a traceback would keep its frames and their variables alive
            if self.resumed_count and isinstance(error, ConnectionRefusedError | FileNotFoundError):
                self._setup.on_refused(self)
            if self._is_closed:
                return
            self._retry = self._loop.call_later(retry_s, self._begin, min(2 * retry_s, RECONNECT_MAX_S))
            return
        self._socket = connection
        self.last_error = None
        self._reader = FrameReader(self._shared, _BACK_BYTES)
        self._loop.add_reader(connection.fileno(), self._read_answers)
        self._transmit((self._next_name(self.lane),))
        self._unblocked()

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        connection = self._socket
        if connection is None or self._unsent:
            return False
        start = pack_start(parts)
        try:
            if len(parts) == 1 and len(parts[0]) <= JOINED_BYTES:
                whole: Sequence[Buffer] = (start + parts[0],)
                sent = connection.send(whole[0])
            else:
                whole = (start, *parts)
                sent = connection.sendmsg(whole[:_PARTS_AT_ONCE])
        except BlockingIOError:
            return False
        except OSError:  # the far end is gone, which the descriptor reports
            return False
        self._unsent = _rest(whole, sent)
        if self._unsent:
            self._loop.add_writer(connection.fileno(), self._writable)
        return True

    def _watch(self) -> None:
        if self._socket is not None:
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        assert self._socket is not None
        if self._unsent:
            try:
                self._unsent = _rest(self._unsent, self._socket.sendmsg(self._unsent[:_PARTS_AT_ONCE]))
            except BlockingIOError:
                return
            except OSError:  # the far end is gone, which the descriptor reports
                self._loop.remove_writer(self._socket.fileno())
                return
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())
            self._unblocked()

    def _read_answers(self) -> None:
        connection = self._socket
        if connection is None:
            return
        try:
            count = connection.recv_into(self._reader.target)
            messages = self._reader.arrived(count)
        except BlockingIOError:
            return
        except (OSError, BadFrameError):
            count, messages = 0, []
        for head, _ in messages:
            self.answered(bytes(head))
        if not count:
            self._connection_broke()

    def _reconnect(self, delay_s: float) -> None:
        self._disconnect(0.0)
        self._retry = self._loop.call_later(delay_s, self._begin, RECONNECT_MIN_S)

    def _disconnect(self, linger_s: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        connection, self._socket = self._socket, None
        if connection is None:
            return
        self._loop.remove_reader(connection.fileno())
        self._loop.remove_writer(connection.fileno())
        if self._unsent and linger_s:
            _LingeringConnection(self._loop, connection, self._unsent, linger_s)
        else:
            connection.close()
        self._unsent = []


class _LingeringConnection:
    """Sends the rest of a message over the connection of a closed link, and then closes the connection."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: socket.socket, unsent: list[memoryview], within_s: float
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._unsent = unsent
        self._timer = loop.call_later(within_s, self._end)
        loop.add_writer(connection.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            self._unsent = _rest(self._unsent, self._connection.sendmsg(self._unsent[:_PARTS_AT_ONCE]))
        except BlockingIOError:
            return
        except OSError:  # the far end is gone
            self._unsent = []
        if not self._unsent:
            self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.remove_writer(self._connection.fileno())
        self._connection.close()


def _open_connection(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _rest(parts: Sequence[Buffer], sent: int) -> list[memoryview]:
    """Return the rest of the parts, after the first `sent` bytes."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest
