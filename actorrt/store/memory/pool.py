"""Pure: decides which segment an object is allocated in, and when segments are made and dropped.

A connection writes into segments of its own as long as memory allows: their pages are warm for it, and a faulty writer
damages only its own objects. The bytes of all segments, including those being made, never exceed the capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from actorrt.config import MIB, SEGMENT_BYTES
from actorrt.store.memory.arena import Arena

_PAGE_BYTES = 4096
_MIN_SEGMENT_BYTES = 1 * MIB
_SEGMENTS_WANTED_COUNT = 16
_PACKED_COUNT = 8  # a segment with at least this many objects wastes little memory at its end

SHARED: Final = -1
"""The owner of the segments that loans are allocated in. Loans share segments, so idle borrowers cost little."""


@dataclass(frozen=True, slots=True)
class Place:
    """The range of an object in a segment or in a spill file."""

    segment_id: int
    offset: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory that can be made available: drop the segments `give_up`, then make one of `make_bytes`."""

    segment_id: int
    make_bytes: int
    give_up: tuple[int, ...]


@dataclass(slots=True)
class _PoolSegment:
    segment_id: int
    arena: Arena
    owner: int | None
    is_made: bool = False
    was_used: bool = True
    """Whether memory was allocated in it since the last `trim`."""


class Pool:
    """The segments of one store.

    Args:
        capacity_bytes: the bound on the bytes of all segments.
        segment_bytes: the length of a segment that is not made for one large object; the default allows a small store
            several.
    """

    def __init__(self, capacity_bytes: int, segment_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes // _PAGE_BYTES * _PAGE_BYTES
        if self.capacity_bytes <= 0:
            raise ValueError(f"a store needs at least a page of {_PAGE_BYTES} bytes, not {capacity_bytes}")
        share = self.capacity_bytes // _SEGMENTS_WANTED_COUNT // _PAGE_BYTES * _PAGE_BYTES
        wanted = segment_bytes or min(SEGMENT_BYTES, max(_MIN_SEGMENT_BYTES, share))
        self._segment_bytes = min(wanted, self.capacity_bytes)
        self._segments: dict[int, _PoolSegment] = {}
        self._last_segment_id = 0
        self._reserved_bytes = 0

    @property
    def reserved_bytes(self) -> int:
        """The bytes of all segments, including those being made."""
        return self._reserved_bytes

    @property
    def used_bytes(self) -> int:
        """The bytes that objects take up, including rounding."""
        return sum(segment.arena.used_bytes for segment in self._segments.values())

    @property
    def segments_count(self) -> int:
        return len(self._segments)

    def allocate(self, length_bytes: int, owner: int) -> Place | Growth | None:
        """Allocate memory for an object.

        Returns:
            The place; or the growth that is needed first, to be carried out with `begin` and `finish` and followed by
            another `allocate`; or None if there is no room.
        """
        mine = (s for s in self._made() if s.owner == owner)
        idle = (s for s in self._made() if s.owner is None)
        return (
            self._allocate_in(mine, length_bytes, owner)
            or self._allocate_in(idle, length_bytes, owner)
            or self._growth(length_bytes, ())
            or self._allocate_in(self._made(), length_bytes, None)
            or self._growth(length_bytes, [s for s in self._made() if s.arena.is_empty])
        )

    def lend(self, length_bytes: int) -> Place | Growth | None:
        """Allocate memory for a loan, as `allocate` does for an object, but take nothing from others."""
        shared = (s for s in self._made() if s.owner == SHARED)
        idle = (s for s in self._made() if s.owner is None)
        return (
            self._allocate_in(shared, length_bytes, SHARED)
            or self._allocate_in(idle, length_bytes, SHARED)
            or (None if self._is_short(self._segment_bytes) else self._growth(length_bytes, ()))
        )

    def split(self, place: Place) -> None:
        """Split an allocated range; `place` is its first part."""
        self._segments[place.segment_id].arena.split(place.offset, place.length_bytes)

    def next_for(self, owner: int, length_bytes: int) -> Growth | None:
        """Plan a segment for the owner's next object of this length; None if it has room, or memory is short."""
        theirs = (s for s in self._segments.values() if s.owner in (owner, None))
        if any(s.arena.best_fit(length_bytes) is not None for s in theirs):
            return None
        return None if self._is_short(max(length_bytes, self._segment_bytes)) else self._growth(length_bytes, ())

    def _is_short(self, more_bytes: int) -> bool:
        return 2 * (self._reserved_bytes + more_bytes) > self.capacity_bytes

    def _made(self) -> Iterator[_PoolSegment]:
        return (segment for segment in self._segments.values() if segment.is_made)

    def _allocate_in(self, segments: Iterable[_PoolSegment], length_bytes: int, owner: int | None) -> Place | None:
        fits = [(fit, s.segment_id) for s in segments if (fit := s.arena.best_fit(length_bytes)) is not None]
        if not fits:
            return None
        segment = self._segments[min(fits)[1]]
        offset = segment.arena.allocate(length_bytes)
        assert offset is not None, "best_fit found room"
        segment.was_used = True
        if owner is not None:
            segment.owner = owner
        return Place(segment.segment_id, offset, length_bytes)

    def _growth(self, length_bytes: int, candidates: Iterable[_PoolSegment]) -> Growth | None:
        """Plan a segment of this length, and drop as few empty segments as possible for it, the largest first."""
        rounded = -(-max(1, length_bytes) // _PAGE_BYTES) * _PAGE_BYTES
        room = self.capacity_bytes - self._reserved_bytes
        give_up = []
        for segment in sorted(candidates, key=lambda s: -s.arena.size_bytes):
            if room >= rounded:
                break
            give_up.append(segment.segment_id)
            room += segment.arena.size_bytes
        if room < rounded:
            return None
        make_bytes = min(room, self._packed(rounded))
        return Growth(self._last_segment_id + 1, make_bytes, tuple(give_up))

    def _packed(self, length_bytes: int) -> int:
        """Return the length of a segment for objects of this length, without a remainder that they can't use."""
        fitting_count = self._segment_bytes // length_bytes
        if fitting_count == 0:
            return length_bytes
        return fitting_count * length_bytes if fitting_count < _PACKED_COUNT else self._segment_bytes

    def spare(self) -> Growth | None:
        """Plan a segment ahead of need; None if there is an unused one, or memory is short."""
        has_one = any(s.owner is None and s.arena.is_empty for s in self._segments.values())
        return None if has_one or self._is_short(self._segment_bytes) else self._growth(self._segment_bytes, ())

    def has_room(self, length_bytes: int) -> bool:
        """Whether `allocate` would return a place or a growth, for any owner."""
        if any(s.arena.best_fit(length_bytes) is not None for s in self._made()):
            return True
        return self._growth(length_bytes, [s for s in self._made() if s.arena.is_empty]) is not None

    def longest_free_bytes(self) -> int:
        """Return the length of the longest object that would fit now."""
        unmade = self.capacity_bytes - self._reserved_bytes
        empty = sum(s.arena.size_bytes for s in self._made() if s.arena.is_empty)
        return max([unmade + empty, *(s.arena.longest_free_bytes() for s in self._made())])

    def begin(self, growth: Growth, owner: int | None) -> None:
        """Drop the growth's empty segments and reserve the bytes of the new one."""
        for segment_id in growth.give_up:
            self._remove(segment_id)
        self._last_segment_id = growth.segment_id
        self._reserved_bytes += growth.make_bytes
        self._segments[growth.segment_id] = _PoolSegment(growth.segment_id, Arena(growth.make_bytes), owner)

    def new_segment_id(self) -> int:
        """Return an id that no segment has or will have."""
        self._last_segment_id += 1
        return self._last_segment_id

    def finish(self, segment_id: int, *, is_made: bool) -> None:
        """Use the new segment from now on, or forget it if it could not be made."""
        if is_made:
            self._segments[segment_id].is_made = True
        else:
            self._remove(segment_id)

    def _remove(self, segment_id: int) -> None:
        self._reserved_bytes -= self._segments.pop(segment_id).arena.size_bytes

    def free(self, place: Place) -> None:
        """Free an object's bytes."""
        self._segments[place.segment_id].arena.free(place.offset)

    def check_invariants(self) -> None:
        """Raise AssertionError unless the segments and their bytes agree; for tests."""
        for segment in self._segments.values():
            segment.arena.check_invariants()
        sizes = {number: segment.arena.size_bytes for number, segment in self._segments.items()}
        assert self._reserved_bytes == sum(sizes.values()), f"{self._reserved_bytes} bytes are counted for {sizes}"
        assert self._reserved_bytes <= self.capacity_bytes, f"{sizes} are more than {self.capacity_bytes} bytes"

    def disown(self, owner: int) -> list[int]:
        """Let others use the segments of a connection that ended; drop and return the idle segments but one."""
        for segment in self._segments.values():
            if segment.owner == owner:
                segment.owner = None
        return self._drop_idle()

    def trim(self) -> list[int]:
        """Disown empty segments that were not used since the last trim; then drop idle segments as `disown` does."""
        for segment in self._made():
            if segment.arena.is_empty and not segment.was_used:
                segment.owner = None
            segment.was_used = False
        return self._drop_idle()

    def _drop_idle(self) -> list[int]:
        idle = [s for s in self._made() if s.owner in (None, SHARED) and s.arena.is_empty]
        kept = next((s for s in idle if s.arena.size_bytes == self._segment_bytes), None)
        given_up = [s.segment_id for s in idle if s is not kept]
        for segment_id in given_up:
            self._remove(segment_id)
        return given_up
