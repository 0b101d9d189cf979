"""Runs the standard story of a seed, says how it ended, and finds few faults that make a seed fail."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from actorrt.testing import World
from actorrt.testing.world.shrinking import fewest
from tests.other_processes import HASH_SEEDS, lines_with_hash_seeds
from tests.simulation import several_hosts
from tests.simulation.standard import LENGTH_S, new_world, standard

SHRINKING_RUNS_COUNT: Final = 200
CHARACTERS_COUNT: Final = 300
"""How much of an error is said in a line."""


class Outcome(NamedTuple):
    """How the story of a seed ended.

    Attributes:
        seed: the seed.
        hosts: the number of hosts in the story.
        virtual_s: how long it took, in virtual seconds.
        steps_count: how many callbacks ran.
        faults_count: how many faults there were.
        digest: the digest of the run.
        values_count: how many acts of clients had no error.
        error: what was found, with its type; empty: nothing.
    """

    seed: int
    hosts: int
    virtual_s: float
    steps_count: int
    faults_count: int
    digest: str
    values_count: int
    error: str

    def kind(self) -> str:
        """Return the type of the error."""
        return self.error.partition(":")[0]

    def line(self) -> str:
        """Return the error in a line, with the command that shows more."""
        error = " ".join(self.error.split())
        error = error if len(error) <= CHARACTERS_COUNT else f"{error[:CHARACTERS_COUNT]}..."
        return f"seed {self.seed} fails: {error} (see scripts/simulate --seed {self.seed} --hosts {self.hosts} --trace)"


def world_of(seed: int, hosts: int = 1) -> World:
    """Return the world of the story of a seed, on one host or on several."""
    return new_world(seed) if hosts == 1 else several_hosts.new_world(seed, hosts)


def run_story(world: World, length_s: float = LENGTH_S) -> Counter[str]:
    """Run the story of a world; return how the acts of clients have ended."""
    story = standard if world.hosts_count() == 1 else several_hosts.several_hosts
    return world.run(story, world, length_s)


def outcome_of(seed: int, hosts: int = 1, only: Collection[int] | None = None, length_s: float = LENGTH_S) -> Outcome:
    """Run the story of a seed.

    Args:
        seed: the seed.
        hosts: the number of hosts.
        only: the numbers of the faults that happen; None: all.
        length_s: how long clients are at work, in virtual seconds.
    """
    world = world_of(seed, hosts)
    if only is not None:
        world.only_faults(only)
    values_count, error = 0, ""
    try:
        values_count = run_story(world, length_s)["value"]
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    counts = (world.steps_count(), world.faults_count())
    return Outcome(seed, hosts, world.now(), *counts, world.digest(), values_count, error)


def differing_digests(seeds: Iterable[int], hosts: int = 1) -> list[str]:
    """Run seeds in two processes with other seeds of hashes; return commands that show seeds whose digests differ."""
    first, second = lines_with_hash_seeds(__name__, f"print_digests({list(seeds)}, {hosts})")
    hashes = " and ".join(f"PYTHONHASHSEED={hash_seed}" for hash_seed in HASH_SEEDS)
    return [
        f"scripts/simulate --seed {seed} --hosts {hosts} --trace, with {hashes}"
        for seed, one, other in zip(seeds, first, second, strict=True)
        if one != other
    ]


def print_digests(seeds: Iterable[int], hosts: int) -> None:
    """Print the digest of each seed."""
    logging.disable(logging.CRITICAL)
    for seed in seeds:
        print(outcome_of(seed, hosts).digest)


def enough_faults(failed: Outcome, told: Callable[[str], None]) -> list[int]:
    """Return the numbers of few faults with which a seed still fails in the same way.

    Args:
        failed: how it fails with all its faults.
        told: called with a line about each run.
    """

    def fails(numbers: frozenset[int]) -> bool:
        has_failed = outcome_of(failed.seed, failed.hosts, numbers).kind() == failed.kind()
        told(f"{len(numbers)} faults: {'fails' if has_failed else 'works'}")
        return has_failed

    return sorted(fewest(range(1, failed.faults_count + 1), fails, SHRINKING_RUNS_COUNT))
