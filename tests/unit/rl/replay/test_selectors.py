"""Selectors: frequencies against probabilities, edges, and sums against sums that are added up anew."""

from __future__ import annotations

import numpy as np
import pytest

from actorrt.rl.replay.block_sums import BlockSums
from actorrt.rl.replay.selectors import Prioritised, Selector, Uniform
from actorrt.rl.replay.table import ReplayTable, Table

DRAWS = 40_000


def table_of(sampler: Selector, priorities: list[float]) -> ReplayTable:
    table = ReplayTable(Table(name="t", max_size=100, sampler=sampler), seed=3)
    count = len(priorities)
    table.insert(range(count), np.array(priorities), np.arange(count))
    return table


@pytest.mark.parametrize(
    ("sampler", "priorities", "weights"),
    [
        (Uniform(), [1.0, 5.0, 0.0, 2.0], [1, 1, 1, 1]),
        (Prioritised(1.0), [1.0, 5.0, 0.0, 2.0], [1, 5, 0, 2]),
        (Prioritised(0.5), [1.0, 9.0, 0.0, 4.0], [1, 3, 0, 2]),
        (Prioritised(0.0), [1.0, 9.0, 0.0, 4.0], [1, 1, 0, 1]),
        (Prioritised(0.6), [0.0, 0.0, 0.0], [1, 1, 1]),
    ],
)
def test_frequencies_are_the_probabilities_that_samples_name(
    sampler: Selector, priorities: list[float], weights: list[int]
) -> None:
    taken = table_of(sampler, priorities).sample(DRAWS)
    expected = np.array(weights) / sum(weights)
    np.testing.assert_allclose(taken.probabilities, expected[taken.keys])
    counts = np.bincount(taken.keys, minlength=len(weights))
    assert not counts[expected == 0].any()
    possible = expected > 0
    chi_squared = np.sum((counts - DRAWS * expected)[possible] ** 2 / (DRAWS * expected[possible]))
    assert chi_squared < 20.0  # with 3 degrees of freedom, exceeded once in 5,000 seeds; this seed is fixed


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_bad_priority_is_refused_and_changes_nothing(bad: float) -> None:
    table = table_of(Prioritised(0.6), [1.0, 2.0])
    with pytest.raises(ValueError, match="priorities are finite, and 0 or larger"):
        table.update([0, 1], np.array([3.0, bad]))
    with pytest.raises(ValueError, match="priorities are finite, and 0 or larger"):
        table.insert([7, 8], np.array([3.0, bad]), np.arange(2))
    assert len(table) == 2
    assert set(table.sample(100).priorities.tolist()) <= {1.0, 2.0}


def test_sums_of_blocks_equal_plain_sums_after_a_million_updates() -> None:
    rng, tree, plain = np.random.default_rng(0), BlockSums(1_000), np.zeros(1_000)
    for _ in range(1_000):
        indexes, weights = rng.integers(1_000, size=1_000), rng.random(1_000) * 10.0 ** rng.integers(-8, 8)
        tree.update(indexes, weights)
        plain[indexes] = weights
    assert tree.total == pytest.approx(plain.sum(), rel=1e-12)
    np.testing.assert_array_equal(tree.weights(np.arange(1_000)), plain)


@pytest.mark.parametrize("capacity", [1, 2, 3, 64, 65])
def test_a_draw_finds_the_only_weight_that_is_not_zero(capacity: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(capacity):
        tree = BlockSums(capacity)
        tree.update(np.array([index]), np.array([1e-300]))
        assert tree.find(rng.random(5)).tolist() == [index] * 5
