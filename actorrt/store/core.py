"""Pure: what a store answers to its clients, whichever way they speak to it.

Joins the object table (who keeps what) with the pool (where it lies). Messages of connections come in; what goes
out, and which segments are made and dropped, are instructions for a shell: `server` over sockets, `local` in one
process.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from actorrt.config import MIB
from actorrt.errors import ActorRtError, ObjectNotFoundError, ObjectStoreFullError
from actorrt.ids import ID_BYTES, ObjectId, PeerId, short
from actorrt.store import table as tables
from actorrt.store.failures import MAX_ERROR_BYTES, encode_plain
from actorrt.store.objects import State
from actorrt.store.pool import Growth, Place, Pool
from actorrt.store.protocol import MAX_BATCH_COUNT, VERSION, Event, Op, ProtocolError, Role, Status
from actorrt.store.table import ObjectTable

_HOLDERS_SHOWN_COUNT: Final = 5


@dataclass(frozen=True, slots=True)
class Send:
    """Instruction: send a message; beside it, the descriptor of a segment."""

    connection: int
    message: list[Any]
    segment_id: int | None = None
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Make:
    """Instruction: make a segment, then say `segment_made`."""

    segment_id: int
    size_bytes: int
    is_ahead: bool
    """Nobody waits for it: there is time to make its pages warm."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Instruction: close a segment."""

    segment_id: int


Instruction = Send | Make | Drop


@dataclass(slots=True)
class _Connection:
    """What a client is known by."""

    number: int
    label: str
    peer: PeerId | None = None
    role: Role | None = None
    mapped: set[tuple[int, bool]] = field(default_factory=set)
    retired: list[int] = field(default_factory=list)
    room_wanted_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Create:
    """A create that waits for its segment."""

    connection: int
    serial: int
    object_id: ObjectId
    length_bytes: int
    is_promised: bool


class StoreCore:
    """One store.

    Args:
        capacity_bytes: the bound on its shared memory.
        segment_bytes: the length of an ordinary segment; see `Pool`.
    """

    def __init__(self, capacity_bytes: int, segment_bytes: int | None = None) -> None:
        self._pool = Pool(capacity_bytes, segment_bytes)
        self._table = ObjectTable()
        self._connections: dict[int, _Connection] = {}
        self._events_by_peer: dict[PeerId, int] = {}
        self._creates: deque[_Create] = deque()
        self._growing: set[int] = set()
        self._instructions: list[Instruction] = []
        self._hits_count = 0
        self._handlers: dict[Op, Callable[..., Any]] = {
            Op.CREATE: self._on_create,
            Op.CONTAIN: self._on_contain,
            Op.SEAL: self._on_seal,
            Op.ABORT: self._on_abort,
            Op.GET: self._on_get,
            Op.DECLARE: self._on_declare,
            Op.FAIL: self._on_fail,
            Op.ACQUIRE: self._on_acquire,
            Op.ARRIVE: self._on_arrive,
            Op.GIVE_BACK: self._on_give_back,
            Op.TRANSIT: self._on_transit,
            Op.SETTLE: self._on_settle,
            Op.FREE: self._on_free,
            Op.SUBSCRIBE: self._on_subscribe,
            Op.AWAIT_ROOM: self._on_await_room,
            Op.STATS: self._on_stats,
        }

    def take(self) -> list[Instruction]:
        """Return what is to be done, in order, and forget it."""
        self._carry_out()
        instructions, self._instructions = self._instructions, []
        return instructions

    # Connections

    def open(self, connection: int, label: str) -> None:
        """Let a connection begin. `label` says in errors who it is."""
        self._connections[connection] = _Connection(connection, label)

    def close(self, connection: int, now: float) -> None:
        """Give back everything a connection had. Idempotent."""
        known = self._connections.pop(connection, None)
        if known is None:
            return
        if known.role is Role.EVENTS and known.peer is not None:
            self._events_by_peer.pop(known.peer, None)
        self._creates = deque(create for create in self._creates if create.connection != connection)
        if known.role is not None:
            self._table.disconnect(connection, now)
        self._table.sweep()
        self._carry_out()
        self._retire(self._pool.disown(connection))
        self._offer_room()

    def peer(self, connection: int) -> tuple[PeerId, Role] | None:
        """Return who a connection said it is, once it has."""
        known = self._connections[connection]
        return None if known.peer is None or known.role is None else (known.peer, known.role)

    def handle(self, connection: int, message: list[Any]) -> None:
        """Act on a message of a connection.

        Raises:
            ProtocolError: the message is not one that this connection may send; close it.
        """
        try:
            op, serial, *arguments = message
            if op == Op.HELLO:
                self._on_hello(connection, serial, *arguments)
                return
            if self._connections[connection].role is None:
                raise ProtocolError("the first message must be HELLO")
            result = self._handlers[Op(op)](connection, serial, *arguments)
        except ActorRtError as error:
            if serial:
                self._reply(connection, serial, Status.ERROR, encode_plain(error))
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a message was refused: {error!r}") from error
        else:
            if serial and result is not _LATER:
                self._reply(connection, serial, Status.DONE, result)

    def sweep(self, now: float) -> None:
        """Let go of what nobody refers to. Call it when everything that has arrived is handled."""
        self._table.tick(now)
        self._table.sweep()
        self._carry_out()
        self._offer_room()

    def _reply(self, connection: int, serial: int, status: Status, result: Any) -> None:
        known = self._connections[connection]
        retired, known.retired = known.retired, []
        self._instructions.append(Send(connection, [serial, status, result, retired]))

    def _reply_place(self, connection: int, serial: int, place: Place, *, writable: bool) -> None:
        """Answer with a place, and with the segment's descriptor where the connection has not got it."""
        known = self._connections[connection]
        retired, known.retired = known.retired, []
        is_new = (place.segment_id, writable) not in known.mapped
        known.mapped.add((place.segment_id, writable))
        message = [serial, Status.DONE, [place.segment_id, place.offset, place.length_bytes], retired]
        self._instructions.append(Send(connection, message, place.segment_id if is_new else None, writable))

    def _on_hello(self, connection: int, serial: int, version: int, role: int, peer: bytes) -> None:
        if version != VERSION or len(peer) != ID_BYTES:
            raise ProtocolError(f"HELLO of version {version} with a peer of {len(peer)} bytes")
        known = self._connections[connection]
        if known.role is not None:
            raise ProtocolError("a second HELLO")
        known.role, known.peer = Role(role), PeerId(peer)
        if known.role is Role.EVENTS:
            self._events_by_peer[known.peer] = connection
        self._table.connect(connection, known.peer if known.role is Role.REQUESTS else None)
        self._reply(connection, serial, Status.DONE, self._pool.capacity_bytes)

    # Making objects

    def _on_create(self, connection: int, serial: int, object_id: bytes, length_bytes: int, is_promised: bool) -> Any:
        create = _Create(connection, serial, _object_id(object_id), _length(length_bytes), is_promised)
        if not self._table.may_create(create.object_id):
            return None
        self._carry_out()  # what this connection gave back just before is room
        if not self._try_create(create):
            self._creates.append(create)
        return _LATER

    def _try_create(self, create: _Create) -> bool:
        """Place an object and answer; False where a segment is to be made first.

        Raises:
            ObjectStoreFullError: there is no room, and none can be made.
        """
        found = self._pool.allocate(create.length_bytes, create.connection)
        if found is None:
            raise self._full(create.length_bytes)
        if isinstance(found, Growth):
            if self._growing:
                return False
            self._grow(found, create.connection)
            return False
        self._table.create(create.object_id, create.connection, found, is_promised=create.is_promised)
        self._reply_place(create.connection, create.serial, found, writable=True)
        return True

    def _grow(self, growth: Growth, owner: int | None) -> None:
        self._pool.begin(growth, owner)
        self._retire(list(growth.give_up))
        self._growing.add(growth.segment_id)
        self._instructions.append(Make(growth.segment_id, growth.make_bytes, is_ahead=owner is None))

    def make_spare(self) -> None:
        """Have a segment made ahead of need, where there is none and memory is not short."""
        spare = None if self._growing else self._pool.spare()
        if spare is not None:
            self._grow(spare, None)

    def trim(self) -> None:
        """Give idle segments back. Call it now and then: what is unused from one call to the next is idle."""
        self._retire(self._pool.trim())

    def segment_made(self, segment_id: int, error: ObjectStoreFullError | None) -> None:
        """Go on with what waited for a segment; `error` says why it could not be made."""
        self._growing.discard(segment_id)
        self._pool.finish(segment_id, is_made=error is None)
        if error is not None and self._creates:
            first = self._creates.popleft()
            self._reply(first.connection, first.serial, Status.ERROR, encode_plain(error))
        self._retry_creates()

    def _retry_creates(self) -> None:
        waiting, self._creates = self._creates, deque()
        for create in waiting:
            try:
                if not self._table.may_create(create.object_id):
                    self._reply(create.connection, create.serial, Status.DONE, None)
                elif not self._try_create(create):
                    self._creates.append(create)
            except ActorRtError as error:
                self._reply(create.connection, create.serial, Status.ERROR, encode_plain(error))

    def _full(self, length_bytes: int) -> ObjectStoreFullError:
        holders: Counter[str] = Counter()
        for entry in self._table.entries():
            if entry.place is not None:
                for connection in {*entry.holds, *entry.pins}:
                    holders[self._connections[connection].label] += entry.place.length_bytes
        largest = [f"{label} {size / MIB:.1f} MiB" for label, size in holders.most_common(_HOLDERS_SHOWN_COUNT)]
        return ObjectStoreFullError(
            f"no room for {length_bytes / MIB:.1f} MiB: {self._pool.used_bytes / MIB:.1f} of "
            f"{self._pool.capacity_bytes / MIB:.1f} MiB are used; largest holders: {', '.join(largest) or 'none'}"
        )

    def _on_contain(self, connection: int, _: int, object_id: bytes, contained: list[bytes]) -> None:
        self._table.contain(_object_id(object_id), connection, [_object_id(other) for other in contained])

    def _on_seal(self, connection: int, _: int, object_id: bytes) -> None:
        self._table.seal(_object_id(object_id), connection)

    def _on_abort(self, connection: int, _: int, object_id: bytes) -> None:
        self._table.abort(_object_id(object_id), connection)

    def _on_declare(self, connection: int, _: int, object_id: bytes) -> None:
        self._table.declare(_object_id(object_id), connection)

    def _on_fail(self, _connection: int, _: int, object_id: bytes, error: Any) -> None:
        if not isinstance(error, bytes) or len(error) > MAX_ERROR_BYTES:
            raise ProtocolError("an error is at most 32 KiB of bytes")
        self._table.fail(_object_id(object_id), error)

    # Reading and holding objects

    def _on_get(self, connection: int, serial: int, object_id: bytes) -> Any:
        entry = self._table.get(_object_id(object_id))
        if entry is None or entry.state is State.FREED:
            raise ObjectNotFoundError(f"object {short(object_id)} is not in the store: it was freed")
        if entry.state is State.FAILED:
            assert entry.error is not None
            self._reply(connection, serial, Status.ERROR, _as_data(entry.error))
        elif entry.state is not State.SEALED:
            self._reply(connection, serial, Status.PENDING, None)
        else:
            self._hits_count += 1
            place = self._table.pin(entry.object_id, connection)
            self._reply_place(connection, serial, place, writable=False)
        return _LATER

    def _on_acquire(self, connection: int, _: int, object_id: bytes, token: bytes | None) -> None:
        self._table.acquire(_object_id(object_id), connection, token)

    def _on_arrive(self, _connection: int, _: int, object_id: bytes, token: bytes) -> None:
        self._table.arrive(_object_id(object_id), token)

    def _on_give_back(self, connection: int, _: int, released: list[bytes], unpinned: list[bytes]) -> None:
        for object_id in unpinned:
            self._table.unpin(_object_id(object_id), connection)
        for object_id in released:
            self._table.release(_object_id(object_id), connection)

    def _on_transit(self, connection: int, _: int, object_id: bytes, token: bytes, copies_count: int) -> None:
        self._table.transit(_object_id(object_id), connection, token, _length(copies_count))

    def _on_settle(self, _connection: int, _: int, tokens: list[bytes]) -> None:
        for token in tokens:
            self._table.settle(token)

    def _on_free(self, _connection: int, _: int, object_id: bytes) -> None:
        self._table.free(_object_id(object_id))

    # Waiting

    def _on_subscribe(self, connection: int, _: int, object_ids: list[bytes]) -> None:
        """Subscribe the asking process's events; a connection that only waits is told itself."""
        known = self._connections[connection]
        waiter = connection if known.role is Role.WAIT else self._listener(known)
        if waiter is None:
            raise ValueError("a process that subscribes needs an events connection")
        for object_id in object_ids:
            self._table.subscribe(_object_id(object_id), waiter)

    def _on_await_room(self, connection: int, _: int, length_bytes: int) -> None:
        self._connections[connection].room_wanted_bytes = _length(length_bytes)
        self._offer_room()

    def _offer_room(self) -> None:
        """Tell those who wait for room when there may be enough; they ask again, and may wait again."""
        for known in self._connections.values():
            wanted_bytes = known.room_wanted_bytes
            if wanted_bytes is not None and self._pool.has_room(wanted_bytes):
                known.room_wanted_bytes = None
                self._instructions.append(Send(known.number, [Event.ROOM]))

    def _listener(self, known: _Connection) -> int | None:
        """Return the connection that hears the events of a connection's process."""
        return None if known.peer is None else self._events_by_peer.get(known.peer)

    # What follows from the table's instructions

    def _carry_out(self) -> None:
        ready: dict[int, list[ObjectId]] = {}
        for instruction in self._table.take():
            match instruction:
                case tables.Ready(connection, object_id):
                    ready.setdefault(connection, []).append(object_id)
                case tables.Failed(connection, object_id, error):
                    message = [Event.FAILED, object_id, _as_data(error)]
                    self._instructions.append(Send(connection, message))
                case tables.GiveUp(place):
                    self._pool.free(place)
        for connection, object_ids in ready.items():
            for start in range(0, len(object_ids), MAX_BATCH_COUNT):
                batch = object_ids[start : start + MAX_BATCH_COUNT]
                self._instructions.append(Send(connection, [Event.READY, batch]))

    def _retire(self, segment_ids: list[int]) -> None:
        """Drop segments; who maps one hears of it on its events, or else with its next reply."""
        if not segment_ids:
            return
        for known in self._connections.values():
            gone = [i for i in segment_ids if {(i, False), (i, True)} & known.mapped]
            known.mapped -= {(i, writable) for i in gone for writable in (False, True)}
            listener = self._listener(known)
            if gone and listener is not None:
                self._instructions.append(Send(listener, [Event.RETIRED, gone]))
            else:
                known.retired.extend(gone)
        self._instructions.extend(Drop(segment_id) for segment_id in segment_ids)

    def stats(self) -> dict[str, int]:
        """Return the store's counts."""
        self._carry_out()
        entries = list(self._table.entries())
        pinned = [entry.place.length_bytes for entry in entries if entry.pins and entry.place is not None]
        return {
            "capacity_bytes": self._pool.capacity_bytes,
            "used_bytes": self._pool.used_bytes,
            "reserved_bytes": self._pool.reserved_bytes,
            "pinned_bytes": sum(pinned),
            "spilled_bytes": 0,
            "objects_count": sum(entry.state is not State.FREED for entry in entries),
            "segments_count": self._pool.segments_count,
            "connections_count": len(self._connections),
            "hits_count": self._hits_count,
            "evictions_count": 0,
            "spills_count": 0,
            "restores_count": 0,
        }

    def _on_stats(self, _connection: int, _: int) -> dict[str, int]:
        return self.stats()


class _Later:
    """The answer follows, or is under way already."""


_LATER: Final = _Later()


def _as_data(error: ActorRtError | bytes) -> bytes:
    return error if isinstance(error, bytes) else encode_plain(error)


def _object_id(value: Any) -> ObjectId:
    if not isinstance(value, bytes) or len(value) != ID_BYTES:
        raise ValueError(f"an object id is {ID_BYTES} bytes, not {value!r}")
    return ObjectId(value)


def _length(value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"a length or count is a positive int, not {value!r}")
    return value
