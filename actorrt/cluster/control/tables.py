"""Pure: the rows of a control store under one version, which each write increments.

A write compares the versions of the rows that it changes, or that of the view. So the history of a store is one
sequence of writes, sorted by version, and each write saw all that came before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from actorrt.protocol.cluster.control import MEMBERS, MISSING, Outcome, Row, Write

KEPT_NONCES_COUNT: Final = 10_000
"""So many writes are recognised when they are sent again."""
KEPT_DELETIONS_COUNT: Final = 10_000
"""So many deleted rows are remembered for readers that ask what is new."""


@dataclass(slots=True)
class Batch:
    """What committed writes add to the tables: rows, the versions of nonces, and what is forgotten.

    Attributes:
        version, view: those of the store after the writes.
        rows: the rows that were written, the newest of each name.
        nonces: the version that each write made.
        forgotten_nonces: nonces that are remembered no more.
        forgotten: the names of deleted rows that are remembered no more.
        forgotten_until: the highest version of a forgotten deletion.
    """

    version: int
    view: int
    forgotten_until: int
    rows: dict[tuple[str, bytes], Row] = field(default_factory=dict)
    nonces: dict[bytes, int] = field(default_factory=dict)
    forgotten_nonces: list[bytes] = field(default_factory=list)
    forgotten: list[tuple[str, bytes]] = field(default_factory=list)


class Tables:
    """The rows of a control store.

    Attributes:
        version: the version of the last write; 0 if there was none.
        view: the version of the last write that changed a row of `MEMBERS`.
        forgotten_until: deletions up to this version may be forgotten.
    """

    def __init__(self) -> None:
        self.version = 0
        self.view = 0
        self.forgotten_until = 0
        self._rows: dict[str, OrderedDict[bytes, Row]] = {}  # of each table, by version: a written row moves to the end
        self._deletions: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._nonces: OrderedDict[bytes, int] = OrderedDict()

    @classmethod
    def loaded(
        cls, version: int, view: int, forgotten_until: int, rows: Iterable[Row], nonces: Iterable[tuple[bytes, int]]
    ) -> Tables:
        """Return the tables that a disk has; rows and nonces in any order."""
        tables = cls()
        written = {(row.table, row.key): row for row in sorted(rows, key=lambda row: row.version)}
        known = dict(sorted(nonces, key=lambda item: item[1]))
        tables.add(Batch(version, view, forgotten_until, written, known))
        return tables

    @property
    def names(self) -> list[str]:
        """The names of the tables."""
        return list(self._rows)

    def row(self, table: str, key: bytes) -> Row | None:
        """Return a row; None if there is none."""
        rows = self._rows.get(table)
        row = None if rows is None else rows.get(key)
        return None if row is None or row.value is None else row

    def rows(self, table: str) -> Iterator[Row]:
        """Return the rows of a table, the one that was written last at the end."""
        return (row for row in self._rows.get(table, {}).values() if row.value is not None)

    def since(self, version: int, tables: Sequence[str]) -> tuple[list[Row], bool]:
        """Return the rows of these tables that were written after a version, and whether these are all there are.

        The rows are sorted by version. A reader that comes from a version of another history gets all rows.
        """
        if version < self.forgotten_until or version > self.version:
            return sorted((row for table in tables for row in self.rows(table)), key=_version), True
        found: list[Row] = []
        for table in tables:
            for row in reversed(self._rows.get(table, {}).values()):
                if row.version <= version:
                    break
                found.append(row)
        return sorted(found, key=_version), False

    def made_by(self, nonce: bytes) -> int | None:
        """Return the version that the write of a nonce made; None if no such write is remembered."""
        return self._nonces.get(nonce)

    def add(self, batch: Batch) -> None:
        """Take over what writes have made, in the order of their versions."""
        for (table, key), row in sorted(batch.rows.items(), key=lambda item: item[1].version):
            rows = self._rows.setdefault(table, OrderedDict())
            rows[key] = row
            rows.move_to_end(key)
            self._deletions.pop((table, key), None)
            if row.value is None:
                self._deletions[table, key] = row.version
        for table, key in batch.forgotten:
            del self._rows[table][key]
            del self._deletions[table, key]
        self._nonces.update(batch.nonces)
        for nonce in batch.forgotten_nonces:
            del self._nonces[nonce]
        self.version, self.view, self.forgotten_until = batch.version, batch.view, batch.forgotten_until

    def oldest_nonces(self, count: int) -> list[bytes]:
        """Return so many nonces, those of the oldest writes first."""
        return [nonce for nonce, _ in zip(self._nonces, range(count), strict=False)]

    def oldest_deletions(self, count: int) -> list[Row]:
        """Return so many deleted rows, those that were deleted first."""
        names = [name for name, _ in zip(self._deletions, range(count), strict=False)]
        return [self._rows[table][key] for table, key in names]

    @property
    def nonces_count(self) -> int:
        return len(self._nonces)

    @property
    def deletions_count(self) -> int:
        return len(self._deletions)

    def check_invariants(self) -> None:
        """Raise AssertionError if the tables contradict themselves."""
        every = [row for rows in self._rows.values() for row in rows.values()]
        for row in every:
            assert 0 < row.version <= self.version, f"{row} is newer than its store, of version {self.version}"
        for table, rows in self._rows.items():
            versions = [row.version for row in rows.values()]
            assert versions == sorted(versions), f"the rows of {table!r} are out of order: {versions}"
        deleted = {(row.table, row.key): row.version for row in every if row.value is None}
        assert deleted == dict(self._deletions), f"the deletions {self._deletions} are not the deleted rows {deleted}"
        for name, version in deleted.items():
            assert version >= self.forgotten_until, f"the deletion of {name} is kept, and forgotten"
        newest = max((row.version for row in self._rows.get(MEMBERS, {}).values()), default=0)
        assert newest <= self.view <= self.version, f"the view {self.view} is older than a member of version {newest}"
        made = list(self._nonces.values())
        assert made == sorted(made), f"the nonces are out of order: {made}"


class Staging:
    """Writes that see each other, and that nobody else sees until `Tables.add` takes over their batch.

    Args:
        tables: the committed rows. They must not change until the batch is added or given up.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.batch = Batch(tables.version, tables.view, tables.forgotten_until)

    def write(self, write: Write) -> Outcome:
        """Carry out a write, or refuse it; see `Outcome`.

        Raises:
            ValueError: no store can carry it out.
        """
        batch = self.batch
        made = self._tables.made_by(write.nonce) or batch.nonces.get(write.nonce)
        if made is not None:
            return Outcome(True, made, batch.view)
        check(write)
        found = {(change.table, change.key): self._row(change.table, change.key) for change in write.changes}
        is_as_expected = all(
            change.expected is None or change.expected == _version_of(found[change.table, change.key])
            for change in write.changes
        )
        if not is_as_expected or write.view not in (None, batch.view):
            return Outcome(False, batch.version, batch.view, [row for row in found.values() if row is not None])
        batch.version += 1
        for change in write.changes:
            batch.rows[change.table, change.key] = Row(change.table, change.key, change.value, batch.version)
            if change.table == MEMBERS:
                batch.view = batch.version
        batch.nonces[write.nonce] = batch.version
        return Outcome(True, batch.version, batch.view)

    def _row(self, table: str, key: bytes) -> Row | None:
        row = self.batch.rows.get((table, key)) or self._tables.row(table, key)
        return None if row is None or row.value is None else row

    def close(self) -> Batch:
        """Return the batch. The oldest nonces and deletions beyond the bounds are forgotten with it."""
        batch, tables = self.batch, self._tables
        excess = tables.nonces_count + len(batch.nonces) - KEPT_NONCES_COUNT
        batch.forgotten_nonces = tables.oldest_nonces(max(0, excess))
        excess = tables.deletions_count - KEPT_DELETIONS_COUNT
        for row in tables.oldest_deletions(max(0, excess)):
            if (row.table, row.key) not in batch.rows:
                batch.forgotten.append((row.table, row.key))
            batch.forgotten_until = max(batch.forgotten_until, row.version)
        return batch


def check(write: Write) -> None:
    """Refuse a write that no store can carry out.

    Raises:
        ValueError: it changes one row twice.
    """
    if len({(change.table, change.key) for change in write.changes}) < len(write.changes):
        raise ValueError("a write changes one row twice")


def _version(row: Row) -> int:
    return row.version


def _version_of(row: Row | None) -> int:
    return MISSING if row is None else row.version
