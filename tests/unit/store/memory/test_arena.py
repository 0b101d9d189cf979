"""Allocation within one segment."""

from __future__ import annotations

import pytest

from actorrt.store.memory.arena import ALIGNMENT_BYTES, Arena


def test_neighbours_freed_in_any_order_are_one_range_again() -> None:
    arena = Arena(3 * ALIGNMENT_BYTES)
    first, second, third = (arena.allocate(1) for _ in range(3))
    for offset in (first, third, second):
        assert offset is not None
        arena.free(offset)
    assert arena.allocate(3 * ALIGNMENT_BYTES) == 0


def test_the_smallest_range_that_fits_is_taken_first() -> None:
    arena = Arena(10 * ALIGNMENT_BYTES)
    large, between, small, _ = (arena.allocate(units * ALIGNMENT_BYTES) for units in (4, 1, 2, 3))
    assert large is not None
    assert small is not None
    assert between is not None
    arena.free(large)
    arena.free(small)
    assert arena.allocate(2 * ALIGNMENT_BYTES) == small
    assert arena.ranges() == [(between, 64), (small, 128), (7 * 64, 192)]


def test_freeing_an_offset_that_is_not_allocated_is_an_error_and_changes_nothing() -> None:
    arena = Arena(ALIGNMENT_BYTES)
    with pytest.raises(KeyError):
        arena.free(0)
    assert arena.allocate(1) == 0


@pytest.mark.parametrize("size_bytes", [0, -64, 65])
def test_a_size_that_is_no_multiple_of_the_alignment_is_refused(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="positive multiple of 64"):
        Arena(size_bytes)
