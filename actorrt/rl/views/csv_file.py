"""Writes rows of metrics as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any, TextIO

Row = dict[str, Any]


def write_csv(path: str, rows: Sequence[Row]) -> None:
    """Write at least one row to a file; the last row decides the columns."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv_writer(file, rows).writerows(rows)


def csv_writer(file: TextIO, rows: Sequence[Row]) -> csv.DictWriter[str]:
    """Write the names of the columns, which are those of the last row, and return a writer of rows."""
    writer = csv.DictWriter(file, fieldnames=list(rows[-1]), extrasaction="ignore")
    writer.writeheader()
    return writer
