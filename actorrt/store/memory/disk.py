"""Spill files: objects that memory has no room for, written to disk and read back through a mapping.

A file has no name, so it is deleted when the last process that has it open ends. It holds a frame (magic, version, id,
length, CRC-32) and the bytes of each object, aligned as in memory, so that a mapping of the file is read like a
segment. Files are not synced: when the node ends, its objects are lost anyway.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final, Protocol

from actorrt.config import GIB, MIB, SPILL_DIRECTORY
from actorrt.ids import ObjectId, short
from actorrt.store.memory.arena import ALIGNMENT_BYTES, align
from actorrt.store.memory.pool import Place

DEFAULT_QUOTA_BYTES: Final = 64 * GIB

_MAGIC: Final = b"AOSP"
_VERSION: Final = 1
_FRAME: Final = struct.Struct("<4sI16sQI")
_COPY_BYTES: Final = 1 * MIB
_LEFT_FREE_FRACTION, _LEFT_FREE_MAX_BYTES = 0.05, 1 * GIB


def spill_directory() -> str:
    """Return the directory that this machine's stores spill to."""
    return os.environ.get("ACTORRT_SPILL_DIR", SPILL_DIRECTORY)


class SpillError(Exception):
    """The disk is full or failed; the message says which."""


class Readable(Protocol):
    """Bytes that can be read through a descriptor: a segment or a spill file."""

    def fd(self, *, writable: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class SpillSource:
    """The bytes of one object to be written. Sources share the descriptor; the writer closes it."""

    object_id: ObjectId
    fd: int
    offset: int
    length_bytes: int


def spill_sources(objects: Iterable[tuple[ObjectId, Place]], segments: Mapping[int, Readable]) -> list[SpillSource]:
    """Return the sources of objects; their descriptors stay open when the segments are dropped."""
    fds: dict[int, int] = {}
    found = []
    for object_id, place in objects:
        if place.segment_id not in fds:
            fds[place.segment_id] = os.dup(segments[place.segment_id].fd(writable=False))
        found.append(SpillSource(object_id, fds[place.segment_id], place.offset, place.length_bytes))
    return found


@dataclass(slots=True)
class SpillFile:
    """One file on disk.

    Attributes:
        offsets: the start of each object's bytes, in the order of the sources.
    """

    size_bytes: int
    offsets: list[int]
    _fd: int
    _disk: SpillDisk = field(repr=False)

    def fd(self, *, writable: bool) -> int:
        """Return the descriptor for a reader; there are no writers."""
        assert not writable, "a spill file is read only"
        return self._fd

    def close(self) -> None:
        """Release the space on disk; it is free when the last mapping is gone. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._disk.used_bytes -= self.size_bytes


class Spilling(Protocol):
    """Writes spill files, one at a time."""

    def write(self, sources: list[SpillSource]) -> SpillFile:
        """Write objects into a file; see `SpillDisk.write`."""


class SpillDisk:
    """Writes spill files to a disk of this machine.

    Args:
        directory: a directory of the disk; the files have no names in it.
        quota_bytes: the bound on the bytes of all files.
    """

    def __init__(self, directory: str, quota_bytes: int = DEFAULT_QUOTA_BYTES) -> None:
        self.used_bytes = 0
        self._directory = directory
        self._quota_bytes = quota_bytes

    def write(self, sources: list[SpillSource]) -> SpillFile:
        """Write objects into a file; the descriptors of the sources are closed.

        Raises:
            SpillError: the quota or the disk is full, or the disk failed; nothing is left behind.
        """
        offsets, at = [], 0
        for source in sources:
            offsets.append(at + ALIGNMENT_BYTES)
            at += ALIGNMENT_BYTES + align(source.length_bytes)
        try:
            self._check_space(at)
            return self._write(sources, offsets, at)
        except OSError as error:
            raise SpillError(f"writing {at / MIB:.1f} MiB to {self._directory} failed: {error.strerror}") from error
        finally:
            for fd in {source.fd for source in sources}:
                os.close(fd)

    def _check_space(self, size_bytes: int) -> None:
        if self.used_bytes + size_bytes > self._quota_bytes:
            raise SpillError(
                f"{self.used_bytes / MIB:.0f} of {self._quota_bytes / MIB:.0f} MiB of the spill quota are used"
            )
        disk = os.statvfs(self._directory)
        left_free_bytes = min(_LEFT_FREE_MAX_BYTES, int(_LEFT_FREE_FRACTION * disk.f_blocks * disk.f_frsize))
        free_bytes = disk.f_bavail * disk.f_frsize - left_free_bytes
        if size_bytes > free_bytes:
            raise SpillError(
                f"the disk of {self._directory} has {max(0, free_bytes) / MIB:.0f} MiB left "
                f"for {size_bytes / MIB:.1f} MiB"
            )

    def _new_file(self) -> IO[bytes]:
        """Return a new file without a name and without a buffer, to be written."""
        return tempfile.TemporaryFile(dir=self._directory, buffering=0)

    def _write(self, sources: list[SpillSource], offsets: list[int], size_bytes: int) -> SpillFile:
        with self._new_file() as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)  # a full disk fails here, and not when the mapping is read
            for source, offset in zip(sources, offsets, strict=True):
                checksum = _copy(source, file.fileno(), offset)
                frame = _FRAME.pack(_MAGIC, _VERSION, source.object_id, source.length_bytes, checksum)
                _write_all(file.fileno(), frame, offset - ALIGNMENT_BYTES)
            fd = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        self.used_bytes += size_bytes
        return SpillFile(size_bytes, offsets, fd, self)


def _copy(source: SpillSource, target: int, offset: int) -> int:
    """Copy an object's bytes and return their checksum."""
    checksum = 0
    for start, piece in _pieces(source.fd, source.offset, source.length_bytes):
        checksum = zlib.crc32(piece, checksum)
        _write_all(target, piece, offset + start)
    return checksum


def _pieces(fd: int, offset: int, length_bytes: int) -> Iterator[tuple[int, memoryview]]:
    """Yield the start and the content of each piece of some bytes. All pieces share one buffer, which stays cached.

    Raises:
        OSError: the file can't be read, or has ended.
    """
    buffer = memoryview(bytearray(min(_COPY_BYTES, length_bytes)))
    for start in range(0, length_bytes, _COPY_BYTES):
        wanted = buffer[: min(_COPY_BYTES, length_bytes - start)]
        if os.preadv(fd, [wanted], offset + start) != len(wanted):
            raise OSError(errno.EIO, "it ends before its objects do")
        yield start, wanted


def _write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    while data:
        written_bytes = os.pwrite(fd, data, offset)
        data, offset = data[written_bytes:], offset + written_bytes


def verify(fd: int, object_id: ObjectId, place: Place) -> str:
    """Compare an object's bytes on disk with its frame; close the descriptor.

    Returns:
        What is wrong with the bytes; empty if nothing is.
    """
    try:
        frame = os.pread(fd, _FRAME.size, place.offset - ALIGNMENT_BYTES)
        if len(frame) < _FRAME.size or _FRAME.unpack(frame)[:4] != (_MAGIC, _VERSION, object_id, place.length_bytes):
            return f"has no frame for it at {place.offset}"
        checksum = 0
        for _, piece in _pieces(fd, place.offset, place.length_bytes):
            checksum = zlib.crc32(piece, checksum)
        return "" if checksum == _FRAME.unpack(frame)[4] else f"does not match the checksum of {short(object_id)}"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    finally:
        os.close(fd)
