"""Pure: instructions of a store's core to its shell, and of its table to the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorrt.errors import ActorRtError
from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place
from actorrt.store.table.objects import Token


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message, with the descriptor of a segment or of a spill file if there is one."""

    connection: int
    message: list[Any]
    segment_id: int | None = None
    writable: bool = False


@dataclass(frozen=True, slots=True)
class MakeSegment:
    """Make a segment, then call `segment_made`."""

    segment_id: int
    size_bytes: int
    is_ahead: bool
    """Whether no request waits for it, so that there is time to warm its pages."""


@dataclass(frozen=True, slots=True)
class DropSegment:
    """Close a segment or a spill file."""

    segment_id: int


@dataclass(frozen=True, slots=True)
class Spill:
    """Write objects into a spill file, then call `spilled`. Their segments are not dropped before."""

    file_id: int
    objects: tuple[tuple[ObjectId, Place], ...]


@dataclass(frozen=True, slots=True)
class Verify:
    """Check the bytes of a spilled object against its checksum, then call `verified`."""

    object_id: ObjectId
    place: Place


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch an adopted object: have it created and sealed here, or failed, because a process waits for it."""

    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class ObjectReady:
    """Tell a connection that an object is sealed."""

    connection: int
    object_id: ObjectId


@dataclass(frozen=True, slots=True)
class ObjectFailed:
    """Tell a connection that an object has failed. `error` is an exception, or its data."""

    connection: int
    object_id: ObjectId
    error: ActorRtError | bytes


@dataclass(frozen=True, slots=True)
class AskKeeper:
    """Ask a process to make a lost object again; `loss` says how it was lost."""

    connection: int
    object_id: ObjectId
    loss: ActorRtError


@dataclass(frozen=True, slots=True)
class FreeBytes:
    """The bytes at this place are free."""

    place: Place


@dataclass(frozen=True, slots=True)
class Adopt:
    """Have the store that made an object hold it for this node, then tell the node that sent its ref."""

    object_id: ObjectId
    node: bytes
    token: Token | None


@dataclass(frozen=True, slots=True)
class TransitArrived:
    """Tell a node that a transit of one of its processes has arrived; the object is held here."""

    object_id: ObjectId
    node: bytes
    token: Token


@dataclass(frozen=True, slots=True)
class ReleaseAdopted:
    """Release an adopted object at the store that made it; nothing here refers to it any more."""

    object_id: ObjectId


TableInstruction = ObjectReady | ObjectFailed | AskKeeper | FreeBytes | Adopt | TransitArrived | ReleaseAdopted
Instruction = Send | MakeSegment | DropSegment | Spill | Verify | Fetch | Adopt | TransitArrived | ReleaseAdopted
