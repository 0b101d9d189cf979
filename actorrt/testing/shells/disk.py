"""The files of a simulated machine, in memory: they outlive every process of it, and lie as a real disk does.

A process that dies loses nothing, since the machine has what was written. A machine that loses its power (`lose_power`)
loses what was not synced: of the data of a file any part behind what was synced, and any of the names that were made,
replaced or removed since their directory was synced. A full or failing disk may have taken a part of what a write was
to write.
"""

from __future__ import annotations

from errno import EIO, ENOENT, ENOSPC, ENOTDIR
from os import strerror
from typing import Final

from actorrt.testing.shells.chance import Chance

_FAILING_SHARE: Final = 0.5


class StoredFile:
    """The data of a file, under whatever name.

    Attributes:
        data: what readers see.
        synced_bytes: how many of these bytes are on disk for certain.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced_bytes = 0


class SimulatedDisk:
    """One machine's files, by path.

    Args:
        chance: says how much of a write a full or failing disk takes, which calls fail while it is failing, and what is
            lost without power.

    Attributes:
        is_full: whether nothing can be made or written. What is there can be read, renamed and removed.
        is_failing: whether each read and each write may fail with EIO.
    """

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.is_full = False
        self.is_failing = False
        self._directories: set[str] = set()
        self._files: dict[str, StoredFile] = {}
        self._synced_files: dict[str, StoredFile] = {}  # what each name on disk stands for

    def make_directory(self, path: str) -> None:
        if path in self._files:
            raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR), path)
        if path not in self._directories:
            self.check(path)
            self._directories.add(path)

    def names(self, directory: str) -> list[str]:
        return [path.rpartition("/")[2] for path in self._files if path.rpartition("/")[0] == directory]

    def create(self, path: str) -> SimulatedFile:
        if path.rpartition("/")[0] not in self._directories:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), path)
        self.check(path)
        file = self._files[path] = StoredFile()
        return SimulatedFile(self, path, file)

    def check(self, path: str) -> None:
        """Called before something is written; raise OSError if the disk is full, or fails now."""
        if self.is_full:
            raise OSError(ENOSPC, strerror(ENOSPC), path)
        self.check_health(path)

    def check_health(self, path: str) -> None:
        """Called before something is read; raise OSError if the disk fails now."""
        if self.is_failing and self.chance.random() < _FAILING_SHARE:
            raise OSError(EIO, strerror(EIO), path)

    def read(self, path: str) -> bytearray:
        file = self._file(path)
        self.check_health(path)
        return bytearray(file.data)

    def rename(self, path: str, new_path: str) -> None:
        file = self._file(path)
        del self._files[path]
        self._files[new_path] = file

    def remove(self, path: str) -> None:
        self._files.pop(path, None)

    def sync_directory(self, directory: str) -> None:
        if directory not in self._directories:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), directory)
        self.check_health(directory)
        for path in self._paths():
            if path.rpartition("/")[0] == directory:
                self._sync_name(path)

    def lose_power(self) -> None:
        """Lose what was not synced, as far as chance wants it. Files that were being written are closed."""
        for path in self._paths():
            if self._files.get(path) is not self._synced_files.get(path) and self.chance.random() < 0.5:
                self._sync_name(path)
        self._files = dict(self._synced_files)
        for file in {id(file): file for file in self._files.values()}.values():
            left = file.synced_bytes + int((len(file.data) - file.synced_bytes + 1) * self.chance.random())
            del file.data[left:]
            file.synced_bytes = left

    def _paths(self) -> list[str]:
        """Return every path that is on disk or visible, in the order in which they were made."""
        return list({**self._synced_files, **self._files})

    def _sync_name(self, path: str) -> None:
        file = self._files.get(path)
        if file is None:
            self._synced_files.pop(path, None)
        else:
            self._synced_files[path] = file

    def _file(self, path: str) -> StoredFile:
        if path not in self._files:
            raise FileNotFoundError(ENOENT, strerror(ENOENT), path)
        return self._files[path]


class SimulatedFile:
    """A file that is being written.

    Args:
        disk, path: where it is.
        file: its data, which grows.
    """

    def __init__(self, disk: SimulatedDisk, path: str, file: StoredFile) -> None:
        self._disk = disk
        self._path = path
        self._file = file

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            self._disk.check(self._path)
        except OSError:
            self._file.data += data[: int(len(data) * self._disk.chance.random())]
            raise
        self._file.data += data
        return len(data)

    def sync(self) -> None:
        """Raise OSError if the disk is full, as delayed allocation has it, or fails."""
        self._disk.check(self._path)
        self._file.synced_bytes = len(self._file.data)

    def close(self) -> None:
        """Do nothing: nothing is open."""
