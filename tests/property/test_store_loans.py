"""Objects made in loans: the reports of a process and the table of the store agree at every moment."""

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
        self.unreported = UnreportedObjects()
        self.unreported_places: dict[ObjectId, Place] = {}
        self.reported_places: dict[ObjectId, Place] = {}
        self.old: set[ObjectId] = set()
        self.count = 0

    @rule(length_bytes=st.integers(1, max_object_bytes(CAPACITY_BYTES)), seals=st.booleans())
    def make(self, length_bytes: int, seals: bool) -> None:
        self.count += 1
        object_id = ObjectId(self.count.to_bytes(16, "little"))
        place = self.unreported.create(object_id, length_bytes, "")
        if place is None:
            self.tell()
            self.borrow(length_bytes)
            place = self.unreported.create(object_id, length_bytes, "")
        if place is not None:
            self.unreported_places[object_id] = place
            if seals:
                assert self.unreported.seal(object_id)

    def borrow(self, length_bytes: int) -> None:
        found = self.lending.lend(BORROWER, length_bytes)
        if isinstance(found, Growth):
            self.pool.begin(found, None)
            self.pool.finish(found.segment_id, is_made=True)
            found = self.lending.lend(BORROWER, length_bytes)
        assert not isinstance(found, Growth)
        self.unreported.borrow(found)

    @rule(choice=CHOICE)
    def drop_untold(self, choice: int) -> None:
        if self.unreported_places:
            object_id = list(self.unreported_places)[choice % len(self.unreported_places)]
            self.unreported.seal(object_id)
            assert self.unreported.release(object_id)
            del self.unreported_places[object_id]

    @rule(choice=CHOICE)
    def view_and_let_go(self, choice: int) -> None:
        if self.unreported_places:
            object_id = list(self.unreported_places)[choice % len(self.unreported_places)]
            self.unreported.seal(object_id)
            assert self.unreported.pin(object_id) == self.unreported_places[object_id]
            assert self.unreported.unpin(object_id)

    @rule()
    def tell(self) -> None:
        self.take(self.unreported.report())
        assert self.unreported_places == {}

    @rule()
    def tell_of_the_old(self) -> None:
        young = set(self.unreported_places) - self.old
        self.take(self.unreported.report(only_old=True))
        assert young <= set(self.unreported_places), "what was made since then is not worth telling of"
        self.old = set(self.unreported_places)

    def take(self, report: tuple[int, list[list[int | bytes | str]]] | None) -> None:
        """Deliver the reports of the process to the store."""
        if report is None:
            return
        end, objects = report
        places = self.lending.settle(BORROWER, end, [(offset, length) for _, offset, length, *_ in objects])  # type: ignore[misc]
        for row, place in zip(objects, places, strict=True):
            assert self.unreported_places.pop(row[0]) == place  # type: ignore[call-overload]
            assert row[3] in (HELD, HELD | SEALED)
            self.reported_places[row[0]] = place  # type: ignore[index]

    @rule(choice=CHOICE)
    def drop_told(self, choice: int) -> None:
        if self.reported_places:
            self.pool.free(self.reported_places.pop(list(self.reported_places)[choice % len(self.reported_places)]))

    @invariant()
    def no_two_objects_overlap(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.pool.check_invariants()
        spans = sorted(
            (p.segment_id, p.offset, p.offset + p.length_bytes)
            for p in [*self.reported_places.values(), *self.unreported_places.values()]
        )
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spans))

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.lending.forget(BORROWER)
        for place in self.reported_places.values():
            self.pool.free(place)
        assert self.pool.used_bytes == 0


TestLoans = LoansMachine.TestCase
TestLoans.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
