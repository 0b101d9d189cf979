"""The transport between processes of one machine, on Unix stream sockets.

A listening socket at a path; each link of a peer is a connection to it. A round trip wakes two threads, where ZeroMQ,
whose sockets live in threads of their own, wakes six: see `docs/decisions/0013-unix-streams.md`. Who may connect is
decided by the directory, which is its owner's alone, and by the kernel's word on who is at the other end.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from actorrt.config import IPC_PATH_MAX_BYTES
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import BadFrameError
from actorrt.transport.frames.framing import FrameReader, Landing, pack_start
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.inbound import ROUTING_ID_BYTES
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.unix.link import UnixLink

logger = logging.getLogger(__name__)

SCHEME: Final = "unix://"
ROOM_BYTES: Final = 64 * 1024
BACKLOG_COUNT: Final = 256
ACCEPTED_AT_ONCE: Final = 16
NO_DESCRIPTORS_PAUSE_S: Final = 0.1
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class UnixTransport(BaseTransport):
    """An endpoint on Unix stream sockets.

    Args:
        peer: the id of this incarnation of this process.
        address: `unix://` and a path of at most 107 bytes.
        options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = (SCHEME,)

    def __init__(self, peer: PeerId, address: str, **options: Any) -> None:
        super().__init__(peer, address, **options)
        self._connections: dict[bytes, _Connection] = {}  # by name
        self._nameless: set[_Connection] = set()
        self.room = memoryview(bytearray(ROOM_BYTES))

    def _check_address(self, address: str) -> None:
        super()._check_address(address)
        if len(address.removeprefix(SCHEME).encode()) > IPC_PATH_MAX_BYTES:
            raise ValueError(
                f"the path in {address!r} is longer than the {IPC_PATH_MAX_BYTES} bytes of a socket's name"
            )

    def _bind(self) -> None:
        path = self.address.removeprefix(SCHEME)
        _remove_stale(path)
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
            connection = _Connection(self, accepted)
            self._nameless.add(connection)
            self._loop.add_reader(accepted.fileno(), connection.readable)

    def _pause_accepting(self, error: OSError) -> None:
        """The process has no descriptor left: those who wait to be accepted must not keep the loop busy."""
        logger.warning("%s accepts no connection for a while: %s", self.address, error)
        descriptor = self._listener.fileno()
        self._loop.remove_reader(descriptor)
        self._loop.call_later(NO_DESCRIPTORS_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if not self._is_unbound:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def arrived(self, connection: _Connection, reader: FrameReader, count: int) -> None:
        """Take what has arrived over a connection."""
        assert self._inbound is not None
        self._flusher.is_draining = True
        try:
            for head, buffers in reader.arrived(count):
                if connection.name is not None:
                    self._inbound.message(connection.name, head, buffers)
                elif not self._named(connection, bytes(head)):
                    return
        except BadFrameError:  # not even the lengths can be believed; whoever it was begins anew, or gives up
            self._statistics.bad_frames += 1
            self.ended(connection)
        finally:
            self._end_drain()

    def landing(self, connection: _Connection, head: memoryview, size_bytes: int) -> Landing | None:
        """Return where a buffer is to arrive; see `Inbound.landing`."""
        assert self._inbound is not None
        return None if connection.name is None else self._inbound.landing(connection.name, head, size_bytes)

    def _named(self, connection: _Connection, name: bytes) -> bool:
        """Take the first message of a connection; return whether it may go on."""
        if len(name) != ROUTING_ID_BYTES or name in self._connections:
            self._statistics.bad_frames += 1
            self.ended(connection)
            return False
        self._nameless.discard(connection)
        connection.name = name
        self._connections[name] = connection
        return True

    def ended(self, connection: _Connection) -> None:
        """Nothing more comes over a connection, or shall. Idempotent: what it brought may have ended it."""
        if connection.socket.fileno() == -1:
            return
        self._loop.remove_reader(connection.socket.fileno())
        self._nameless.discard(connection)
        if connection.name is not None:
            del self._connections[connection.name]
        connection.socket.close()

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return UnixLink(self._next_routing_id, setup.address.removeprefix(SCHEME), setup)

    def _answer(self, source_id: bytes, message: bytes) -> None:
        connection = self._connections.get(source_id)
        if connection is None:
            return
        data = pack_start((message,)) + message
        try:
            is_sent = connection.socket.send(data) == len(data)
        except BlockingIOError:
            is_sent = False
        except OSError:
            return  # it is gone, of which the descriptor tells
        if not is_sent:
            self.ended(connection)  # it has not read for so long that it has to ask again where it stands

    def _unbind(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        Path(self.address.removeprefix(SCHEME)).unlink(missing_ok=True)
        for connection in (*self._connections.values(), *self._nameless):
            self.ended(connection)


class _Connection:
    """One that was made to us.

    Attributes:
        name: its routing id, once that has arrived.
    """

    __slots__ = ("_reader", "_transport", "name", "socket")

    def __init__(self, transport: UnixTransport, accepted: socket.socket) -> None:
        self._transport = transport
        self._reader = FrameReader(transport.room, find_landing=partial(transport.landing, self))
        self.socket = accepted
        self.name: bytes | None = None

    def readable(self) -> None:
        try:
            count = self.socket.recv_into(self._reader.room)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count:
            self._transport.arrived(self, self._reader, count)
        else:
            self._transport.ended(self)


def _uid_of(accepted: socket.socket) -> int:
    """Return as whom the process at the other end runs, by the kernel's word."""
    credentials = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def _remove_stale(path: str) -> None:
    """Remove the socket of a process that is gone.

    Raises:
        OSError: somebody listens there.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, f"can't bind to unix://{path}: another process listens there")
