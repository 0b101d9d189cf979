"""The standard story of many seeds: what fails is what a promise allows, and everything works again afterwards."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.seeds import outcome_of

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
    running = [begin_digests_of(seeds, hash_seed) for hash_seed in ("1", "77")]
    first, second = (process.communicate()[0].split() for process in running)
    assert len(first) == len(seeds)
    differing = [seed for seed, one, other in zip(seeds, first, second, strict=True) if one != other]
    assert not differing, f"two runs differ: see scripts/simulate --seed {differing[0]} with PYTHONHASHSEED=1 and =77"


def begin_digests_of(seeds: Sequence[int], hash_seed: str) -> subprocess.Popen[str]:
    """Begin to print the digests of seeds in a process with this seed of its hashes."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import print_digests_of; print_digests_of({seeds})"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def print_digests_of(seeds: Sequence[int]) -> None:
    """Print the digest of each seed."""
    logging.disable(logging.CRITICAL)
    for seed in seeds:
        print(outcome_of(seed).digest)
