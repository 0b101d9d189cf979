"""Snapshots as files, which outlive the node of their actor.

A directory holds the newest `KEPT_COUNT` of each named actor. A file is written under another name, synced and renamed,
so that a crash at any moment leaves the earlier file; a checksum at the end tells whether a file is complete. A file is
a pickle: a user who can write to the directory can make an actor run code, so the directory must be the user's own.
"""

from __future__ import annotations

import copy
import pickle
import zlib
from typing import Any, Final
from urllib.parse import quote

from actorrt.machine.disk import Disk, NewFile

KEPT_COUNT: Final = 2
SUFFIX: Final = ".snapshot"
_CHECKSUM_BYTES: Final = 4
_NUMBER_DIGITS: Final = 12


def find(disk: Disk, directory: str, namespace: str, name: str) -> list[str]:
    """Return the paths of an actor's files, newest first. Copies under other names are left out."""
    prefix = _prefix(namespace, name)
    found = [(_number_of(file, prefix), f"{directory}/{file}") for file in disk.names(directory)]
    return [path for number, path in sorted(found, reverse=True) if number]


def save(disk: Disk, directory: str, namespace: str, name: str, state: Any) -> str:
    """Write a state, and remove the files that are no longer kept; the state is on disk when this returns.

    Raises:
        OSError: the directory can't be written to, or the disk is full; the earlier files are still there.
        Exception: whatever pickling the state raises.
    """
    disk.make_directory(directory)
    known = find(disk, directory, namespace, name)
    prefix = _prefix(namespace, name)
    number = _number_of(known[0].rpartition("/")[2], prefix) + 1 if known else 1
    path = f"{directory}/{prefix}{number:0{_NUMBER_DIGITS}d}{SUFFIX}"
    partial = path.removesuffix(SUFFIX) + ".partial"
    try:
        file = disk.create(partial)
        try:
            sink = _Summing(file)
            pickle.Pickler(sink, protocol=5).dump(state)
            file.write(sink.checksum.to_bytes(_CHECKSUM_BYTES, "little"))
            file.sync()
        finally:
            file.close()
        disk.rename(partial, path)
    except BaseException:
        disk.remove(partial)
        raise
    disk.sync_directory(directory)
    for old in known[KEPT_COUNT - 1 :]:
        disk.remove(old)
    return path


def load(disk: Disk, path: str) -> Any:
    """Return the state that a file holds, its arrays writable.

    Raises:
        ValueError: the file is not complete.
        OSError: it can't be read.
        Exception: whatever unpickling raises.
    """
    data = disk.read(path)
    checksum = int.from_bytes(data[-_CHECKSUM_BYTES:], "little")
    body = memoryview(data)[:-_CHECKSUM_BYTES]
    if len(data) <= _CHECKSUM_BYTES or zlib.crc32(body) != checksum:
        raise ValueError(f"{path} is no whole snapshot: its checksum does not fit")
    return copy.deepcopy(pickle.loads(body))  # arrays are views of the pickle until then, and read-only


def _prefix(namespace: str, name: str) -> str:
    """Return how the names of an actor's files begin, and no other actor's do."""
    return "".join(f"{quote(part, safe='').replace('.', '%2E')}." for part in (namespace, name))


def _number_of(file: str, prefix: str) -> int:
    """Return the number of a file that `save` wrote, counted from 1; 0 for a file of any other name."""
    number = file.removeprefix(prefix).removesuffix(SUFFIX)
    is_saved = file == f"{prefix}{number}{SUFFIX}" and len(number) == _NUMBER_DIGITS
    return int(number) if is_saved and number.isascii() and number.isdigit() else 0


class _Summing:
    """A file for writing that computes the checksum of its data."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self.checksum = 0

    def write(self, data: Any) -> int:
        self.checksum = zlib.crc32(data, self.checksum)
        return self._file.write(data)
