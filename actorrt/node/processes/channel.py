"""The socket between daemon and zygote. A packet is one msgpack map, and may carry file descriptors.

`SOCK_SEQPACKET` keeps packets whole: a process that dies while it sends leaves no partial packet, and each process
that holds the other end may send. `zygote` and `forker` define the packets.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from actorrt.config import KIB

MAX_FORK_REQUEST_BYTES: Final = 128 * KIB
_MAX_FDS: Final = 4
_FD_SPACE_BYTES: Final = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends, not inheritable, whose buffers take the largest request."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_FORK_REQUEST_BYTES)
    except OSError:
        for end in ends:
            end.close()
        raise
    return ends


def pack(message: dict[str, Any]) -> bytes:
    """Return the packet for `message`.

    Raises:
        ValueError: the packet would be larger than `MAX_FORK_REQUEST_BYTES`.
        TypeError: msgpack can't encode a part of the message.
    """
    packet: bytes = msgpack.packb(message)
    if len(packet) > MAX_FORK_REQUEST_BYTES:
        raise ValueError(
            f"a worker's configuration takes {len(packet)} bytes, more than {MAX_FORK_REQUEST_BYTES}:"
            " shorten env_vars or sys.path"
        )
    return packet


def send(end: socket.socket, packet: bytes, fds: Sequence[int] = ()) -> None:
    """Send one packet, and copies of `fds` with it.

    Raises:
        BlockingIOError: the socket does not block and is full; nothing was sent.
        ConnectionError: no process holds the other end.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    end.sendmsg([packet], rights, socket.MSG_NOSIGNAL)


def receive(end: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors (close-on-exec, the caller's to close), or None at the end.

    Raises:
        BlockingIOError: the socket does not block and nothing has arrived.
    """
    while True:
        try:
            packet, ancillary, _, _ = end.recvmsg(MAX_FORK_REQUEST_BYTES, _FD_SPACE_BYTES, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            continue  # the other side died with unread packets; what it had sent arrives first, then the end
        if not packet:
            return None
        return msgpack.unpackb(packet), _descriptors(ancillary)


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def close_all(fds: Sequence[int]) -> None:
    """Close every descriptor."""
    for fd in fds:
        os.close(fd)
