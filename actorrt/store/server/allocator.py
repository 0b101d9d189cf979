"""Pure: allocates memory for objects: in existing segments, in new ones, and by moving other objects to disk.

Requests wait in order (see `allocation_requests`) while a segment is made or objects are written to disk. If that does
not help, a request fails because the store is full, or waits until other objects are released. Loans are recalled
when memory is short.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from actorrt.config import MIB
from actorrt.errors import ActorRtError, ObjectStoreFullError
from actorrt.ids import ObjectId
from actorrt.store.memory.arena import align
from actorrt.store.memory.lending import Lending
from actorrt.store.memory.pool import Growth, Place, Pool
from actorrt.store.server.allocation_requests import AllocationRequest, AllocationRequests
from actorrt.store.server.connections import Connections
from actorrt.store.server.spilled import SpillFiles
from actorrt.store.table.instructions import MakeSegment, Spill
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import Event, Role, Status, Wait

_HOLDERS_SHOWN_COUNT: Final = 5
_EVICTED_SHARE: Final = 16  # of the wanted bytes at a time, so that little more is evicted than needed
_SPILL_BYTES: Final = 32 * MIB
_AHEAD_MIN_BYTES: Final = 1 * MIB
_AHEAD_MAX_BYTES: Final = 512 * MIB


class Allocator:
    """Allocates the memory and the disk space of one store.

    Args:
        pool: the segments.
        table: the objects.
        connections: the clients.
        may_spill: whether there is a disk to move objects to.

    Attributes:
        lending: the memory on loan.
        files: the objects on disk.
        spills_count, evictions_count: how many objects were moved to disk, and how many copies were evicted.
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
        self._requests = AllocationRequests()
        self._growing: set[int] = set()
        self._ahead_for: dict[int, int] = {}
        self._spilling: dict[int, tuple[tuple[ObjectId, Place], ...]] = {}
        self._disk_trouble = ""

    def forget(self, connection: int) -> None:
        """Called when a connection ended: drops its requests, and lets others use its segments."""
        self._requests.forget(connection)
        self.lending.forget(connection)
        self._connections.retire(self._pool.disown(connection))

    # Asking

    def ask(self, request: AllocationRequest) -> None:
        """Answer a request with a place, or with WAIT; a request for a loan is answered when there is memory.

        Raises:
            ObjectStoreFullError: there is no memory, and none can be made available.
        """
        if request.length_bytes > self._pool.capacity_bytes:
            raise self._too_large(request.length_bytes)
        waits_for = self._try(request)
        if waits_for is None:
            return
        self._requests.add(request)
        if request.objects:
            self._connections.reply(request.connection, request.serial, Status.WAIT, waits_for)

    def await_settled(self, connection: int, object_id: ObjectId, listener: int) -> None:
        """Tell a listener when a connection can take the outcome of its request: now, if the request does not wait."""
        deferred = self._requests.deferred((connection, object_id))
        if deferred is None or deferred.is_settled:
            self._connections.tell(listener, [Event.ALLOCATION, object_id])
        else:
            deferred.listeners.add(listener)

    def take(self, connection: int, serial: int, object_id: ObjectId) -> None:
        """Answer with the outcome of a request that had to wait; withdraw the request if it waits still.

        Raises:
            ObjectStoreFullError: as `ask`.
            ValueError: the connection has no such request.
        """
        deferred = self._requests.remove((connection, object_id))
        if deferred is None:
            raise ValueError("only the connection that asked for memory takes it")
        if not deferred.is_settled:
            raise self._full(deferred.request.length_bytes)
        if isinstance(deferred.outcome, ActorRtError):
            raise deferred.outcome
        self._reply(connection, serial, deferred.outcome)

    def withdraw(self, connection: int, object_id: ObjectId) -> None:
        """Withdraw a request. If its objects have been begun, the caller aborts them."""
        self._requests.remove((connection, object_id))

    def _settle(self, request: AllocationRequest, outcome: Place | ActorRtError | None) -> None:
        """Answer a request with its outcome."""
        deferred = self._requests.deferred_for(request)
        if deferred is not None:
            deferred.is_settled, deferred.outcome = True, outcome
            for listener in deferred.listeners:
                self._connections.tell(listener, [Event.ALLOCATION, request.objects[0][0]])
        elif isinstance(outcome, ActorRtError):
            self._connections.reply(request.connection, request.serial, Status.ERROR, encode_plain(outcome))
        else:
            self._reply(request.connection, request.serial, outcome)

    def _reply(self, connection: int, serial: int, place: Place | None) -> None:
        if place is None:
            self._connections.reply(connection, serial, Status.DONE, None)
        else:
            self._connections.reply_place(connection, serial, place, writable=True)

    def _try(self, request: AllocationRequest) -> Wait | None:
        """Serve a request, or return the reason why it must wait."""
        if not request.objects:
            return self._try_lend(request)
        found = self._pool.allocate(request.length_bytes, request.connection)
        while found is None and self._evict(request.length_bytes):
            found = self._pool.allocate(request.length_bytes, request.connection)
        if found is None:
            self._free_space(request)
            return Wait.SPACE
        if isinstance(found, Growth):
            if not self._growing:
                self._grow(found, request.connection)
            return Wait.MEMORY
        self._create(request, found)
        self._settle(request, found)
        self._grow_ahead(request)
        return None

    def _evict(self, length_bytes: int) -> bool:
        """Evict copies of other nodes' objects; False if there are none."""
        places = self._table.idle.evict_copies(length_bytes // _EVICTED_SHARE)
        self.evictions_count += len(places)
        for place in places:
            self.free(place)
        return bool(places)

    def _create(self, request: AllocationRequest, found: Place) -> None:
        """Begin the objects of a request, one after the other in the range that was found."""
        offset = found.offset
        for object_id, length_bytes in request.objects:
            place = Place(found.segment_id, offset, length_bytes)
            offset += align(length_bytes)
            if (object_id, length_bytes) != request.objects[-1]:
                self._pool.split(place)
            self._table.create(object_id, request.connection, place, is_promised=request.is_promised, line=request.line)

    def _try_lend(self, request: AllocationRequest) -> Wait | None:
        found = self.lending.lend(request.connection, request.length_bytes)
        if isinstance(found, Growth):
            if not self._growing:
                self._grow(found, None)
            return Wait.MEMORY
        self._settle(request, found)
        if found is not None and found.length_bytes >= _AHEAD_MIN_BYTES:
            self.make_spare()  # a process that fills loans quickly needs the next one soon
        return None

    def retry(self) -> None:
        """Try every request that waits: serve it, fail it, or leave it waiting."""
        self._requests.try_each(self._try_again)

    def _try_again(self, request: AllocationRequest) -> bool:
        """Serve a request that waits, or fail it; False if it must wait longer."""
        try:
            if any([not self._table.may_create(object_id) for object_id, _ in request.objects]):
                self._settle(request, None)
                return True
            return self._try(request) is None
        except ActorRtError as error:
            self._settle(request, error)
            return True

    # Segments

    def _grow(self, growth: Growth, owner: int | None, *, is_ahead: bool = False) -> None:
        self._pool.begin(growth, owner)
        self._connections.retire(list(growth.give_up))
        self._growing.add(growth.segment_id)
        self._connections.instructions.append(MakeSegment(growth.segment_id, growth.make_bytes, is_ahead))

    def _grow_ahead(self, request: AllocationRequest) -> None:
        """Make the segment that a writer of large objects needs next; the writer warms it itself."""
        if self._growing or not _AHEAD_MIN_BYTES <= request.length_bytes <= _AHEAD_MAX_BYTES:
            return
        growth = self._pool.next_for(request.connection, request.length_bytes)
        if growth is not None:
            self._ahead_for[growth.segment_id] = request.connection
            self._grow(growth, request.connection)

    def make_spare(self) -> None:
        """Make a segment ahead of need if there is no unused one and memory is not short."""
        spare = None if self._growing else self._pool.spare()
        if spare is not None:
            self._grow(spare, None, is_ahead=True)

    def segment_made(self, segment_id: int, error: ObjectStoreFullError | None) -> None:
        """Called when a segment is made; `error` says why it could not be."""
        self._growing.discard(segment_id)
        self._pool.finish(segment_id, is_made=error is None)
        ahead_for = self._ahead_for.pop(segment_id, None)
        if error is None and ahead_for is not None:
            self._connections.offer(ahead_for, segment_id)
        first = self._requests.take_first() if error is not None and ahead_for is None else None
        if error is not None and first is not None:
            self._settle(first, error)
        self.retry()

    def trim(self) -> None:
        """Drop idle segments. Call it periodically: a segment that is unused between two calls is idle."""
        self._connections.retire(self._pool.trim())

    # The disk

    def _free_space(self, request: AllocationRequest) -> None:
        """Recall loans and cached refs from all processes, and begin to move objects to disk.

        Raises:
            ObjectStoreFullError: there is no idle object or no disk, and the request does not wait for releases.
        """
        self._recall()
        if self._spilling:
            return
        if not self._may_spill or self._disk_trouble or not self._table.idle:
            if request.waits_for_release:
                return
            raise self._full(request.length_bytes)
        wanted_bytes = max(request.length_bytes, min(_SPILL_BYTES, self._pool.capacity_bytes // 8))
        objects = tuple(self._table.idle.least_recently_used(wanted_bytes))
        file_id = self._pool.new_segment_id()
        self._spilling[file_id] = objects
        self._connections.instructions.append(Spill(file_id, objects))

    def spilled(self, file_id: int, offsets: list[int], trouble: str) -> None:
        """Called when a spill file was written; call `retry` when the memory of its objects is free.

        Args:
            file_id: the file.
            offsets: the start of each object's bytes in it.
            trouble: the reason why it was not written; empty if it was.
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
        """Forget that the disk failed, and try the requests that wait."""
        self._disk_trouble = ""
        self.offer()

    # Freeing

    def free(self, place: Place) -> None:
        """Free an object's bytes."""
        if place.segment_id not in self.files:
            self._pool.free(place)
        elif self.files.free(place):
            self._connections.retire([place.segment_id])

    def offer(self) -> None:
        """Try the requests that wait for releases, if there may be enough memory."""
        if not self._requests or self._growing or self._spilling:
            return  # the requests are tried when the segment or the file is written
        may_spill = self._may_spill and not self._disk_trouble and bool(self._table.idle)
        if may_spill or any(self._pool.has_room(request.length_bytes) for request in self._requests):
            self.retry()

    def _recall(self) -> None:
        """Have every process end its loan, and release the refs and views that it only caches."""
        for known in self._connections:
            if known.role is Role.EVENTS:
                self._connections.tell(known.number, [Event.RECALL])

    def _full(self, length_bytes: int) -> ObjectStoreFullError:
        largest = [f"{label} {size / MIB:.1f} MiB" for label, size in self._largest_holders()]
        why = f"; nothing can be moved to disk: {self._disk_trouble}" if self._disk_trouble else ""
        why = "; objects are being moved to disk" if self._spilling else why
        used, capacity = self._pool.used_bytes, self._pool.capacity_bytes
        longest = f", and {self._pool.longest_free_bytes() / MIB:.1f} MiB are the longest free range"
        return ObjectStoreFullError(
            f"no room for {length_bytes / MIB:.1f} MiB: {used / MIB:.1f} of {capacity / MIB:.1f} MiB are used"
            f"{longest if used + length_bytes <= capacity else ''}; "
            f"largest holders: {', '.join(largest) or 'none'}{why}"
        )

    def _largest_holders(self) -> list[tuple[str, int]]:
        """Return the processes that refer to most bytes in memory, each with the number of bytes."""
        holders: Counter[int] = Counter()
        for entry in self._table.entries():
            if entry.place is not None and entry.place.segment_id not in self.files:
                for connection in entry.holds.keys() | entry.pins.keys():
                    holders[connection] += entry.place.length_bytes
        by_label: Counter[str] = Counter()
        for connection, size in holders.items():
            if connection in self._connections:
                by_label[self._connections[connection].label] += size
        return by_label.most_common(_HOLDERS_SHOWN_COUNT)

    def _too_large(self, length_bytes: int) -> ObjectStoreFullError:
        return ObjectStoreFullError(
            f"{length_bytes / MIB:.1f} MiB are more than the whole store of {self._pool.capacity_bytes / MIB:.1f} MiB: "
            "start the node with more store_bytes (actorrt node --store-bytes), or put smaller parts"
        )
