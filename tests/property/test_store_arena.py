"""The arena against a model that marks every unit of the segment."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from actorrt.config import ALIGNMENT_BYTES
from actorrt.store.arena import Arena, align

UNITS_COUNT = 64


class ArenaMachine(RuleBasedStateMachine):
    """Owners of units, one by one: slow and obvious."""

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
        used = sum(owner is not None for owner in self.owners)
        assert self.arena.used_bytes == used * ALIGNMENT_BYTES
        assert self.arena.is_empty == (used == 0)
        assert (self.arena.best_fit(1) is None) == (used == UNITS_COUNT)


TestArena = ArenaMachine.TestCase
TestArena.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
