"""One accepted socket of a store's client: sends packets with descriptors, and queues them for a slow reader."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from array import array
from collections import deque
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

_MAX_QUEUED_COUNT: Final = 10_000


class ClientSocket:
    """The sending side of a connection. Its owner reads.

    Args:
        number: the connection's number in the store.
        sock: the socket, which does not block.
        pid: the client's process id.
        loop: sends queued packets when the client has read.
        on_stuck: called in a later turn of the loop when a client does not read; its connection must end.

    Attributes:
        is_announced: whether the owner has told of the process.
    """

    def __init__(
        self,
        number: int,
        sock: socket.socket,
        pid: int,
        loop: asyncio.AbstractEventLoop,
        on_stuck: Callable[[ClientSocket], None],
    ) -> None:
        self.number = number
        self.sock = sock
        self.pid = pid
        self.is_announced = False
        self._loop = loop
        self._on_stuck = on_stuck
        self._queue: deque[tuple[bytes, int | None]] = deque()
        self._is_blocked = False

    def send(self, packet: bytes, fd: int | None) -> None:
        """Send a packet, with a descriptor that stays the caller's; queue it if the client reads too slowly."""
        if self._queue:
            self._enqueue(packet, fd)
            return
        try:
            self._send_now(packet, fd)
        except OSError:  # it blocks, or the client is gone: `_flush` finds out which
            self._enqueue(packet, fd)

    def _send_now(self, packet: bytes, fd: int | None) -> None:
        if fd is None:
            self.sock.send(packet)
        else:
            self.sock.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [fd]))])

    def _enqueue(self, packet: bytes, fd: int | None) -> None:
        """Queue a packet; its descriptor must outlive the segment, so it is copied."""
        try:
            self._queue.append((packet, None if fd is None else os.dup(fd)))
        except OSError as error:
            _log.warning("process %d does not read, and nothing is kept for it: %s", self.pid, error)
            self._loop.call_soon(self._on_stuck, self)
            return
        if len(self._queue) > _MAX_QUEUED_COUNT:
            _log.warning("process %d does not read its store events: its connection is closed", self.pid)
            self._loop.call_soon(self._on_stuck, self)
        self._flush()

    def _flush(self) -> None:
        while self._queue:
            packet, fd = self._queue[0]
            try:
                self._send_now(packet, fd)
            except BlockingIOError:
                self._is_blocked = True
                self._loop.add_writer(self.sock.fileno(), self._flush)
                return
            except OSError:  # the client is gone; its reader sees the end and releases what it held
                self._drop_queue()
                return
            self._queue.popleft()
            if fd is not None:
                os.close(fd)
        if self._is_blocked:
            self._is_blocked = False
            self._loop.remove_writer(self.sock.fileno())

    def close(self) -> None:
        """Close the socket and drop the queued packets."""
        self._loop.remove_writer(self.sock.fileno())
        self.sock.close()
        self._drop_queue()

    def _drop_queue(self) -> None:
        for _, fd in self._queue:
            if fd is not None:
                os.close(fd)
        self._queue.clear()
