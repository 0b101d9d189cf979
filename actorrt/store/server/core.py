"""Pure: answers the messages of a store's clients.

The core joins the object table, the allocator and the published names. It is told the messages of connections, and
returns instructions: answers, and work on memory and disk. `server` carries them out over sockets, `local` within one
process. The messages that make objects are in `making`, those of published names in `publishing`.
"""

from __future__ import annotations

from typing import Any

from actorrt.errors import ActorRtError, ObjectNotFoundError, ObjectStoreFullError
from actorrt.ids import ObjectId, PeerId, short
from actorrt.invariants import about
from actorrt.store.memory.pool import Place, Pool
from actorrt.store.server import accounts
from actorrt.store.server.allocator import Allocator
from actorrt.store.server.arguments import count_of, flag_of, node_of, object_id_of
from actorrt.store.server.connections import EXCHANGE_REQUESTS, LATER, Connections, Handler
from actorrt.store.server.making import MakingHandlers
from actorrt.store.server.publishing import PublishingHandlers
from actorrt.store.server.reads import ReadRequest, Reads
from actorrt.store.table.instructions import (
    Adopt,
    AskKeeper,
    Fetch,
    FreeBytes,
    Instruction,
    ObjectFailed,
    ObjectReady,
    ReleaseAdopted,
    TransitArrived,
)
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.plain_errors import MAX_ERROR_BYTES, encode_plain
from actorrt.store.wire.protocol import (
    MAX_BATCH_COUNT,
    Event,
    Op,
    ProtocolError,
    Role,
    Status,
)


class StoreCore:
    """One store.

    Args:
        capacity_bytes: the bound on its shared memory.
        segment_bytes: the length of an ordinary segment; see `Pool`.
        may_spill: whether the shell can move objects to disk.

    Attributes:
        allocator: memory and disk space. The shell reports to it what it has made.
    """

    def __init__(self, capacity_bytes: int, segment_bytes: int | None = None, *, may_spill: bool = False) -> None:
        self._pool = Pool(capacity_bytes, segment_bytes)
        self._table = ObjectTable()
        self._connections = Connections()
        self.allocator = Allocator(self._pool, self._table, self._connections, may_spill=may_spill)
        self._reads = Reads(self._table, self._connections, self.allocator.files)
        self._making = MakingHandlers(self._table, self.allocator, self._carry_out)
        self._publishing = PublishingHandlers(self._table, self._connections, self._reads)
        self._handlers: dict[Op, Handler] = {
            **self._making.handlers,
            **self._publishing.handlers,
            Op.GET: self._on_get,
            Op.DECLARE: self._on_declare,
            Op.LOCATE: self._on_locate,
            Op.INTRODUCE: self._on_introduce,
            Op.FAIL: self._on_fail,
            Op.ACQUIRE: self._on_acquire,
            Op.ARRIVE: self._on_arrive,
            Op.RELEASE: self._on_release,
            Op.TRANSIT: self._on_transit,
            Op.ADDRESS: self._on_address,
            Op.SETTLE: self._on_settle,
            Op.FREE: self._on_free,
            Op.KEEP: self._on_keep,
            Op.FIND: self._on_find,
            Op.CLAIM: self._on_claim,
            Op.SUBSCRIBE: self._on_subscribe,
            Op.AWAIT_ALLOCATION: self._on_await_allocation,
            Op.TAKE_ALLOCATION: self._on_take_allocation,
            Op.STATS: self._on_stats,
            Op.LIST: self._on_list,
        }

    def take(self) -> list[Instruction]:
        """Return and forget the instructions, in order."""
        self._carry_out()
        instructions, self._connections.instructions = self._connections.instructions, []
        return instructions

    # Connections

    def open(self, connection: int, label: str) -> None:
        """Begin a connection; `label` names it in errors."""
        self._connections.open(connection, label)

    def close(self, connection: int, now: float) -> None:
        """End a connection and everything that it has. Idempotent."""
        known = self._connections.close(connection)
        if known is None:
            return
        self._publishing.leave(connection)
        if known.role is not None:
            self._table.disconnect(connection, now)
        self._table.sweep()
        self._carry_out()
        self.allocator.forget(connection)
        self.allocator.offer()

    def peer(self, connection: int) -> tuple[PeerId, Role] | None:
        """Return the process and the role of a connection; None before its HELLO."""
        known = self._connections[connection]
        return None if known.peer is None or known.role is None else (known.peer, known.role)

    def listener(self, connection: int) -> int | None:
        """Return the connection that hears the events of a connection's process."""
        return self._connections.listener(self._connections[connection])

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
                self._connections.reply(connection, serial, Status.ERROR, encode_plain(error))
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a message was refused: {error!r}") from error
        else:
            if serial and result is not LATER:
                self._connections.reply(connection, serial, Status.DONE, result)

    def begin_sweep(self) -> None:
        """Begin a sweep; handle all that has arrived by now before `sweep`."""
        self._table.suspects.begin()

    def sweep(self, now: float) -> None:
        """Delete objects that nobody refers to. Call it when every message that arrived has been handled."""
        self._table.tick(now)
        self._table.sweep()
        self._carry_out()
        self.allocator.offer()

    @property
    def has_suspects(self) -> bool:
        """Whether there are objects for another sweep."""
        return bool(self._table.suspects)

    def spilled(self, file_id: int, offsets: list[int], trouble: str = "") -> None:
        """Called when a spill file was written, or could not be; see `Allocator.spilled`."""
        self.allocator.spilled(file_id, offsets, trouble)
        self._carry_out()
        self.allocator.retry()

    def verified(self, object_id: ObjectId, place: Place, trouble: str = "") -> None:
        """Called when an object on disk is verified; see `Reads.verified`."""
        self._reads.verified(object_id, place, trouble)

    def _on_hello(self, connection: int, serial: int, version: int, role: int, peer: bytes) -> None:
        known = self._connections.identify(connection, version, role, peer)
        self._table.connect(connection, known.peer if known.role is Role.REQUESTS else None)
        self._connections.reply(connection, serial, Status.DONE, self._pool.capacity_bytes)

    # Promising objects, and objects of other nodes

    def _on_declare(self, connection: int, _: int, object_id: bytes) -> None:
        self._table.declare(object_id_of(object_id), connection)

    def _on_introduce(self, _connection: int, _: int, peer: bytes, node: bytes) -> None:
        self._table.introduce(PeerId(object_id_of(peer)), node_of(node))

    def _on_locate(self, connection: int, _: int, object_id: bytes, node: bytes) -> None:
        if connection != EXCHANGE_REQUESTS:
            raise ProtocolError("only the node itself locates objects of other nodes")
        self._table.locate(object_id_of(object_id), connection, node_of(node))

    def _fetch(self, object_id: ObjectId, *, only_if_awaited: bool = False) -> None:
        """Have an object of another node fetched; the shell knows which fetches are under way."""
        entry = self._table.get(object_id)
        if entry is not None and entry.state is State.REMOTE and (entry.waiters or not only_if_awaited):
            self._connections.instructions.append(Fetch(object_id))

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None:
        """Note the node that made an adopted object; None if that node is gone."""
        self._table.set_origin(object_id, origin)
        self._carry_out()

    def _on_fail(self, connection: int, _: int, object_id: bytes, error: Any) -> None:
        if not isinstance(error, bytes) or len(error) > MAX_ERROR_BYTES:
            raise ProtocolError("an error is at most 32 KiB of bytes")
        if connection == EXCHANGE_REQUESTS:
            self._table.fetch_failed(object_id_of(object_id), error)
        else:
            self._table.fail(object_id_of(object_id), error, connection)

    # Making lost objects again

    def _on_keep(self, connection: int, _: int, object_ids: list[bytes]) -> None:
        self._connections.waiter(connection)  # hears what it is to make
        for object_id in object_ids:
            self._table.keep(object_id_of(object_id), connection)

    def _on_find(self, connection: int, serial: int, object_ids: list[bytes]) -> Any:
        found = [object_id_of(object_id) for object_id in object_ids]

        def answer() -> None:
            if connection in self._connections:
                presences = [int(self._table.find(object_id, connection)) for object_id in found]
                self._connections.reply(connection, serial, Status.DONE, presences)

        self._reads.when_settled(found, answer)
        return LATER

    def _on_claim(self, connection: int, _: int, object_ids: list[bytes]) -> list[bool]:
        return [self._table.claim(object_id_of(object_id), connection) for object_id in object_ids]

    # Reading and holding objects

    def _on_get(
        self, connection: int, serial: int, object_id: bytes, others: list[bytes], waits_for_disk: bool = True
    ) -> Any:
        waits_for_disk = flag_of(waits_for_disk)
        entry = self._table.get(object_id_of(object_id))
        if entry is None or entry.state is State.FREED:
            raise ObjectNotFoundError(f"object {short(object_id)} is not in the store: it was freed")
        if entry.state is State.FAILED:
            assert entry.error is not None
            self._connections.reply(connection, serial, Status.ERROR, _as_data(entry.error))
        elif not entry.is_readable:
            self._fetch(entry.object_id)
            self._connections.reply(connection, serial, Status.PENDING, None)
        elif not (waits_for_disk or self._reads.can_be_answered(entry)):
            self._connections.reply(connection, serial, Status.PENDING, None)
        else:
            self._reads.answer(
                entry, ReadRequest(connection, serial, (self._reads.pin_beside(connection, entry, others),))
            )
        return LATER

    def _on_acquire(self, connection: int, _: int, acquired: list[tuple[bytes, bytes | None]]) -> None:
        for object_id, token in acquired:
            self._table.acquire(object_id_of(object_id), connection, token)

    def _on_arrive(self, connection: int, _: int, arrived: list[list[bytes]]) -> None:
        for object_id, token in arrived:
            self._table.arrive(object_id_of(object_id), token, connection)

    def _on_release(self, connection: int, _: int, released: list[bytes], unpinned: list[bytes]) -> None:
        for object_id in unpinned:
            self._table.unpin(object_id_of(object_id), connection)
        for object_id in released:
            self._table.release(object_id_of(object_id), connection)

    def _on_transit(self, connection: int, _: int, departed: list[tuple[bytes, bytes, int]]) -> None:
        for object_id, token, copies_count in departed:
            self._table.transit(object_id_of(object_id), connection, token, count_of(copies_count))

    def _on_address(self, _connection: int, _: int, addressed: list[tuple[bytes, bytes, bool]]) -> None:
        for token, node, has_left in addressed:
            self._table.transits.address(token, PeerId(object_id_of(node)), 1 if flag_of(has_left) else -1)

    def node_gone(self, node: PeerId) -> None:
        """Called when another node can't be reached: messages to its processes keep nothing any more."""
        self._table.node_gone(node)
        self._table.sweep()
        self._carry_out()

    def _on_settle(self, _connection: int, _: int, tokens: list[bytes]) -> None:
        for token in tokens:
            self._table.settle(token)

    def _on_free(self, _connection: int, _: int, object_id: bytes) -> None:
        self._table.free(object_id_of(object_id))

    # Waiting

    def _on_subscribe(self, connection: int, _: int, object_ids: list[bytes]) -> None:
        waiter = self._connections.waiter(connection)
        for object_id in object_ids:
            entry = self._table.get(object_id_of(object_id))
            if entry is not None and entry.state is State.SPILLED and not self._reads.can_be_answered(entry):
                self._reads.announce(entry, waiter)
            else:
                self._table.subscribe(ObjectId(object_id), waiter)
                self._fetch(ObjectId(object_id))

    def _on_await_allocation(self, connection: int, _: int, object_id: bytes) -> None:
        asker, listener = self._connections.asker(connection), self._connections.waiter(connection)
        self.allocator.await_settled(asker, object_id_of(object_id), listener)

    def _on_take_allocation(self, connection: int, serial: int, object_ids: list[bytes]) -> Any:
        self.allocator.take(connection, serial, object_id_of(object_ids[0]))
        return LATER

    # What follows from the table's instructions

    def _carry_out(self) -> None:
        ready: dict[int, list[ObjectId]] = {}
        for instruction in self._table.take():
            match instruction:
                case ObjectReady(connection, object_id):
                    ready.setdefault(connection, []).append(object_id)
                case ObjectFailed(connection, object_id, error):
                    message = [Event.FAILED, object_id, _as_data(error)]
                    self._connections.tell(connection, message)
                case AskKeeper(connection, object_id, loss):
                    listener = self.listener(connection)
                    if listener is not None:  # else the process is ending
                        self._connections.tell(listener, [Event.REMAKE, object_id, encode_plain(loss)])
                case FreeBytes(place):
                    self.allocator.free(place)
                case Adopt(object_id):
                    self._connections.instructions.append(instruction)
                    self._fetch(object_id, only_if_awaited=True)
                case TransitArrived() | ReleaseAdopted():
                    self._connections.instructions.append(instruction)
        for connection, object_ids in ready.items():
            pinned = self._reads.pin_ready(connection, object_ids)
            for start in range(0, len(object_ids), MAX_BATCH_COUNT):
                batch = object_ids[start : start + MAX_BATCH_COUNT]
                self._connections.tell(connection, [Event.READY, batch, pinned] if pinned else [Event.READY, batch])

    def promise(self, object_id: ObjectId) -> tuple[PeerId | None, bytes | None]:
        """Return the process that has promised an object and not kept that, and the other node that made the object."""
        entry = self._table.get(object_id)
        if entry is None:
            return None, None
        declarer = entry.declarer
        known = None if declarer is None or declarer not in self._connections else self._connections[declarer]
        return None if known is None else known.peer, entry.origin

    def get(self, object_id: ObjectId) -> ObjectEntry | None:
        """Return the entry of an object, to be read only."""
        return self._table.get(object_id)

    def make_spare(self) -> None:
        """Make a segment ahead of need; see `Allocator`."""
        self.allocator.make_spare()

    def trim(self) -> None:
        """Drop idle segments; see `Allocator`."""
        self.allocator.trim()

    def segment_made(self, segment_id: int, error: ObjectStoreFullError | None) -> None:
        """Called when a segment is made; `error` says why it could not be."""
        self.allocator.segment_made(segment_id, error)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if objects or their memory contradict themselves; for tests."""
        self._table.check_invariants()
        with about(None):
            self._pool.check_invariants()

    def stats(self) -> dict[str, int]:
        """Return the store's counts."""
        self._carry_out()
        return {
            **accounts.counts(self._pool, self._table, self.allocator),
            "connections_count": len(self._connections),
            "hits_count": self._reads.hits_count,
            "restores_count": self._reads.restores_count,
        }

    def _on_stats(self, _connection: int, _: int) -> dict[str, int]:
        return self.stats()

    def largest(self, count: int) -> list[list[Any]]:
        """Return the largest objects; see `accounts.largest`."""
        return accounts.largest(self._table, self._connections, count_of(count))

    def _on_list(self, _connection: int, _: int, count: int) -> list[list[Any]]:
        return self.largest(count)


def _as_data(error: ActorRtError | bytes) -> bytes:
    return error if isinstance(error, bytes) else encode_plain(error)
