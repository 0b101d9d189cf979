"""Objects made on loan: what a process says it made, and what the store makes of it, agree at every moment."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actorrt.config import MIB
from actorrt.ids import ObjectId
from actorrt.store.connection.unreported import UnreportedObjects
from actorrt.store.memory.lending import Lending, max_object_bytes
from actorrt.store.memory.pool import Growth, Place, Pool
from actorrt.store.wire.protocol import HELD, SEALED

BORROWER = 1
CAPACITY_BYTES = 256 * MIB  # so that objects are long enough to be made in the place of others
CHOICE = st.integers(0, 20)


class LoansMachine(RuleBasedStateMachine):
    """One process and its store."""

    @initialize()
    def begin(self) -> None:
        self.pool = Pool(CAPACITY_BYTES)
        self.lending = Lending(self.pool)
        self.fresh = UnreportedObjects()
        self.untold: dict[ObjectId, Place] = {}
        self.told: dict[ObjectId, Place] = {}
        self.old: set[ObjectId] = set()
        self.count = 0

    @rule(length_bytes=st.integers(1, max_object_bytes(CAPACITY_BYTES)), seals=st.booleans())
    def make(self, length_bytes: int, seals: bool) -> None:
        self.count += 1
        object_id = ObjectId(self.count.to_bytes(16, "little"))
        place = self.fresh.create(object_id, length_bytes, "")
        if place is None:
            self.tell()
            self.borrow(length_bytes)
            place = self.fresh.create(object_id, length_bytes, "")
        if place is not None:
            self.untold[object_id] = place
            if seals:
                assert self.fresh.seal(object_id)

    def borrow(self, length_bytes: int) -> None:
        found = self.lending.lend(BORROWER, length_bytes)
        if isinstance(found, Growth):
            self.pool.begin(found, None)
            self.pool.finish(found.segment_id, is_made=True)
            found = self.lending.lend(BORROWER, length_bytes)
        assert not isinstance(found, Growth)
        self.fresh.borrow(found)

    @rule(choice=CHOICE)
    def drop_untold(self, choice: int) -> None:
        if self.untold:
            object_id = list(self.untold)[choice % len(self.untold)]
            self.fresh.seal(object_id)
            assert self.fresh.release(object_id)
            del self.untold[object_id]

    @rule(choice=CHOICE)
    def view_and_let_go(self, choice: int) -> None:
        if self.untold:
            object_id = list(self.untold)[choice % len(self.untold)]
            self.fresh.seal(object_id)
            assert self.fresh.pin(object_id) == self.untold[object_id]
            assert self.fresh.unpin(object_id)

    @rule()
    def tell(self) -> None:
        self.take(self.fresh.report())
        assert self.untold == {}

    @rule()
    def tell_of_the_old(self) -> None:
        young = set(self.untold) - self.old
        self.take(self.fresh.report(only_old=True))
        assert young <= set(self.untold), "what was made since then is not worth telling of"
        self.old = set(self.untold)

    def take(self, report: tuple[int, list[list[int | bytes | str]]] | None) -> None:
        """Let the store hear what the process says."""
        if report is None:
            return
        end, objects = report
        places = self.lending.settle(BORROWER, end, [(offset, length) for _, offset, length, *_ in objects])  # type: ignore[misc]
        for row, place in zip(objects, places, strict=True):
            assert self.untold.pop(row[0]) == place  # type: ignore[call-overload]
            assert row[3] in (HELD, HELD | SEALED)
            self.told[row[0]] = place  # type: ignore[index]

    @rule(choice=CHOICE)
    def drop_told(self, choice: int) -> None:
        if self.told:
            self.pool.free(self.told.pop(list(self.told)[choice % len(self.told)]))

    @invariant()
    def no_two_objects_overlap(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.pool.check_invariants()
        spans = sorted(
            (p.segment_id, p.offset, p.offset + p.length_bytes) for p in [*self.told.values(), *self.untold.values()]
        )
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spans))

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.lending.forget(BORROWER)
        for place in self.told.values():
            self.pool.free(place)
        assert self.pool.used_bytes == 0


TestLoans = LoansMachine.TestCase
TestLoans.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
