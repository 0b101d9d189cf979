"""Pure: allocates ranges within one segment.

Offsets and lengths are multiples of `ALIGNMENT_BYTES`. Allocation is best fit, and among equal ranges the one with the
lowest offset, so that memory which was used last and is warm is reused. Free neighbours are merged at once.

Invariant: free and allocated ranges together tile the segment, and no two free ranges touch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Final

ALIGNMENT_BYTES: Final = 64


def align(length_bytes: int) -> int:
    """Round a length up to whole units of the arena, at least one."""
    return -(-length_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES or ALIGNMENT_BYTES


class Arena:
    """The ranges of one segment.

    Args:
        size_bytes: the segment's length, a multiple of the alignment.
    """

    def __init__(self, size_bytes: int) -> None:
        if size_bytes <= 0 or size_bytes % ALIGNMENT_BYTES:
            raise ValueError(f"an arena's size must be a positive multiple of {ALIGNMENT_BYTES}, not {size_bytes}")
        self.size_bytes = size_bytes
        self._used: dict[int, int] = {}
        self._free: dict[int, int] = {0: size_bytes}
        self._free_offsets = [0]
        self._free_by_length = [(size_bytes, 0)]
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Bytes allocated, rounding included."""
        return self._used_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing is allocated."""
        return not self._used

    def ranges(self) -> list[tuple[int, int]]:
        """Return the allocated ranges as (offset, length), in order of offset."""
        return sorted(self._used.items())

    def best_fit(self, length_bytes: int) -> int | None:
        """Return the length of the smallest free range that holds `length_bytes`, or None if none does."""
        index = bisect_left(self._free_by_length, (align(length_bytes), 0))
        return self._free_by_length[index][0] if index < len(self._free_by_length) else None

    def longest_free_bytes(self) -> int:
        """Return the length of the longest free range."""
        return self._free_by_length[-1][0] if self._free_by_length else 0

    def allocate(self, length_bytes: int) -> int | None:
        """Take a range and return its offset, or None if no free range is long enough."""
        need = align(length_bytes)
        index = bisect_left(self._free_by_length, (need, 0))
        if index == len(self._free_by_length):
            return None
        length, offset = self._free_by_length[index]
        self._remove_free(offset)
        if length > need:
            self._add_free(offset + need, length - need)
        self._used[offset] = need
        self._used_bytes += need
        return offset

    def free(self, offset: int) -> None:
        """Free the range at `offset`.

        Raises:
            KeyError: nothing is allocated there; the arena is as before.
        """
        length = self._used.pop(offset)
        self._used_bytes -= length
        index = bisect_left(self._free_offsets, offset)
        after = offset + length
        if after in self._free:
            length += self._remove_free(after)
        before = self._free_offsets[index - 1] if index else None
        if before is not None and before + self._free[before] == offset:
            length += self._remove_free(before)
            offset = before
        self._add_free(offset, length)

    def split(self, offset: int, length_bytes: int) -> None:
        """Split the allocated range at `offset` in two, the first of `length_bytes` rounded up.

        Raises:
            KeyError, ValueError: nothing is allocated there, or the range is not longer; the arena is as before.
        """
        first, whole = align(length_bytes), self._used[offset]
        if first >= whole:
            raise ValueError(f"a range of {whole} bytes can't be split after {first}")
        self._used[offset] = first
        self._used[offset + first] = whole - first

    def check_invariants(self) -> None:
        """Raise AssertionError unless the ranges tile the segment; for tests."""
        ranges = sorted([*self._used.items(), *self._free.items()])
        ends = [offset + length for offset, length in ranges]
        assert [offset for offset, _ in ranges] == [0, *ends[:-1]], f"ranges overlap or leave gaps: {self}"
        assert ends[-1] == self.size_bytes, f"ranges end at {ends[-1]}: {self}"
        assert not any(end in self._free for end in map(sum, self._free.items())), f"free neighbours: {self}"
        assert self._free_offsets == sorted(self._free), f"offsets of free ranges: {self._free_offsets}: {self}"
        by_length = sorted((length, offset) for offset, length in self._free.items())
        assert self._free_by_length == by_length, f"free ranges by length: {self._free_by_length}: {self}"
        assert self._used_bytes == sum(self._used.values()), f"{self._used_bytes} bytes in use: {self}"

    def __repr__(self) -> str:
        return f"an arena of {self.size_bytes} bytes: allocated {self._used}, free {self._free}"

    def _add_free(self, offset: int, length: int) -> None:
        self._free[offset] = length
        insort(self._free_offsets, offset)
        insort(self._free_by_length, (length, offset))

    def _remove_free(self, offset: int) -> int:
        del self._free_offsets[bisect_left(self._free_offsets, offset)]
        length = self._free.pop(offset)
        del self._free_by_length[bisect_left(self._free_by_length, (length, offset))]
        return length
