"""Loans: the objects that a report takes out of them, and the ranges that it may name."""

from __future__ import annotations

import pytest

from actorrt.config import KIB, MIB
from actorrt.store.memory.lending import Lending
from actorrt.store.memory.pool import Growth, Place, Pool


@pytest.fixture
def pool() -> Pool:
    return Pool(64 * MIB)


@pytest.fixture
def lending(pool: Pool) -> Lending:
    """The loans of a store, with a loan of 256 KiB to connection 1."""
    lending = Lending(pool)
    growth = lending.lend(1, 100)
    assert isinstance(growth, Growth)
    pool.begin(growth, None)
    pool.finish(growth.segment_id, is_made=True)
    assert lending.lend(1, 100) == Place(1, 0, 256 * KIB)
    return lending


def test_reported_objects_are_allocated_and_the_gap_between_them_is_freed(pool: Pool, lending: Lending) -> None:
    assert lending.settle(1, 192, [(0, 60), (128, 60)]) == [Place(1, 0, 60), Place(1, 128, 60)]
    assert lending.unused_bytes == 256 * KIB - 192
    assert pool.used_bytes == 256 * KIB - 64
    lending.take_back(1)
    assert (lending.unused_bytes, pool.used_bytes) == (0, 128)
    pool.check_invariants()


def test_each_further_loan_is_twice_as_long_until_the_connection_ends(lending: Lending) -> None:
    lengths = []
    for _ in range(2):
        loan = lending.lend(1, 100)
        assert isinstance(loan, Place)
        lengths.append(loan.length_bytes)
    assert lengths == [512 * KIB, 512 * KIB]  # 1/128 of the store is the longest
    lending.forget(1)
    loan = lending.lend(1, 100)
    assert isinstance(loan, Place)
    assert loan.length_bytes == 256 * KIB


@pytest.mark.parametrize(
    ("end", "ranges"),
    [(64, [(32, 10)]), (64, [(0, 100)]), (128, [(64, 10), (0, 10)]), (1 << 30, [(0, 10)]), (10, []), (64, [(0, 0)])],
    ids=str,
)
def test_ranges_that_are_not_on_loan_are_refused(
    pool: Pool, lending: Lending, end: int, ranges: list[tuple[int, int]]
) -> None:
    used_bytes = pool.used_bytes
    with pytest.raises(ValueError, match="not within the loan"):
        lending.settle(1, end, ranges)
    assert pool.used_bytes == used_bytes
