"""The daemon's side of the store: sockets, segments, and the loop that serves them.

`core` makes the answers. This shell reads packets, carries out instructions, makes segments in one thread
(reserving memory takes tens of milliseconds) and spill files in another, and tells its owner which processes come and
go.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from actorrt.errors import ObjectStoreFullError
from actorrt.ids import PeerId
from actorrt.machine.clock import Clock
from actorrt.store.memory.disk import SpillError, SpillFile, Spilling, spill_sources, verify
from actorrt.store.memory.segments import Segment
from actorrt.store.server.client_socket import ClientSocket
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
from actorrt.store.wire.protocol import MAX_MESSAGE_BYTES, ProtocolError, Role, pack, unpack_all

_log = logging.getLogger(__name__)

_BACKLOG: Final = 128
_READ_BUDGET_COUNT: Final = 64
_ACCEPT_PAUSE_S: Final = 1.0  # time for descriptors to be closed
_TICK_S: Final = 10.0
_DISK_PAUSE_S: Final = 1.0  # after a disk failed or was full
_FIRST_TICK_S: Final = 1.0  # a node that starts has more urgent work than to warm memory
_CREDENTIALS: Final = struct.Struct("3i")

T = TypeVar("T")

OnPeer = Callable[[PeerId, int], None]
"""Called with the peer id and the process id of a client's process."""


class StoreServer:
    """Serves one store on a Unix socket.

    Args:
        path: the socket; its directory must exist, with no access for other users.
        capacity_bytes: the bound on shared memory.
        clock: for what expires.
        disk: takes objects that memory has no room for, in a thread; None if there is none.
        on_open: called on the loop when a process has said HELLO.
        on_close: called when the connection of such a process has ended and everything that it held is released.
    """

    def __init__(
        self,
        path: str,
        capacity_bytes: int,
        clock: Clock,
        *,
        disk: Spilling | None = None,
        on_open: OnPeer | None = None,
        on_close: OnPeer | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_open = on_open
        self._on_close = on_close
        self._core = StoreCore(capacity_bytes, may_spill=disk is not None)
        self._disk = disk
        self.retention = Retention(self._core, self._settle)
        self.exchange = Exchange(self._core, self._settle)
        self._segments: dict[int, Segment | SpillFile] = {}
        self._clients: dict[int, ClientSocket] = {}
        self._clients_by_fd: dict[int, ClientSocket] = {}
        self._poll = select.epoll()
        self._unread: set[int] = set()
        self._last_number = 0
        self._refused_count = 0
        self._working: set[asyncio.Future[Any]] = set()
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="actorrt-segments")
        self._spiller = ThreadPoolExecutor(max_workers=1, thread_name_prefix="actorrt-spill")
        self._is_disk_in_trouble = False
        self._disk_handle: asyncio.TimerHandle | None = None
        self._sweep_handle: asyncio.Handle | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._accept_handle: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None

    async def start(self) -> None:
        """Listen, on the running loop.

        Raises:
            OSError: the socket can't be made at the path; nothing is left behind.
        """
        self._loop = asyncio.get_running_loop()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            listener.setblocking(False)
            listener.bind(self._path)
            os.chmod(self._path, 0o600)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._listen()
        self._tick_handle = self._loop.call_later(_FIRST_TICK_S, self._tick)

    async def close(self) -> None:
        """End every connection and release all memory. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._loop.remove_reader(listener.fileno())
        listener.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        for client in list(self._clients.values()):
            self._end(client)
        if self._working:
            await asyncio.wait(self._working)
        self._maker.shutdown()
        self._spiller.shutdown()
        for handle in (self._sweep_handle, self._tick_handle, self._accept_handle, self._disk_handle):
            if handle is not None:
                handle.cancel()
        self._poll.close()
        self.exchange.close()
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()

    def stats(self) -> dict[str, int]:
        """Return the counts of the store and of this server."""
        return {**self._core.stats(), "refused_count": self._refused_count}

    def largest(self, count: int) -> list[list[Any]]:
        """Return the largest objects, at most `accounts.MAX_LISTED_COUNT`; see `accounts.largest`."""
        return self._core.largest(count)

    # Connections

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of descriptors, most likely: the loop would call again at once
                _log.warning("store connections are not accepted for %.0f s: %s", _ACCEPT_PAUSE_S, error)
                self._loop.remove_reader(self._listener.fileno())
                self._accept_handle = self._loop.call_later(_ACCEPT_PAUSE_S, self._listen)
                return
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, uid, _gid = _CREDENTIALS.unpack(credentials)
            if uid != os.geteuid():
                self._refused_count += 1
                sock.close()
                continue
            sock.setblocking(False)
            self._begin(sock, pid)

    def _listen(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _begin(self, sock: socket.socket, pid: int) -> None:
        self._last_number += 1
        client = ClientSocket(self._last_number, sock, pid, self._loop, self._end)
        self._clients[client.number] = client
        self._core.open(client.number, f"pid {pid}")
        self._clients_by_fd[sock.fileno()] = client
        self._poll.register(sock.fileno(), select.EPOLLIN)
        self._loop.add_reader(sock.fileno(), self._on_readable, client)

    def _end(self, client: ClientSocket) -> None:
        """End a connection and everything that it has, and tell the owner. Idempotent.

        A process that can't ask any more must hear of it, since its holds have ended: its events end, too.
        """
        if self._clients.pop(client.number, None) is None:
            return
        self._unread.discard(client.number)
        self._poll.unregister(client.sock.fileno())
        del self._clients_by_fd[client.sock.fileno()]
        self._loop.remove_reader(client.sock.fileno())
        client.close()
        known = self._core.peer(client.number)
        events = self._clients.get(self._core.listener(client.number) or 0)
        self._core.close(client.number, self._clock.now())
        self._carry_out()
        if known is None or known[1] is not Role.REQUESTS:
            return
        if events is not None:
            self._end(events)
        if self._on_close is not None:
            self._on_close(known[0], client.pid)

    def _tick(self) -> None:
        """Called periodically: ends expired transits, drops idle segments and makes a spare one."""
        self._tick_handle = self._loop.call_later(_TICK_S, self._tick)
        self._core.trim()
        self._core.make_spare()
        self._settle()

    # Reading

    def _on_readable(self, client: ClientSocket) -> None:
        self._unread.add(client.number)
        for _ in range(_READ_BUDGET_COUNT):
            if not self._read_one(client):
                self._unread.discard(client.number)
                break
            self._carry_out()  # the asker has its answer before the next message is read
        self._settle()

    def _settle(self) -> None:
        """Carry out instructions, and schedule a sweep for when everything that arrived is read."""
        self._carry_out()
        if self._sweep_handle is None and self._listener is not None:
            self._sweep_handle = self._loop.call_soon(self._sweep)

    def _read_one(self, client: ClientSocket) -> bool:
        """Read and handle one packet; False if there is none, now or ever."""
        if client.number not in self._clients:
            return False
        try:
            packet = client.sock.recv(MAX_MESSAGE_BYTES + 1)
        except BlockingIOError:
            return False
        except OSError:
            packet = b""
        if not packet:
            self._end(client)
            return False
        if not self._handle(client, packet):
            self._end(client)
            return False
        if not client.is_announced:
            self._announce(client)
        return True

    def _handle(self, client: ClientSocket, packet: bytes) -> bool:
        """Handle one packet; False if its connection must end. No packet ends more than its connection."""
        try:
            for message in unpack_all(packet):
                self._core.handle(client.number, message)
        except ProtocolError as error:
            self._refused_count += 1
            _log.warning("the store connection of process %d is closed: %s", client.pid, error)
            return False
        except Exception:
            _log.exception("a message of process %d met a defect; its store connection is closed", client.pid)
            return False
        return True

    def _announce(self, client: ClientSocket) -> None:
        client.is_announced = True
        known = self._core.peer(client.number)
        if known is not None and known[1] is Role.REQUESTS and self._on_open is not None:
            self._on_open(known[0], client.pid)

    def _sweep(self) -> None:
        """Delete objects that nobody refers to, after reading everything that arrived before: it may contain holds."""
        self._sweep_handle = None
        if self._listener is None:
            return
        self._core.begin_sweep()
        for fd, _ in self._poll.poll(0):  # the loop may not have seen these packets yet
            client = self._clients_by_fd.get(fd)
            if client is not None:
                self._on_readable(client)
        if self._unread:
            self._settle()
            return
        self._core.sweep(self._clock.now())
        self._carry_out()
        if self._core.has_suspects:
            self._settle()

    # Carrying out

    def _carry_out(self) -> None:
        for instruction in self._core.take():
            match instruction:
                case Send():
                    self._send(instruction)
                case MakeSegment():
                    self._make(instruction)
                case DropSegment(segment_id):
                    self._segments.pop(segment_id).close()
                case Spill():
                    self._spill(instruction)
                case Verify():
                    self._verify(instruction)
                case Fetch() | Adopt() | TransitArrived() | ReleaseAdopted():
                    self.exchange.carry_out(instruction)

    def _work(
        self, executor: ThreadPoolExecutor, work: Callable[[], T], on_done: Callable[[asyncio.Future[T]], None]
    ) -> None:
        """Do work in a thread, and call `on_done` on the loop."""
        working = self._loop.run_in_executor(executor, work)
        self._working.add(working)
        working.add_done_callback(self._working.discard)
        working.add_done_callback(on_done)

    def _make(self, make: MakeSegment) -> None:
        segment = partial(Segment, make.segment_id, make.size_bytes, is_touched=make.is_ahead)
        self._work(self._maker, segment, partial(self._made, make.segment_id))

    def _made(self, segment_id: int, making: asyncio.Future[Segment]) -> None:
        error = making.exception()
        if error is None:
            self._segments[segment_id] = making.result()
        elif not isinstance(error, ObjectStoreFullError):
            raise error
        if self._listener is not None:
            self._core.segment_made(segment_id, error)
            self._core.make_spare()
            self._carry_out()

    def _spill(self, spill: Spill) -> None:
        assert self._disk is not None, "the core was told that there is a disk"
        write = partial(self._disk.write, spill_sources(spill.objects, self._segments))
        self._work(self._spiller, write, partial(self._spilled, spill.file_id))

    def _spilled(self, file_id: int, writing: asyncio.Future[SpillFile]) -> None:
        error = writing.exception()
        if error is None:
            self._segments[file_id] = writing.result()
        elif not isinstance(error, SpillError):
            raise error
        elif not self._is_disk_in_trouble:
            _log.warning("objects can't be moved to disk: %s", error)
        self._is_disk_in_trouble = error is not None
        if self._listener is None:
            return
        if error is None:
            self._core.spilled(file_id, writing.result().offsets)
        else:
            self._core.spilled(file_id, [], str(error))
            self._disk_handle = self._loop.call_later(_DISK_PAUSE_S, self._try_disk_again)
        self._settle()

    def _try_disk_again(self) -> None:
        self._core.allocator.try_disk_again()
        self._settle()

    def _verify(self, asked: Verify) -> None:
        fd = os.dup(self._segments[asked.place.segment_id].fd(writable=False))
        work = partial(verify, fd, asked.object_id, asked.place)
        self._work(self._spiller, work, partial(self._verified, asked))

    def _verified(self, asked: Verify, checking: asyncio.Future[str]) -> None:
        if self._listener is not None:
            self._core.verified(asked.object_id, asked.place, checking.result())
            self._settle()

    def _send(self, send: Send) -> None:
        client = self._clients.get(send.connection)
        is_inside = send.connection in self.exchange.connections
        if client is None and not is_inside:
            return
        fd = None if send.segment_id is None else self._segments[send.segment_id].fd(writable=send.writable)
        if client is None:
            self.exchange.receive(send.message, None if fd is None else os.dup(fd), writable=send.writable)
            return
        client.send(pack(send.message), fd)
