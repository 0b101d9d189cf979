"""The tables of a control store against a slow model: the list of all writes that were carried out."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actorrt.cluster.control import tables as under_test
from actorrt.cluster.control.tables import Staging, Tables
from actorrt.protocol.cluster.control import MEMBERS, Change, Outcome, Row, Write

TABLES = (MEMBERS, "names")
KEYS = (b"a", b"b", b"c")
NAMES = st.tuples(st.sampled_from(TABLES), st.sampled_from(KEYS))


class Machine(RuleBasedStateMachine):
    """Random writes, some of them sent again, committed in batches; and readers that ask what is new."""

    @initialize(kept=st.sampled_from([2, 10_000]))
    def begin(self, kept: int) -> None:
        under_test.KEPT_DELETIONS_COUNT = kept  # type: ignore[misc]
        self.tables = Tables()
        self.staging = Staging(self.tables)
        self.history: list[tuple[int, Write]] = []
        self.nonces = 0
        self.reader: dict[tuple[str, bytes], Row] = {}
        self.read_version = 0

    def _model(self) -> dict[tuple[str, bytes], Row]:
        rows: dict[tuple[str, bytes], Row] = {}
        for version, write in self.history:
            for change in write.changes:
                rows[change.table, change.key] = Row(change.table, change.key, change.value, version)
        return {name: row for name, row in rows.items() if row.value is not None}

    def _view(self) -> int:
        changed = (v for v, write in self.history if any(change.table == MEMBERS for change in write.changes))
        return max(changed, default=0)

    @rule(
        names=st.lists(NAMES, min_size=1, max_size=3, unique=True),
        is_deleting=st.booleans(),
        is_expecting=st.booleans(),
        off=st.integers(0, 1),
        is_of_view=st.booleans(),
    )
    def write(
        self, names: list[tuple[str, bytes]], is_deleting: bool, is_expecting: bool, off: int, is_of_view: bool
    ) -> None:
        model, version, view = self._model(), len(self.history), self._view()
        self.nonces += 1
        changes = []
        for table, key in names:
            row = model.get((table, key))
            expected = (row.version if row else 0) + off if is_expecting else None
            changes.append(Change(table, key, None if is_deleting else b"%d" % self.nonces, expected))
        write = Write(changes, b"nonce %d" % self.nonces, view if is_of_view else None)
        outcome = self.staging.write(write)
        if is_expecting and off:
            there = [model[name] for name in names if name in model]
            assert outcome == Outcome(False, version, view, there)
        else:
            self.history.append((version + 1, write))
            assert outcome == Outcome(True, version + 1, self._view())

    @rule(data=st.data())
    def write_again(self, data: st.DataObject) -> None:
        if self.history:
            version, write = data.draw(st.sampled_from(self.history))
            assert self.staging.write(write) == Outcome(True, version, self._view())

    @rule(names=st.lists(NAMES, min_size=1, max_size=2, unique=True))
    def write_for_an_old_view(self, names: list[tuple[str, bytes]]) -> None:
        self.nonces += 1
        write = Write([Change(*name, b"") for name in names], b"nonce %d" % self.nonces, self._view() + 1)
        assert not self.staging.write(write).is_committed

    @rule()
    def commit(self) -> None:
        self.tables.add(self.staging.close())
        self.staging = Staging(self.tables)

    @rule()
    def give_up(self) -> None:
        self.staging = Staging(self.tables)
        del self.history[self.tables.version :]

    @rule()
    def load_again(self) -> None:
        self.commit()
        rows, _ = self.tables.since(-1, TABLES)
        deleted = self.tables.oldest_deletions(self.tables.deletions_count)
        nonces = [(nonce, self.tables.made_by(nonce) or 0) for nonce in self.tables.oldest_nonces(10_000)]
        tables = self.tables
        loaded = Tables.loaded(tables.version, tables.view, tables.forgotten_until, [*rows, *deleted], nonces)
        for version in range(tables.version + 1):
            assert loaded.since(version, TABLES) == tables.since(version, TABLES)
        self.tables = loaded
        self.staging = Staging(loaded)

    @rule()
    def read_what_is_new(self) -> None:
        self.commit()
        rows, is_whole = self.tables.since(self.read_version, TABLES)
        if is_whole:
            self.reader.clear()
        for row in rows:
            self.reader[row.table, row.key] = row
        self.read_version = self.tables.version
        assert {name: row for name, row in self.reader.items() if row.value is not None} == self._model()

    @invariant()
    def keeps_its_rules(self) -> None:
        self.tables.check_invariants()
        committed = self.history[: self.tables.version]
        whole, self.history = self.history, committed
        model = self._model()
        self.history = whole
        for table in TABLES:
            assert {row.key: row for row in self.tables.rows(table)} == {
                k: r for (t, k), r in model.items() if t == table
            }

    def teardown(self) -> None:
        under_test.KEPT_DELETIONS_COUNT = 10_000  # type: ignore[misc]


TestControlTables = Machine.TestCase
TestControlTables.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
