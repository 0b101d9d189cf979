"""Checks the path of a Unix socket: its length, and whether another process listens there."""

from __future__ import annotations

import errno
import socket
from typing import Final

MAX_PATH_BYTES: Final = 107
"""The size of `sun_path` in `sockaddr_un`, less its final zero."""


def check_length(address: str, path: str) -> None:
    """Raise ValueError if the path is too long for a socket."""
    if len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"the path in {address!r} is longer than the {MAX_PATH_BYTES} bytes of a socket's name")


def check_free(address: str, path: str) -> None:
    """Raise OSError if another process listens at the path. A file that no process listens at is no obstacle."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
    raise OSError(errno.EADDRINUSE, f"can't bind to {address}: another process listens there")
