"""The files of a simulated machine, in memory. They outlive every process of it. The disk may be full for a while."""

from __future__ import annotations

from errno import ENOENT, ENOSPC, ENOTDIR
from os import strerror


class SimulatedDisk:
    """One machine's files, by path. What is not synced is there, but a loss of power would take it.

    Attributes:
        is_full: whether nothing can be made or written. What is there can be read, renamed and removed.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._directories: set[str] = set()
        self._files: dict[str, bytearray] = {}

    def make_directory(self, path: str) -> None:
        if path in self._files:
            raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR), path)
        if path not in self._directories:
            self.check_room(path)
            self._directories.add(path)

    def names(self, directory: str) -> list[str]:
        return [path.rpartition("/")[2] for path in self._files if path.rpartition("/")[0] == directory]

    def create(self, path: str) -> SimulatedFile:
        if path.rpartition("/")[0] not in self._directories:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), path)
        self.check_room(path)
        data = self._files[path] = bytearray()
        return SimulatedFile(self, path, data)

    def check_room(self, path: str) -> None:
        """Raise OSError if the disk is full."""
        if self.is_full:
            raise OSError(ENOSPC, strerror(ENOSPC), path)

    def read(self, path: str) -> bytearray:
        return bytearray(self._file(path))

    def rename(self, path: str, new_path: str) -> None:
        data = self._file(path)
        del self._files[path]
        self._files[new_path] = data

    def remove(self, path: str) -> None:
        self._files.pop(path, None)

    def sync_directory(self, directory: str) -> None:
        if directory not in self._directories:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), directory)

    def _file(self, path: str) -> bytearray:
        if path not in self._files:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), path)
        return self._files[path]


class SimulatedFile:
    """A file that is being written.

    Args:
        disk, path: where it is.
        data: its data, which grows.
    """

    def __init__(self, disk: SimulatedDisk, path: str, data: bytearray) -> None:
        self._disk = disk
        self._path = path
        self._data = data

    def write(self, data: bytes | memoryview, /) -> int:
        self._disk.check_room(self._path)
        self._data += data
        return len(data)

    def sync(self) -> None:
        """Raise OSError if the disk is full, as delayed allocation has it; memory loses nothing."""
        self._disk.check_room(self._path)

    def close(self) -> None:
        """Do nothing: nothing is open."""
