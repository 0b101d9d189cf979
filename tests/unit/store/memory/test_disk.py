"""Spill files: their bytes, their checksums, and the bounds of a disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from actorrt.ids import ObjectId
from actorrt.store.memory.disk import SpillDisk, SpillError, SpillSource, spill_sources, verify
from actorrt.store.memory.pool import Place
from actorrt.store.memory.segments import Segment

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)
OBJECTS = [(X, Place(1, 0, 100)), (Y, Place(1, 128, 3000))]
CONTENTS = {X: b"x" * 100, Y: bytes(range(250)) * 12}


@pytest.fixture
def segment() -> Iterator[Segment]:
    segment = Segment(1, 4096)
    for object_id, place in OBJECTS:
        os.pwrite(segment.fd(writable=True), CONTENTS[object_id], place.offset)
    yield segment
    segment.close()


@pytest.fixture
def sources(segment: Segment) -> list[SpillSource]:
    return spill_sources(OBJECTS, {1: segment})


def test_objects_are_written_with_checksums_and_read_at_their_offsets(
    tmp_path: Path, sources: list[SpillSource]
) -> None:
    disk = SpillDisk(str(tmp_path), 1 << 20)
    file = disk.write(sources)
    for (object_id, place), offset in zip(OBJECTS, file.offsets, strict=True):
        fd = os.dup(file.fd(writable=False))
        assert os.pread(fd, place.length_bytes, offset) == CONTENTS[object_id]
        assert verify(fd, object_id, Place(9, offset, place.length_bytes)) == ""
    assert list(tmp_path.iterdir()) == []
    assert disk.used_bytes == file.size_bytes
    file.close()
    file.close()
    assert disk.used_bytes == 0


def test_the_descriptors_of_the_sources_are_closed(tmp_path: Path, sources: list[SpillSource]) -> None:
    SpillDisk(str(tmp_path), 1 << 20).write(sources).close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sources[0].fd)


def test_bytes_that_changed_on_disk_are_found(tmp_path: Path, sources: list[SpillSource]) -> None:
    file = SpillDisk(str(tmp_path), 1 << 20).write(sources)
    copy = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    os.pwrite(copy, os.pread(file.fd(writable=False), file.size_bytes, 0), 0)
    os.pwrite(copy, b"?", file.offsets[1] + 2999)
    first, second = (
        verify(os.dup(copy), object_id, Place(9, offset, place.length_bytes))
        for (object_id, place), offset in zip(OBJECTS, file.offsets, strict=True)
    )
    assert (first, second) == ("", "does not match the checksum of 79797979")
    assert verify(os.dup(copy), Y, Place(9, file.offsets[0], 100)) == "has no frame for it at 64"
    os.truncate(copy, file.offsets[1] + 100)
    cut = verify(copy, Y, Place(9, file.offsets[1], 3000))
    assert cut == "can't be read: it ends before its objects do"
    file.close()


def test_a_quota_is_never_exceeded(tmp_path: Path, sources: list[SpillSource]) -> None:
    disk = SpillDisk(str(tmp_path), 1000)
    with pytest.raises(SpillError, match="0 of 0 MiB of the spill quota are used"):
        disk.write(sources)
    assert disk.used_bytes == 0


def test_a_disk_that_fails_leaves_nothing(
    tmp_path: Path, sources: list[SpillSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    disk = SpillDisk(str(tmp_path), 1 << 20)
    with monkeypatch.context() as patch:
        patch.setattr("actorrt.store.memory.disk.os.posix_fallocate", refuse)
        with pytest.raises(SpillError, match=rf"writing 0\.0 MiB to {tmp_path} failed: No space left on device"):
            disk.write(sources)
    assert disk.used_bytes == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sources[0].fd)
