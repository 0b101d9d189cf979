"""The standard story of some seeds: what fails is what a promise allows, and everything works again afterwards."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.simulation.standard import new_world, standard

SEEDS = range(12)


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


def digests_of(seeds: Iterable[int]) -> list[str]:
    """Run the first 20 seconds of the story of each seed."""
    digests = []
    for seed in seeds:
        world = new_world(seed)
        world.run(standard, world, 20.0)
        digests.append(world.digest())
    return digests


def test_story_of_a_seed_is_the_same_in_another_process_with_other_hashes() -> None:
    seeds = (1, 3, 5)
    found = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import digests_of; print(*digests_of({seeds}))"],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == digests_of(seeds) == digests_of(seeds)
