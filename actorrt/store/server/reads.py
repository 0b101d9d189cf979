"""Pure: answers reads with pinned objects; an object that comes from disk is verified first.

Objects that a process is likely to read next are pinned without being asked for, if it has their segments already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actorrt.config import STORE_THRESHOLD_BYTES
from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, short
from actorrt.store.memory.pool import Place
from actorrt.store.server.arguments import object_id_of
from actorrt.store.server.connections import EXCHANGE_EVENTS, Connections
from actorrt.store.server.spilled import SpillFiles
from actorrt.store.table.instructions import Verify
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import Event, Status

_SMALL_BYTES: Final = STORE_THRESHOLD_BYTES
"""The longest object that is pinned beside another one: the pin costs little if nobody reads the object."""
_MAX_PINNED_AHEAD_COUNT: Final = 16
"""The most objects that are pinned when they become ready together: a process that waits for more does not read all of
them next."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A read that is to be answered; `more` is appended to the answer."""

    connection: int
    serial: int
    more: tuple[Any, ...]


class Reads:
    """The reads of one store.

    Args:
        table: the objects.
        connections: the clients.
        files: the objects on disk.

    Attributes:
        hits_count: how many reads found their object in memory or on disk.
        restores_count: how many objects on disk were found unchanged.
    """

    def __init__(self, table: ObjectTable, connections: Connections, files: SpillFiles) -> None:
        self._table = table
        self._connections = connections
        self._files = files
        self._verifying: dict[ObjectId, list[ReadRequest]] = {}
        self._listening: dict[ObjectId, set[int]] = {}
        self._settling: list[tuple[set[ObjectId], Callable[[], None]]] = []
        self.hits_count = 0
        self.restores_count = 0

    def answer(self, entry: ObjectEntry, read: ReadRequest) -> None:
        """Pin an object and answer with its place; an object on disk is verified first, once."""
        self.hits_count += 1
        place = self._table.pin(entry.object_id, read.connection)
        if self.can_be_answered(entry):
            self._connections.reply_place(read.connection, read.serial, place, writable=False, more=read.more)
        else:
            self._verify(entry.object_id, place)
            self._verifying[entry.object_id].append(read)

    def can_be_answered(self, entry: ObjectEntry) -> bool:
        """Whether a read can be answered at once: the object is in memory, or was verified since it came to disk."""
        on_disk = entry.place is not None and entry.place.segment_id in self._files
        return not on_disk or self._files.is_verified(entry.object_id)

    def announce(self, entry: ObjectEntry, waiter: int) -> None:
        """Tell a waiter when an object on disk is verified."""
        assert entry.place is not None, "it is on disk"
        self._verify(entry.object_id, entry.place)
        self._listening.setdefault(entry.object_id, set()).add(waiter)

    def when_settled(self, object_ids: Iterable[ObjectId], then: Callable[[], None]) -> None:
        """Call `then` when it is known which of some objects are unchanged on disk: now, if none is to be verified."""
        unsettled: set[ObjectId] = set()
        for object_id in object_ids:
            entry = self._table.get(object_id)
            if entry is not None and entry.place is not None and not self.can_be_answered(entry):
                unsettled.add(object_id)
                self._verify(object_id, entry.place)
        if unsettled:
            self._settling.append((unsettled, then))
        else:
            then()

    def _settle(self, object_id: ObjectId) -> None:
        settling, self._settling = self._settling, []
        for unsettled, then in settling:
            unsettled.discard(object_id)
            if unsettled:
                self._settling.append((unsettled, then))
            else:
                then()

    def _verify(self, object_id: ObjectId, place: Place) -> None:
        """Have an object on disk verified, unless that is under way."""
        if object_id not in self._verifying:
            self._verifying[object_id] = []
            self._connections.instructions.append(Verify(object_id, place))

    def verified(self, object_id: ObjectId, place: Place, trouble: str) -> None:
        """Called when an object on disk is verified; `trouble` says what is wrong with its bytes."""
        reads = [read for read in self._verifying.pop(object_id) if read.connection in self._connections]
        listeners = self._listening.pop(object_id, ())
        if not trouble:
            self.restores_count += 1
            if self._table.get(object_id) is not None:
                self._files.note_verified(object_id)
            for read in reads:
                self._connections.reply_place(read.connection, read.serial, place, writable=False, more=read.more)
            for listener in listeners:
                self._connections.tell(listener, [Event.READY, [object_id]])
            self._settle(object_id)
            return
        for read in reads:
            self._table.unpin(object_id, read.connection)
        loss = ObjectLostError(f"object {short(object_id)} is lost: its spill file {trouble}")
        self._table.lose(object_id, loss)
        self._answer_lost(object_id, loss, reads)
        for listener in listeners:
            self._table.subscribe(object_id, listener)
        self._settle(object_id)

    def _answer_lost(self, object_id: ObjectId, loss: ObjectLostError, reads: Sequence[ReadRequest]) -> None:
        """Answer reads of an object whose bytes are lost: it has failed, or can be made again for who waits for it."""
        entry = self._table.get(object_id)
        for read in reads:
            if entry is not None and entry.is_unmade():
                self._connections.reply(read.connection, read.serial, Status.PENDING, None)
            else:
                self._connections.reply(read.connection, read.serial, Status.ERROR, encode_plain(loss))

    def pin_beside(self, connection: int, first: ObjectEntry, object_ids: Sequence[bytes]) -> list[list[Any]]:
        """Pin small objects that are likely to be read next, if the process has their segments by then."""
        assert first.place is not None, "it is readable"
        mapped = self._connections[connection].mapped | {(first.place.segment_id, False)}
        return self._pin_ahead(connection, object_ids, mapped, _SMALL_BYTES)

    def pin_ready(self, waiter: int, object_ids: Sequence[ObjectId]) -> list[list[Any]]:
        """Pin objects that a process waited for, if it has their segments: it reads them next.

        Nothing is pinned for the exchange, which asks for each object that it reads.
        """
        reader = self._connections.speaker(waiter)
        if reader is None or waiter == EXCHANGE_EVENTS or len(object_ids) > _MAX_PINNED_AHEAD_COUNT:
            return []
        return self._pin_ahead(reader, object_ids, self._connections[reader].mapped, None)

    def _pin_ahead(
        self, reader: int, object_ids: Sequence[bytes], mapped: set[tuple[int, bool]], max_bytes: int | None
    ) -> list[list[Any]]:
        pinned = []
        for object_id in object_ids:
            entry = self._table.get(object_id_of(object_id))
            place = None if entry is None else entry.place
            if entry is None or place is None or entry.state is not State.SEALED:
                continue
            is_short = max_bytes is None or place.length_bytes <= max_bytes
            if is_short and (place.segment_id, False) in mapped:
                self._table.pin(entry.object_id, reader)
                self.hits_count += 1
                pinned.append([object_id, place.segment_id, place.offset, place.length_bytes])
        return pinned
