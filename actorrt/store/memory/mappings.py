"""The segments that a process has mapped, and pins, which keep objects in place while they are in view."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from actorrt.config import MIB
from actorrt.ids import ObjectId

_WARM_BYTES: Final = 1 * MIB
_MADV_POPULATE_WRITE: Final = 23  # Linux 5.14; not in mmap's constants

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Mapping(mmap.mmap):
    """One mapped segment. It keeps a descriptor, with which parts of the segment can be mapped privately."""

    descriptor = -1

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _map(fd: int, size_bytes: int, *, writable: bool) -> Mapping:
    prot = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
    mapped = Mapping(fd, size_bytes, flags=mmap.MAP_SHARED, prot=prot)
    if not writable:
        mapped.descriptor = os.dup(fd)
    return mapped


class SegmentMaps:
    """The segments that one client has mapped, for reading, writing, or both.

    Thread-safe. A mapping lasts until it is forgotten here *and* its last view is gone.
    """

    def __init__(self) -> None:
        self._maps: dict[tuple[int, bool], Mapping] = {}
        self._warm: dict[int, bytearray] = {}
        self._lock = threading.Lock()

    def add(self, segment_id: int, fd: int, *, writable: bool) -> None:
        """Map a segment and close its descriptor; a writer maps it for reading too."""
        try:
            size_bytes = os.fstat(fd).st_size
            with self._lock:
                for may_write in (False, True) if writable else (False,):
                    if (segment_id, may_write) not in self._maps:
                        self._maps[segment_id, may_write] = _map(fd, size_bytes, writable=may_write)
                if writable:
                    self._warm.setdefault(segment_id, bytearray(-(-size_bytes // _WARM_BYTES)))
        finally:
            os.close(fd)

    def has(self, segment_id: int) -> bool:
        """Whether a segment is mapped for reading."""
        with self._lock:
            return (segment_id, False) in self._maps

    def view(
        self, segment_id: int, offset: int, length_bytes: int, *, writable: bool, is_warmed: bool = True
    ) -> memoryview:
        """Return the bytes of a range of a mapped segment; a range that will be written is warmed first."""
        with self._lock:
            mapped = self._maps[segment_id, writable]
        if writable and is_warmed:
            self.warm(segment_id, offset, length_bytes)
        return memoryview(mapped)[offset : offset + length_bytes]

    def warm(self, segment_id: int, offset: int, length_bytes: int) -> None:
        """Fault in the pages of a range in few calls: one by one, page faults cost more than the copy."""
        first, last = offset // _WARM_BYTES, (offset + length_bytes - 1) // _WARM_BYTES + 1
        with self._lock:
            mapped, warm = self._maps.get((segment_id, True)), self._warm.get(segment_id)
            if mapped is None or warm is None or 0 not in warm[first:last]:
                return
            cold = [chunk for chunk in range(first, min(len(warm), last)) if not warm[chunk]]
        for start, end in _runs(cold):
            _populate(mapped, start * _WARM_BYTES, min(len(mapped), end * _WARM_BYTES))
            warm[start:end] = bytes([1]) * (end - start)

    def size_bytes(self, segment_id: int) -> int:
        """Return the length of a segment that is mapped for writing, else 0."""
        with self._lock:
            mapped = self._maps.get((segment_id, True))
            return 0 if mapped is None else len(mapped)

    def forget(self, segment_ids: list[int]) -> None:
        """Unmap segments that the daemon dropped, each when its last view is gone."""
        with self._lock:
            for segment_id in segment_ids:
                self._maps.pop((segment_id, False), None)
                self._maps.pop((segment_id, True), None)
                self._warm.pop(segment_id, None)

    def clear(self) -> None:
        """Forget every segment. Idempotent."""
        with self._lock:
            self._maps.clear()
            self._warm.clear()

    def __len__(self) -> int:
        return len(self._maps)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of consecutive numbers in a sorted list."""
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield run[0], run[-1] + 1


def _populate(mapped: mmap.mmap, start: int, end: int) -> None:
    populate(memoryview(mapped)[start:end])


def populate(view: memoryview) -> None:
    """Fault in the pages of bytes that will be written, without the interpreter lock, which `mmap.madvise` holds."""
    from actorrt.store.memory.addresses import address

    start = address(view)
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    # A hint: if the kernel does not know it, or is short of memory, the write causes the faults.
    _madvise(first, start + view.nbytes - first, _MADV_POPULATE_WRITE)


class Pin:
    """Calls back when the last view of an object is gone."""

    __slots__ = ("_on_unpinned", "object_id")

    def __init__(self, object_id: ObjectId, on_unpinned: Callable[[], None]) -> None:
        self.object_id = object_id
        self._on_unpinned = on_unpinned

    def __del__(self) -> None:
        self._on_unpinned()
