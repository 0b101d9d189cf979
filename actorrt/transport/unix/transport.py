"""The transport between processes of one machine, on Unix stream sockets.

A transport listens at a path, and each link of a peer has a connection to it. A round trip wakes two threads. With
ZeroMQ, whose sockets have threads of their own, it wakes six: see `docs/decisions/0013-unix-streams.md`. Only the owner
of the directory can connect, and the user id of the far end, as the kernel reports it, is checked.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

from actorrt.ids import PeerId
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.frames.framing import FrameReader, pack_start
from actorrt.transport.interfaces import Landing
from actorrt.transport.links import socket_path
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.peer_lanes import CONNECTION_NAME_BYTES
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.unix.link import UnixLink

logger = logging.getLogger(__name__)

SCHEME: Final = "unix://"
SHARED_BYTES: Final = 64 * 1024
BACKLOG_COUNT: Final = 256
ACCEPTED_AT_ONCE: Final = 16
NO_DESCRIPTORS_PAUSE_S: Final = 0.1
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class UnixTransport(BaseTransport):
    """A transport on Unix stream sockets.

    Args:
        peer: the id of this incarnation of this process.
        address: `unix://` and a path of at most 107 bytes.
        options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = (SCHEME,)

    def __init__(self, peer: PeerId, address: str, **options: Any) -> None:
        super().__init__(peer, address, **options)
        self._connections: dict[bytes, UnixConnection] = {}  # by name
        self._nameless: set[UnixConnection] = set()
        self._shared = memoryview(bytearray(SHARED_BYTES))  # the bytes of all connections arrive here first

    def _check_address(self, address: str) -> None:
        super()._check_address(address)
        socket_path.check_length(address, address.removeprefix(SCHEME))

    def _bind(self) -> None:
        path = self.address.removeprefix(SCHEME)
        socket_path.check_free(self.address, path)
        _remove_file(path)  # the file of a process that is gone
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(BACKLOG_COUNT)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"can't bind to {self.address}: {error}") from error
        self._listener = listener
        self._loop.add_reader(listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._pause_accepting(error)
                return
            accepted.setblocking(False)
            if _uid_of(accepted) != os.getuid():
                self._statistics.bad_frames += 1
                accepted.close()
                continue
            connection = UnixConnection(accepted, self._shared, self._landing, self._arrived, self._end)
            self._nameless.add(connection)
            self._loop.add_reader(accepted.fileno(), connection.readable)

    def _pause_accepting(self, error: OSError) -> None:
        """Pause accepting: without a free descriptor, waiting connections would keep the loop busy."""
        logger.warning("%s accepts no connection for a moment: %s", self.address, error)
        descriptor = self._listener.fileno()
        self._loop.remove_reader(descriptor)
        self._loop.call_later(NO_DESCRIPTORS_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._is_unbound:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _arrived(self, connection: UnixConnection, reader: FrameReader, count: int) -> None:
        """Called when `count` bytes of a connection have arrived in its reader's target."""
        assert self._inbound is not None
        self._flusher.is_draining = True
        try:
            for head, buffers in reader.arrived(count):
                if connection.name is not None:
                    self._inbound.message(connection.name, head, buffers)
                elif not self._named(connection, bytes(head)):
                    return
        except BadFrameError:  # a length is wrong, so the next message can't be found; the peer reconnects or gives up
            self._statistics.bad_frames += 1
            self._end(connection)
        finally:
            self._end_drain()

    def _landing(self, connection: UnixConnection, head: memoryview, size_bytes: int) -> Landing | None:
        """Return the landing for a buffer; see `Inbound.landing`."""
        assert self._inbound is not None
        return None if connection.name is None else self._inbound.landing(connection.name, head, size_bytes)

    def _named(self, connection: UnixConnection, name: bytes) -> bool:
        """Take the first message of a connection, its name. Return False if that closed the connection."""
        if len(name) != CONNECTION_NAME_BYTES or name in self._connections:
            self._statistics.bad_frames += 1
            self._end(connection)
            return False
        self._nameless.discard(connection)
        connection.name = name
        self._connections[name] = connection
        return True

    def _end(self, connection: UnixConnection) -> None:
        """Close a connection. Idempotent: a message of the connection may have ended it already."""
        if connection.socket.fileno() == -1:
            return
        self._loop.remove_reader(connection.socket.fileno())
        self._nameless.discard(connection)
        if connection.name is not None:
            del self._connections[connection.name]
        connection.socket.close()

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return UnixLink(self._next_name, setup.address.removeprefix(SCHEME), setup)

    def _answer(self, name: bytes, message: bytes) -> None:
        connection = self._connections.get(name)
        if connection is None:
            return
        data = pack_start((message,)) + message
        try:
            is_sent = connection.socket.send(data) == len(data)
        except BlockingIOError:
            is_sent = False
        except OSError:
            return  # the connection is gone; `readable` handles that
        if not is_sent:
            self._end(connection)  # the peer does not read; it must reconnect to learn which frames have arrived

    def _unbind(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        _remove_file(self.address.removeprefix(SCHEME))
        for connection in (*self._connections.values(), *self._nameless):
            self._end(connection)


class UnixConnection:
    """One connection that a peer made to us.

    Args:
        accepted: the socket of the connection.
        shared: the memory in which bytes arrive first; see `FrameReader`.
        find_landing: called with this connection, the head of a message and the size of its buffer.
        on_arrived: called with this connection, its reader, and the number of bytes in the reader's target.
        on_ended: called with this connection when the far end has closed it.

    Attributes:
        name: the connection's name; None until it has arrived.
    """

    __slots__ = ("_on_arrived", "_on_ended", "_reader", "name", "socket")

    def __init__(
        self,
        accepted: socket.socket,
        shared: memoryview,
        find_landing: Callable[[UnixConnection, memoryview, int], Landing | None],
        on_arrived: Callable[[UnixConnection, FrameReader, int], None],
        on_ended: Callable[[UnixConnection], None],
    ) -> None:
        self._reader = FrameReader(shared, find_landing=partial(find_landing, self))
        self._on_arrived = on_arrived
        self._on_ended = on_ended
        self.socket = accepted
        self.name: bytes | None = None

    def readable(self) -> None:
        """Called when the socket is readable."""
        try:
            count = self.socket.recv_into(self._reader.target)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count:
            self._on_arrived(self, self._reader, count)
        else:
            self._on_ended(self)


def _uid_of(accepted: socket.socket) -> int:
    """Return the user id of the process at the far end, as the kernel reports it."""
    credentials = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def _remove_file(path: str) -> None:
    """Remove a file if it is there. `pathlib` would cost each worker a copy of more of the zygote's memory."""
    with suppress(FileNotFoundError):
        os.unlink(path)
