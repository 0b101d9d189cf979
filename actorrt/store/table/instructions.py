"""Pure: what a store's core tells its shell to do, and its table the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorrt.errors import ActorRtError
from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place
from actorrt.store.table.objects import Token


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; beside it, the descriptor of a segment or of a spill file."""

    connection: int
    message: list[Any]
    segment_id: int | None = None
    writable: bool = False


@dataclass(frozen=True, slots=True)
class MakeSegment:
    """Make a segment, then say `segment_made`."""

    segment_id: int
    size_bytes: int
    is_ahead: bool
    """Nobody waits for it: there is time to make its pages warm."""


@dataclass(frozen=True, slots=True)
class DropSegment:
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
    """Have an object that was adopted created and sealed here, or failed; somebody waits for it."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class ObjectReady:
    """Tell a connection that an object is sealed."""

    connection: int
    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class ObjectFailed:
    """Tell a connection that an object will never be. `error` is an exception, or one as data."""

    connection: int
    object_id: ObjectId
    error: ActorRtError | bytes


@dataclass(frozen=True, slots=True)
class FreeBytes:
    """The bytes at this place are free."""

    place: Place


@dataclass(frozen=True, slots=True)
class Adopt:
    """Have an object held for this node where it was made, then say so at the node that told of it."""

    object_id: ObjectId
    node: bytes
    token: Token | None


@dataclass(frozen=True, slots=True)
class TransitArrived:
    """Tell a node that a transit of one of its processes has arrived; the object is held already."""

    object_id: ObjectId
    node: bytes
    token: Token


@dataclass(frozen=True, slots=True)
class ReleaseAdopted:
    """Nobody here refers any more to what was adopted."""

    object_id: ObjectId


TableInstruction = ObjectReady | ObjectFailed | FreeBytes | Adopt | TransitArrived | ReleaseAdopted
Instruction = Send | MakeSegment | DropSegment | Spill | Verify | Fetch | Adopt | TransitArrived | ReleaseAdopted
