"""Pure: what a store's core tells its shell to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorrt.ids import ObjectId
from actorrt.store.pool import Place


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; beside it, the descriptor of a segment or of a spill file."""

    connection: int
    message: list[Any]
    segment_id: int | None = None
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Make:
    """Make a segment, then say `segment_made`."""

    segment_id: int
    size_bytes: int
    is_ahead: bool
    """Nobody waits for it: there is time to make its pages warm."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close a segment or a spill file."""

    segment_id: int


@dataclass(frozen=True, slots=True)
class Spill:
    """Write objects into a spill file, then say `spilled`. Their segments are not dropped before this is told."""

    file_id: int
    objects: tuple[tuple[ObjectId, Place], ...]


@dataclass(frozen=True, slots=True)
class Verify:
    """Check the bytes of a spilled object against its checksum, then say `verified`."""

    object_id: ObjectId
    place: Place


@dataclass(frozen=True, slots=True)
class Fetch:
    """Have an object that was made elsewhere created and sealed here, or failed; somebody waits for it."""

    object_id: ObjectId
    origin: bytes


Instruction = Send | Make | Drop | Spill | Verify | Fetch
