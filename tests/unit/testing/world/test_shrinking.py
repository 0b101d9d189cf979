"""Few faults that are enough for a failure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actorrt.testing import Faults, World
from actorrt.testing.world.shrinking import fewest
from tests.unit.testing.world.test_faults import busy


@pytest.mark.parametrize(
    ("fails", "kept"),
    [
        (lambda numbers: 17 in numbers, {17}),
        (lambda numbers: {3, 40} <= numbers, {3, 40}),
        (lambda numbers: len(numbers & {5, 50, 90}) >= 2, {5, 50}),
        (lambda numbers: True, set()),
        (lambda numbers: len(numbers) == 100, set(range(1, 101))),
    ],
)
def test_what_is_kept_is_enough_and_nothing_of_it_can_go(
    fails: Callable[[frozenset[int]], bool], kept: set[int]
) -> None:
    assert fewest(range(1, 101), fails, 1_000) == kept


def test_the_number_of_runs_is_bounded() -> None:
    runs: list[frozenset[int]] = []

    def fails(numbers: frozenset[int]) -> bool:
        runs.append(numbers)
        return 17 in numbers

    kept = fewest(range(1, 101), fails, 5)
    assert 17 in kept
    assert len(runs) == 5


def test_only_the_faults_of_some_numbers_happen_and_they_are_as_before() -> None:
    def told(numbers: set[int] | None) -> list[str]:
        world = World(3, faults=Faults(freeze=0.5))
        if numbers is not None:
            world.only_faults(numbers)
        world.run(busy, world)
        assert world.faults_count() > 3
        return [line for line in world.trace() if "fault:" in line]

    everything = told(None)
    assert told({1}) == everything[:1]
    assert told(set()) == []
