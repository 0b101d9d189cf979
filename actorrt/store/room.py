"""Pure: finds room for objects: in segments that are there, in new ones, and by moving others to disk.

Those who ask wait in a row for a segment that is being made or for objects that are being written to disk; the
first that can't be served even then is told that the store is full. Memory on loan is asked back when it is short.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from actorrt.config import MIB
from actorrt.errors import ActorRtError, ObjectStoreFullError
from actorrt.ids import ObjectId
from actorrt.store.arena import align
from actorrt.store.connections import Connections
from actorrt.store.failures import encode_plain
from actorrt.store.instructions import Make, Spill
from actorrt.store.lending import Lending
from actorrt.store.pool import Growth, Place, Pool
from actorrt.store.protocol import Event, Role, Status
from actorrt.store.spilled import SpillFiles
from actorrt.store.table import ObjectTable

_HOLDERS_SHOWN_COUNT: Final = 5
_EVICTED_SHARE: Final = 16  # of what is wanted, before looking whether there is room: not many more go than must
_SPILL_BYTES: Final = 32 * MIB
_AHEAD_MIN_BYTES: Final = 1 * MIB
_AHEAD_MAX_BYTES: Final = 512 * MIB


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who asks for room: for objects, or for memory on loan where there are none.

    Attributes:
        length_bytes: of one range for all of them. Whoever asks for several gets all or nothing, so that no two wait
            for each other, each with half of what it needs.
        objects: each with its length.
    """

    connection: int
    serial: int
    length_bytes: int
    objects: tuple[tuple[ObjectId, int], ...] = ()
    is_promised: bool = False
    line: str = ""


class Room:
    """The memory and the disk of one store, as its objects use them.

    Args:
        pool: the segments.
        table: the objects.
        connections: who asks, and what is told to them.
        may_spill: whether there is a disk to move objects to.
    """

    def __init__(self, pool: Pool, table: ObjectTable, connections: Connections, *, may_spill: bool) -> None:
        self.lending = Lending(pool)
        self.files = SpillFiles()
        self.spills_count = 0
        self.evictions_count = 0
        self._pool = pool
        self._table = table
        self._connections = connections
        self._may_spill = may_spill
        self._waiting: deque[Request] = deque()
        self._growing: set[int] = set()
        self._ahead_for: dict[int, int] = {}
        self._spilling: dict[int, tuple[tuple[ObjectId, Place], ...]] = {}
        self._disk_trouble = ""

    def forget(self, connection: int) -> None:
        """A connection ended: it waits no more, and its memory serves others."""
        self._waiting = deque(request for request in self._waiting if request.connection != connection)
        self.lending.forget(connection)
        self._connections.retire(self._pool.disown(connection))

    # Asking

    def ask(self, request: Request) -> None:
        """Answer a request, now or when there is room.

        Raises:
            ObjectStoreFullError: there is no room, and none can be made.
        """
        if not self._try(request):
            self._waiting.append(request)

    def _try(self, request: Request) -> bool:
        """Answer a request; False where it must wait."""
        if not request.objects:
            return self._try_lend(request)
        found = self._pool.allocate(request.length_bytes, request.connection)
        while found is None and self._evict(request.length_bytes):
            found = self._pool.allocate(request.length_bytes, request.connection)
        if found is None:
            return self._make_way(request)
        if isinstance(found, Growth):
            if not self._growing:
                self._grow(found, request.connection)
            return False
        self._create(request, found)
        self._connections.reply_place(request.connection, request.serial, found, writable=True)
        self._grow_ahead(request)
        return True

    def _evict(self, length_bytes: int) -> bool:
        """Give up copies of what lies elsewhere; False where there are none."""
        places = self._table.evict_copies(length_bytes // _EVICTED_SHARE)
        self.evictions_count += len(places)
        for place in places:
            self.free(place)
        return bool(places)

    def _create(self, request: Request, room: Place) -> None:
        """Begin the objects of a request, one after the other in the room that was found."""
        offset = room.offset
        for object_id, length_bytes in request.objects:
            place = Place(room.segment_id, offset, length_bytes)
            offset += align(length_bytes)
            if (object_id, length_bytes) != request.objects[-1]:
                self._pool.split(place)
            self._table.create(object_id, request.connection, place, is_promised=request.is_promised, line=request.line)

    def _try_lend(self, request: Request) -> bool:
        found = self.lending.lend(request.connection, request.length_bytes)
        if isinstance(found, Growth):
            if not self._growing:
                self._grow(found, None)
            return False
        if found is None:
            self._connections.reply(request.connection, request.serial, Status.DONE, None)
        else:
            self._connections.reply_place(request.connection, request.serial, found, writable=True)
            if found.length_bytes >= _AHEAD_MIN_BYTES:
                self.make_spare()  # whoever fills loans quickly needs the next one soon
        return True

    def retry(self) -> None:
        """Answer those whom there is room for now, and those whom there is none for."""
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            try:
                if any([not self._table.may_create(object_id) for object_id, _ in request.objects]):
                    self._connections.reply(request.connection, request.serial, Status.DONE, None)
                elif not self._try(request):
                    self._waiting.append(request)
            except ActorRtError as error:
                self._connections.reply(request.connection, request.serial, Status.ERROR, encode_plain(error))

    # Segments

    def _grow(self, growth: Growth, owner: int | None, *, is_ahead: bool = False) -> None:
        self._pool.begin(growth, owner)
        self._connections.retire(list(growth.give_up))
        self._growing.add(growth.segment_id)
        self._connections.instructions.append(Make(growth.segment_id, growth.make_bytes, is_ahead))

    def _grow_ahead(self, request: Request) -> None:
        """Have the segment made that a writer of large objects needs next; the writer warms it by itself."""
        if self._growing or not _AHEAD_MIN_BYTES <= request.length_bytes <= _AHEAD_MAX_BYTES:
            return
        growth = self._pool.next_for(request.connection, request.length_bytes)
        if growth is not None:
            self._ahead_for[growth.segment_id] = request.connection
            self._grow(growth, request.connection)

    def make_spare(self) -> None:
        """Have a segment made ahead of need, where there is none and memory is not short."""
        spare = None if self._growing else self._pool.spare()
        if spare is not None:
            self._grow(spare, None, is_ahead=True)

    def segment_made(self, segment_id: int, error: ObjectStoreFullError | None) -> None:
        """Go on with what waited for a segment; `error` says why it could not be made."""
        self._growing.discard(segment_id)
        self._pool.finish(segment_id, is_made=error is None)
        ahead_for = self._ahead_for.pop(segment_id, None)
        if error is None and ahead_for is not None:
            self._connections.offer(ahead_for, segment_id)
        if error is not None and ahead_for is None and self._waiting:
            first = self._waiting.popleft()
            self._connections.reply(first.connection, first.serial, Status.ERROR, encode_plain(error))
        self.retry()

    def trim(self) -> None:
        """Give idle segments back. Call it now and then: what is unused from one call to the next is idle."""
        self._connections.retire(self._pool.trim())

    # The disk

    def _make_way(self, request: Request) -> bool:
        """Begin to move others to disk, and have the request wait for that.

        Raises:
            ObjectStoreFullError: there is nothing that could be moved, or no disk to move it to.
        """
        self._recall()
        if self._spilling:
            return False
        if not self._may_spill or self._disk_trouble or not self._table.has_idle():
            raise self._full(request.length_bytes)
        wanted_bytes = max(request.length_bytes, min(_SPILL_BYTES, self._pool.capacity_bytes // 8))
        objects = tuple(self._table.least_recently_used(wanted_bytes))
        file_id = self._pool.new_segment_id()
        self._spilling[file_id] = objects
        self._connections.instructions.append(Spill(file_id, objects))
        return False

    def spilled(self, file_id: int, offsets: list[int], trouble: str) -> None:
        """Take note of a spill file that was written; `retry` when what it freed is given back.

        Args:
            file_id: which.
            offsets: where in it each object's bytes begin.
            trouble: why it could not be written; empty where it was.
        """
        objects = self._spilling.pop(file_id)
        self._disk_trouble = trouble
        moved = []
        for (object_id, source), offset in zip(objects if not trouble else (), offsets, strict=True):
            target = Place(file_id, offset, source.length_bytes)
            if self._table.move(object_id, source, target):
                moved.append((object_id, target))
        self.spills_count += len(moved)
        if not self.files.add(file_id, moved) and not trouble:
            self._connections.retire([file_id])

    def try_disk_again(self) -> None:
        """Forget that the disk failed, and let those who wait for room try."""
        self._disk_trouble = ""
        self.offer()

    @property
    def disk_trouble(self) -> str:
        """Why the disk takes nothing at the moment; empty where it does."""
        return self._disk_trouble

    # Giving back

    def free(self, place: Place) -> None:
        """Give an object's bytes back."""
        if place.segment_id not in self.files:
            self._pool.free(place)
        elif self.files.free(place):
            self._connections.retire([place.segment_id])

    def offer(self) -> None:
        """Tell those who wait for room when there may be enough; they ask again, and may wait again."""
        may_spill = self._may_spill and not self._disk_trouble and self._table.has_idle()
        for known in self._connections:
            wanted_bytes = known.room_wanted_bytes
            if wanted_bytes is not None and (may_spill or self._pool.has_room(wanted_bytes)):
                known.room_wanted_bytes = None
                self._connections.tell(known.number, [Event.ROOM])

    def _recall(self) -> None:
        """Have every process let go of what it keeps without need."""
        for known in self._connections:
            if known.role is Role.EVENTS:
                self._connections.tell(known.number, [Event.RECALL])

    def _full(self, length_bytes: int) -> ObjectStoreFullError:
        holders: Counter[str] = Counter()
        for entry in self._table.entries():
            if entry.place is not None and entry.place.segment_id not in self.files:
                for connection in {*entry.holds, *entry.pins} & {known.number for known in self._connections}:
                    holders[self._connections[connection].label] += entry.place.length_bytes
        largest = [f"{label} {size / MIB:.1f} MiB" for label, size in holders.most_common(_HOLDERS_SHOWN_COUNT)]
        why = f"; nothing can be moved to disk: {self._disk_trouble}" if self._disk_trouble else ""
        return ObjectStoreFullError(
            f"no room for {length_bytes / MIB:.1f} MiB: {self._pool.used_bytes / MIB:.1f} of "
            f"{self._pool.capacity_bytes / MIB:.1f} MiB are used; largest holders: {', '.join(largest) or 'none'}{why}"
        )
