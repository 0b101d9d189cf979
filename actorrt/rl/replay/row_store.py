"""Pure: the rows that items of replay tables refer to, one array for each column; a row goes with its last item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from actorrt.rl.spaces.array_spaces import Array

FIRST_COUNT = 1_024


class RowStore:
    """Rows of equal columns. The first rows decide which columns there are, their types and their shapes.

    Args:
        capacity: the largest number of rows.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._columns: dict[str, Array] = {}
        self._holders = np.zeros(0, np.int32)
        self._free = np.zeros(0, np.int64)  # a stack, of which the first `_free_count` are there
        self._free_count = 0

    def __len__(self) -> int:
        return len(self._holders) - self._free_count

    @property
    def row_bytes(self) -> int:
        """The number of bytes of a row; 0 before there are any."""
        return sum(column[:1].nbytes for column in self._columns.values())

    @property
    def allocated_bytes(self) -> int:
        """The number of bytes of all rows that there is memory for."""
        return sum(column.nbytes for column in self._columns.values())

    def require(self, columns: Mapping[str, Array]) -> int:
        """Make sure that rows fit; return their number.

        Raises:
            ValueError: columns are missing or unknown, of unequal lengths, or of another type or shape than before.
        """
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"the columns of rows have one length: {_shown(columns)}")
        if self._columns:
            kept = {name: (column.dtype, column.shape[1:]) for name, column in self._columns.items()}
            given = {name: (column.dtype, column.shape[1:]) for name, column in columns.items()}
            if kept != given:
                raise ValueError(f"rows have the columns {_shown(self._columns)}, not {_shown(columns)}")
        return lengths.pop()

    def add(self, columns: Mapping[str, Array], holders: Array) -> Array:
        """Copy rows into the store; return their places.

        Args:
            columns: an array for each column, as `require` checks.
            holders: the number of items that refer to each row, 1 or more.

        Raises:
            ValueError: as by `require`; nothing changes.
        """
        count = self.require(columns)
        if not self._columns:
            self._columns = {name: np.empty((0, *c.shape[1:]), c.dtype) for name, c in columns.items()}
        while self._free_count < count:
            self._grow(count)
        self._free_count -= count
        rows = self._free[self._free_count : self._free_count + count].copy()
        for name, column in columns.items():
            self._columns[name][rows] = column
        self._holders[rows] = holders
        return rows

    def _grow(self, count: int) -> None:
        """Get memory for more rows: twice as many, up to the capacity, and for what is under way beyond it."""
        held = len(self._holders)
        size = max(held + count, min(max(FIRST_COUNT, 2 * held), self._capacity))
        for name, column in self._columns.items():
            grown = np.empty((size, *column.shape[1:]), column.dtype)
            grown[:held] = column
            self._columns[name] = grown
        self._holders = np.concatenate([self._holders, np.zeros(size - held, np.int32)])
        free = np.empty(size, np.int64)
        free[: self._free_count] = self._free[: self._free_count]
        free[self._free_count : self._free_count + size - held] = np.arange(size - 1, held - 1, -1)
        self._free, self._free_count = free, self._free_count + size - held

    def release(self, rows: Array) -> None:
        """Take away one holder of each of these rows, which may be there several times; those without any are free."""
        if not len(rows):
            return
        np.subtract.at(self._holders, rows, 1)
        gone = np.sort(rows[self._holders[rows] == 0])
        gone = gone[np.diff(gone, prepend=-1) > 0]  # once, if it was there several times
        self._free[self._free_count : self._free_count + len(gone)] = gone
        self._free_count += len(gone)

    def take(self, rows: Array, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Copy rows out of the store.

        Args:
            rows: their places.
            out: an array for each column to copy into; None makes new ones.
        """
        return {
            name: np.take(column, rows, axis=0, out=None if out is None else out[name], mode="clip")
            for name, column in self._columns.items()
        }

    def shapes(self, count: int) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the shape and the type of each column of so many rows."""
        return {name: ((count, *column.shape[1:]), column.dtype) for name, column in self._columns.items()}

    def check_invariants(self) -> None:
        """Raise AssertionError if free rows have holders, or others have none."""
        free = self._free[: self._free_count]
        assert len(np.unique(free)) == len(free), "a row is free twice"
        assert (self._holders >= 0).all(), "a row was released too often"
        assert np.count_nonzero(self._holders == 0) == len(free), "a row without a holder is not free"
        assert not self._holders[free].any(), "a free row has a holder"


def _shown(columns: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {column.dtype}{list(column.shape)}" for name, column in columns.items())
