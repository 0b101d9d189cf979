"""Pure: one object of the table: its state, and what keeps it alive.

            declare                 create                 seal
    (unknown) ─────▶ PENDING ────────────────▶ CREATED ─────────▶ SEALED ──free──▶ FREED, until unpinned
        │               │   ◀─ its maker ended ──┘                  │ └─ moved to disk ─▶ SPILLED, as SEALED
        └─ acquired ─▶ EXPECTED                                     └─ nobody refers to it ─▶ (gone)
    PENDING, CREATED, EXPECTED ── fail, or its declarer ended ─▶ FAILED ─ nobody refers to it ─▶ (gone)
    SPILLED, REMOTE, PENDING, CREATED ── its bytes or its promise are lost, and it has a keeper ─▶ LOST
    LOST ── a process waits for it: its keeper has promised it, and is asked to make it again ─▶ PENDING
    LOST ── its last keeper ended ─▶ FAILED

An object of another node that is held here without a copy is REMOTE. When it is fetched, it is created and sealed as
any other; when its copy is evicted, it is REMOTE again. Without a keeper, what is lost is FAILED.

Most objects are small, and no connection waits for them: the attributes that few objects need are allocated on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from actorrt.errors import ActorRtError, ObjectLostError, ObjectNotFoundError
from actorrt.ids import ObjectId, short
from actorrt.store.memory.pool import Place

Token = bytes
"""The name of a transit: the peer id of its sender, and a number."""


_NO_CONNECTIONS: Final[frozenset[int]] = frozenset()
_NO_TOKENS: Final[frozenset[Token]] = frozenset()


class State(StrEnum):
    """Where an object is in its life; see the diagram above."""

    EXPECTED = "expected"
    REMOTE = "remote"
    LOST = "lost"
    PENDING = "pending"
    CREATED = "created"
    SEALED = "sealed"
    SPILLED = "spilled"
    FAILED = "failed"
    FREED = "freed"


class Presence(IntEnum):
    """Whether an object is in the store, for a process that may have to make it again."""

    UNKNOWN = 0  # nobody refers to it
    HERE = 1  # it is here or will be, or has failed for good
    LOST = 2  # it is lost, and nobody else makes it again


@dataclass(slots=True)
class ObjectEntry:
    """One object.

    Attributes:
        place: its bytes from CREATED on, in a segment or in a spill file.
        maker: the connection that is writing it.
        declarer: the connection that promised it, until it is sealed.
        origin: the other node that made it, from which copies are fetched; None if this node made it.
        error: the reason of its failure, an exception or one as data.
        loss: why its bytes or its promise were lost; None once it is made again.
        keepers: the connections of the processes that can make it again; the first one is asked.
        holds, pins: how many refs, and how many mapped views, each connection has.
        waiters: the connections that are told when it is sealed or fails.
        transits: messages under way that carry it.
        containers_count: the number of times that other objects contain it.
        contained: the objects that it holds.
        is_private: only its maker knows the id, so no message about it can be under way.
        overtaken: transits whose arrival was reported before their departure. While there is one, its sender may
            still report an EXPECTED object.
        line: the file and line that made it, if known.
    """

    object_id: ObjectId
    state: State
    place: Place | None = None
    maker: int | None = None
    declarer: int | None = None
    origin: bytes | None = None
    error: ActorRtError | bytes | None = None
    loss: ActorRtError | None = None
    keepers: tuple[int, ...] = ()
    holds: dict[int, int] = field(default_factory=dict)
    pins: dict[int, int] = field(default_factory=dict)
    waiters: AbstractSet[int] = _NO_CONNECTIONS
    transits: set[Token] | frozenset[Token] = _NO_TOKENS
    containers_count: int = 0
    contained: Sequence[ObjectId] = ()
    is_private: bool = False
    overtaken: AbstractSet[Token] = _NO_TOKENS
    line: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether it is sealed, in memory or on disk."""
        return self.state is State.SEALED or self.state is State.SPILLED

    @property
    def is_idle(self) -> bool:
        """Whether it is sealed in memory and no process has it in view."""
        return self.state is State.SEALED and not self.pins

    def note_transit(self, token: Token, *, holds: bool) -> None:
        """Add a transit that holds the object, or remove it."""
        if isinstance(self.transits, frozenset):
            self.transits = {token} if holds else _NO_TOKENS
        elif holds:
            self.transits.add(token)
        else:
            self.transits.discard(token)

    def is_referred_to(self) -> bool:
        """Whether a ref, a view, a message or another object refers to it."""
        return bool(self.holds or self.pins or self.transits or self.containers_count)

    def is_unmade(self) -> bool:
        """Whether it may still be sealed."""
        return self.state in (State.EXPECTED, State.REMOTE, State.PENDING, State.CREATED, State.LOST)

    def is_asked_of(self, connection: int) -> bool:
        """Whether a connection has to make it again, and has not begun."""
        return self.state is State.PENDING and self.loss is not None and self.declarer == connection

    def is_being_written(self) -> bool:
        """Whether its maker may be writing its bytes now."""
        return self.maker is not None and self.place is not None

    def can_be_deleted(self) -> bool:
        """Whether it can be deleted."""
        is_wanted = bool(self.pins) if self.state is State.FREED else self.is_referred_to()
        return not is_wanted and not self.is_being_written()

    def is_unrelated_to(self, connection: int) -> bool:
        """Whether nothing ties it to a connection."""
        is_tied = connection in self.holds or connection in self.pins or connection in self.waiters
        return not is_tied and connection not in (self.maker, self.declarer) and connection not in self.keepers


def take_one(counts: dict[int, int], connection: int) -> None:
    """End one hold, or one pin, of a connection."""
    left_count = counts.get(connection, 0) - 1
    if left_count > 0:
        counts[connection] = left_count
    else:
        counts.pop(connection, None)


def lost(object_id: ObjectId, why: str) -> ObjectLostError:
    """Return the error of an object that can never be read."""
    return ObjectLostError(f"object {short(object_id)} is lost: {why}")


def not_found(object_id: ObjectId, why: str) -> ObjectNotFoundError:
    """Return the error of an object that the store does not have any more."""
    return ObjectNotFoundError(f"object {short(object_id)} {why}")
