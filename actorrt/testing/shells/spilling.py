"""Spill files of a simulated machine: the real ones, in memory, on a disk that may be full, fail, or tear them."""

from __future__ import annotations

import os
from typing import IO, Final

from actorrt.store.memory.disk import SpillDisk, SpillFile, SpillSource
from actorrt.testing.shells.disk import SimulatedDisk

_WHERE: Final = "/spill"
_TORN_SHARE: Final = 0.5


class SimulatedSpillDisk(SpillDisk):
    """Writes spill files of one machine.

    While its disk is failing, some writes fail, and some files are torn: the last byte of the last object is not the
    one that was written.

    Args:
        disk: the machine's disk.
    """

    def __init__(self, disk: SimulatedDisk) -> None:
        super().__init__(_WHERE)
        self._disk = disk

    def _check_space(self, size_bytes: int) -> None:
        self._disk.check(_WHERE)

    def _new_file(self) -> IO[bytes]:
        return open(os.memfd_create("actorrt-spill", os.MFD_CLOEXEC), "wb", buffering=0)

    def _write(self, sources: list[SpillSource], offsets: list[int], size_bytes: int) -> SpillFile:
        written = super()._write(sources, offsets, size_bytes)
        if self._disk.is_failing and self._disk.chance.random() < _TORN_SHARE:
            tear(written, offsets[-1] + sources[-1].length_bytes - 1)
        return written


def tear(file: SpillFile, offset: int) -> None:
    """Change a byte of a file that has been written."""
    read_only = file.fd(writable=False)
    fd = os.open(f"/proc/self/fd/{read_only}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, bytes([os.pread(read_only, 1, offset)[0] ^ 0xFF]), offset)
    finally:
        os.close(fd)
