"""Pure: the control store of a cluster: its rows, and requests to the node that has them.

A store that can't be reached or can't save answers with ControlUnavailableError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Request, verb

MEMBERS: Final = "members"
"""The table of the cluster's nodes. Writes to it compare the version of the view; see `Write.view`."""

MISSING: Final = 0
"""The version of a row that does not exist. The first write has version 1."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        table, key: its name.
        value: its contents; None if the row has been deleted.
        version: the version of the store that the write of this row made.
    """

    table: str
    key: bytes
    value: bytes | None
    version: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a write makes of one row.

    Attributes:
        table, key: the name of the row.
        value: its new contents; None deletes it.
        expected: the version that the row must have, `MISSING` for none; None: any.
    """

    table: str
    key: bytes
    value: bytes | None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Changes of rows that happen all at once, or not at all.

    Attributes:
        changes: the changes, each of another row.
        nonce: 16 random bytes that name the write. A write that is sent again under its nonce happens once.
        view: the version that the view must have; None: any.
    """

    changes: list[Change]
    nonce: bytes
    view: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write.

    Attributes:
        is_committed: whether the changes happened. They are on disk then.
        version: the version that the write made; of a refused write, the store's version.
        view: the version of the view after the write.
        rows: of a refused write, the rows that it would have changed, as they are, deleted and missing ones left out.
    """

    is_committed: bool
    version: int
    view: int
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class News:
    """The rows that were written after a version.

    Attributes:
        version: the store's version: the next question asks for what was written after it.
        view: the version of the last write to `MEMBERS`.
        now_s: the time by the store's wall clock, in seconds since 1970.
        rows: the rows, by version; deleted ones too.
        is_whole: whether these are all rows of the tables, since the store has forgotten which were deleted after the
            version asked for. The reader forgets the rows that it has.
    """

    version: int
    view: int
    now_s: float
    rows: list[Row]
    is_whole: bool


@verb("write_control", asked_by="a node of the cluster")
class WriteControl(Request[Outcome]):
    """Carry out a write; the answer comes when it is on disk, or has been refused."""

    write: Write


@verb("read_control", asked_by="a node of the cluster")
class ReadControl(Request[Row | None]):
    """Return a row, or nothing if there is none."""

    table: str
    key: bytes


@verb("read_news", asked_by="a node of the cluster")
class ReadNews(Request[News]):
    """Return the rows of these tables that were written after a version."""

    version: Count
    tables: list[str]
