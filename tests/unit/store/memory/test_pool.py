"""The segment that an object is allocated in, and the segments that are dropped for it."""

from __future__ import annotations

from actorrt.config import MIB
from actorrt.store.memory.pool import Growth, Place, Pool

A, B = 1, 2


def grow(pool: Pool, length_bytes: int, owner: int) -> Growth:
    growth = pool.allocate(length_bytes, owner)
    assert isinstance(growth, Growth)
    pool.begin(growth, owner)
    pool.finish(growth.segment_id, is_made=True)
    return growth


def place(pool: Pool, length_bytes: int, owner: int) -> Place:
    found = pool.allocate(length_bytes, owner)
    assert isinstance(found, Place)
    return found


def test_the_first_object_needs_a_segment_of_a_share_of_the_capacity() -> None:
    assert Pool(64 * MIB).allocate(100, A) == Growth(1, 4 * MIB, ())


def test_an_object_larger_than_a_segment_gets_one_of_its_own_size_in_whole_pages() -> None:
    assert Pool(64 * MIB).allocate(10 * MIB + 1, A) == Growth(1, 10 * MIB + 4096, ())


def test_writers_get_segments_of_their_own_while_there_is_memory() -> None:
    pool = Pool(64 * MIB)
    first = grow(pool, 100, A)
    assert isinstance(pool.allocate(100, B), Growth)
    assert place(pool, 100, A).segment_id == first.segment_id


def test_writers_share_segments_when_memory_is_reserved() -> None:
    pool = Pool(1 * MIB)
    grow(pool, 100, A)
    assert place(pool, 100, B).segment_id == place(pool, 100, A).segment_id


def test_empty_segments_are_dropped_for_a_larger_object() -> None:
    pool = Pool(64 * MIB)
    small = grow(pool, 100, A)
    assert pool.allocate(62 * MIB, B) == Growth(2, 62 * MIB, (small.segment_id,))


def test_segments_that_hold_objects_are_not_dropped() -> None:
    pool = Pool(64 * MIB)
    grow(pool, 100, A)
    held = place(pool, 100, A)
    assert pool.allocate(62 * MIB, B) is None
    assert not pool.has_room(62 * MIB)
    pool.free(held)
    assert pool.has_room(62 * MIB)


def test_an_object_larger_than_the_capacity_has_no_room() -> None:
    assert Pool(1 * MIB).allocate(1 * MIB + 1, A) is None


def test_a_segment_that_could_not_be_made_leaves_its_bytes() -> None:
    pool = Pool(64 * MIB)
    growth = pool.allocate(64 * MIB, A)
    assert isinstance(growth, Growth)
    pool.begin(growth, A)
    assert pool.reserved_bytes == 64 * MIB
    pool.finish(growth.segment_id, is_made=False)
    assert pool.reserved_bytes == 0


def test_the_end_of_an_owner_keeps_one_idle_segment_and_drops_the_rest() -> None:
    pool = Pool(64 * MIB)
    kept = grow(pool, 100, A)
    large = grow(pool, 20 * MIB, A)
    assert pool.disown(A) == [large.segment_id]
    assert place(pool, 100, B).segment_id == kept.segment_id
