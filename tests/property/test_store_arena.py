"""The arena against a model that marks every unit of the segment; how much of a store can be used."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from actorrt.config import MIB
from actorrt.store.memory.arena import ALIGNMENT_BYTES, Arena, align
from actorrt.store.memory.pool import Growth, Place, Pool

UNITS_COUNT = 64


class ArenaMachine(RuleBasedStateMachine):
    """The owner of each unit of a segment: a slow, obvious model."""

    offsets = Bundle("offsets")

    @initialize()
    def begin(self) -> None:
        self.arena = Arena(UNITS_COUNT * ALIGNMENT_BYTES)
        self.owners: list[int | None] = [None] * UNITS_COUNT

    def longest_free_run(self) -> int:
        runs = "".join("." if owner is None else "x" for owner in self.owners).split("x")
        return max(len(run) for run in runs)

    @rule(target=offsets, length_bytes=st.integers(0, UNITS_COUNT * ALIGNMENT_BYTES + 1))
    def allocate(self, length_bytes: int) -> object:
        units = align(length_bytes) // ALIGNMENT_BYTES
        offset = self.arena.allocate(length_bytes)
        if offset is None:
            assert self.longest_free_run() < units
            return multiple()
        first = offset // ALIGNMENT_BYTES
        assert offset % ALIGNMENT_BYTES == 0
        assert self.owners[first : first + units] == [None] * units
        self.owners[first : first + units] = [offset] * units
        return offset

    @rule(offset=consumes(offsets))
    def free(self, offset: int) -> None:
        self.arena.free(offset)
        self.owners = [None if owner == offset else owner for owner in self.owners]

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "arena"):
            return
        self.arena.check_invariants()
        used = sum(owner is not None for owner in self.owners)
        assert self.arena.used_bytes == used * ALIGNMENT_BYTES
        assert self.arena.is_empty == (used == 0)
        assert (self.arena.best_fit(1) is None) == (used == UNITS_COUNT)


TestArena = ArenaMachine.TestCase
TestArena.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("seed", range(5))
def test_nine_tenths_of_a_store_are_usable_over_a_long_run(seed: int) -> None:
    """Weights, trajectories of a few lengths and small values come and go, the oldest first more or less.

    Usable is what is in use, and would be, at the moments when something is refused; objects are up to 1/64 of it.
    """
    chance = random.Random(seed)
    pool = Pool(512 * MIB)
    weights_bytes = int(2 ** chance.uniform(18, 23))
    trajectory_bytes = [int(2 ** chance.uniform(16, 22)) for _ in range(3)]
    live: list[Place] = []
    usable = []
    for _ in range(6000):
        kind = chance.random()
        small_bytes = int(2 ** chance.uniform(6, 16))
        wanted = weights_bytes if kind < 0.05 else chance.choice(trajectory_bytes) if kind < 0.6 else small_bytes
        while (place := _allocate(pool, wanted)) is None:
            usable.append((pool.used_bytes + wanted) / pool.capacity_bytes)
            pool.free(live.pop(min(len(live) - 1, int(chance.expovariate(1 / 8)))))
        live.append(place)
    pool.check_invariants()
    assert len(usable) > 1000, "it was full most of the time"
    assert statistics.mean(usable) >= 0.9


@pytest.mark.parametrize("length_bytes", [2 * MIB + 64, 3 * MIB, 1 * MIB + 64, 700_000])
def test_nine_tenths_are_usable_for_objects_of_one_length(length_bytes: int) -> None:
    pool = Pool(64 * MIB)
    while _allocate(pool, length_bytes) is not None:
        pool.check_invariants()
    assert pool.used_bytes >= 0.9 * pool.capacity_bytes


def _allocate(pool: Pool, length_bytes: int) -> Place | None:
    """Find space; segments are made at once."""
    while isinstance(found := pool.allocate(length_bytes, owner=1), Growth):
        pool.begin(found, owner=1)
        pool.finish(found.segment_id, is_made=True)
    return found
