"""Disks that callers pass in, for files that must outlive a crash: the machine's, or one of a simulation.

A disk may lose what was not synced: the data of a file until its `sync`, and names until `sync_directory`.
"""

from __future__ import annotations

import os
from typing import IO, Protocol


class NewFile(Protocol):
    """A file that is being written."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Append data; return its length in bytes."""

    def sync(self) -> None:
        """Return when the data is on disk."""

    def close(self) -> None:
        """Close the file. Data that was not synced may be lost. Idempotent."""


class Disk(Protocol):
    """The files of a machine. Each method raises OSError if the disk is full, fails or has no such file."""

    def make_directory(self, path: str) -> None:
        """Make a directory for this user, and those above it, unless it exists; their names are on disk then."""

    def names(self, directory: str) -> list[str]:
        """Return the names of the files in a directory; none if there is no such directory to read."""

    def create(self, path: str) -> NewFile:
        """Begin a file for this user; a file of that name is emptied."""

    def read(self, path: str) -> bytearray:
        """Return the data of a file."""

    def rename(self, path: str, new_path: str) -> None:
        """Rename a file; one of the new name is replaced, at once for every reader."""

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""

    def sync_directory(self, directory: str) -> None:
        """Return when the names of the files in a directory are on disk."""


class OsFile:
    """A new file of this machine.

    Args:
        path: its path.
    """

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file: IO[bytes] = open(fd, "wb")  # noqa: SIM115 - `close` closes it
        self.write, self.close = self._file.write, self._file.close

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


class OsDisk:
    """The file systems of this machine."""

    def make_directory(self, path: str) -> None:
        if os.path.isdir(path):
            return
        above = os.path.dirname(path.rstrip("/")) or "."
        self.make_directory(above)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        self.sync_directory(above)

    def names(self, directory: str) -> list[str]:
        try:
            return os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []

    def create(self, path: str) -> NewFile:
        return OsFile(path)

    def read(self, path: str) -> bytearray:
        with open(path, "rb") as file:
            data = bytearray(os.fstat(file.fileno()).st_size)
            del data[file.readinto(data) :]
            return data

    def rename(self, path: str, new_path: str) -> None:
        os.rename(path, new_path)

    def remove(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def sync_directory(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
