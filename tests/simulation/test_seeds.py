"""The standard story of some seeds: what fails is what a promise allows, and everything works again afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.standard import new_world, standard

SEEDS = range(40)


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Log nothing: records keep errors, whose tracebacks keep the memory of processes that are long dead."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_holds_whatever_fails(seed: int) -> None:
    world = new_world(seed)
    outcomes = world.run(standard, world)
    assert outcomes["value"] > 50


def test_the_story_of_a_seed_is_the_same_again() -> None:
    digests = []
    for _ in range(2):
        world = new_world(1)
        world.run(standard, world, 10.0)
        digests.append(world.digest())
    assert digests[0] == digests[1]
