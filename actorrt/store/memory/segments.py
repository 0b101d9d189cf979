"""Segments: anonymous memory of the daemon, mapped by its clients.

The daemon makes a segment and keeps two descriptors of it, a writable one and a read-only one. Clients receive them
over their sockets, map them once and close them. Memory is reserved when the segment is made, so a machine without
memory raises an error there and sends no signal later. The size is sealed: no process can truncate it under a reader.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

from actorrt.config import MIB
from actorrt.errors import ObjectStoreFullError

_SIZE_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_TOUCH_BYTES: Final = 1 * MIB


class Segment:
    """One piece of memory, as the daemon has it.

    Args:
        segment_id: its number in the store.
        size_bytes: its length, a multiple of the page.
        is_touched: write every page, so that the first writer need not wait for the kernel to clear it. This takes
            twice as long as reserving, without the interpreter lock.

    Raises:
        ObjectStoreFullError: the machine or its control group has too little memory, or this process no descriptor
            left; nothing is left behind.
    """

    def __init__(self, segment_id: int, size_bytes: int, *, is_touched: bool = False) -> None:
        self.segment_id = segment_id
        self.size_bytes = size_bytes
        self.writable_fd = -1
        try:
            self.writable_fd = os.memfd_create(f"actorrt-{segment_id}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.posix_fallocate(self.writable_fd, 0, size_bytes)
            if is_touched:
                _touch(self.writable_fd, size_bytes)
            fcntl.fcntl(self.writable_fd, fcntl.F_ADD_SEALS, _SIZE_SEALS)
            self.readable_fd = os.open(f"/proc/self/fd/{self.writable_fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if self.writable_fd >= 0:
                os.close(self.writable_fd)
            raise ObjectStoreFullError(
                f"the machine gave no memory for a segment of {size_bytes / MIB:.0f} MiB: {error.strerror}"
            ) from error

    def fd(self, *, writable: bool) -> int:
        """Return the descriptor for a writer or for a reader."""
        return self.writable_fd if writable else self.readable_fd

    def close(self) -> None:
        """Release the memory that no process maps; the rest follows with its mappings. Idempotent."""
        if self.writable_fd >= 0:
            os.close(self.writable_fd)
            os.close(self.readable_fd)
            self.writable_fd = self.readable_fd = -1


def _touch(fd: int, size_bytes: int) -> None:
    zeros = bytes(_TOUCH_BYTES)
    for offset in range(0, size_bytes, _TOUCH_BYTES):
        os.pwrite(fd, zeros[: size_bytes - offset], offset)
