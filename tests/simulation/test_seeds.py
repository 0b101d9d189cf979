"""The standard story of many seeds: what fails is what a promise allows, and everything works again afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.other_processes import lines_in_a_copy
from tests.simulation.seeds import differing_digests, outcome_of

SEEDS_COUNT: Final = 250
CHUNK_COUNT: Final = 5
"""The seeds of one test, so that several processes share the seeds evenly."""
RUN_TWICE_EVERY: Final = 100
LEAST_VALUES_COUNT: Final = 20
"""In each story clients get so many results at least: otherwise too much fails to tell anything."""


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Log nothing: records keep errors, whose tracebacks keep the memory of processes that are long dead."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(300)  # a seed takes seconds where all processors are busy
@pytest.mark.parametrize("first", range(0, SEEDS_COUNT, CHUNK_COUNT))
def test_every_promise_holds_whatever_fails(first: int) -> None:
    outcomes = [outcome_of(seed) for seed in range(first, first + CHUNK_COUNT)]
    failed = [outcome.line() for outcome in outcomes if outcome.error]
    assert not failed, "\n".join(failed)
    assert {outcome.seed for outcome in outcomes if outcome.values_count < LEAST_VALUES_COUNT} == set()


@pytest.mark.timeout(300)
def test_story_of_a_seed_is_the_same_in_another_process_with_other_hashes() -> None:
    seeds = range(0, SEEDS_COUNT, RUN_TWICE_EVERY)
    assert differing_digests(seeds) == []


@pytest.mark.timeout(300)
def test_story_of_a_seed_is_the_same_in_another_folder(tmp_path: Path) -> None:
    digests = lines_in_a_copy("tests.simulation.seeds", "print_digests([1], 1)", tmp_path / "a folder with a long name")
    assert digests == [outcome_of(1).digest]
