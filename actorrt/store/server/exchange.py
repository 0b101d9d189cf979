"""Reads and makes a store's objects in place, for the part of the node that copies objects between stores.

To the store's core, an exchange is a client like any other, with a connection for requests and one for events. Since it
is in the store's own process, its messages are calls. All methods are called on the loop that has called `attach`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from actorrt.errors import ActorRtError, ObjectLostError, RuntimeStateError
from actorrt.ids import ID_BYTES, ObjectId, PeerId, short
from actorrt.store.memory.mappings import Pin, SegmentMaps
from actorrt.store.server.connections import EXCHANGE_EVENTS, EXCHANGE_REQUESTS
from actorrt.store.server.retention import MessageHandler
from actorrt.store.table.instructions import Adopt, Fetch, ReleaseAdopted, TransitArrived
from actorrt.store.table.objects import ObjectEntry
from actorrt.store.wire.plain_errors import decode_plain, encode_plain
from actorrt.store.wire.protocol import VERSION, Event, Op, Role, Status

_PEER: Final = PeerId(b"exchange".ljust(ID_BYTES, b"\0"))


class RemoteStores(Protocol):
    """The part of the node that speaks with other stores. Calls come on the store's loop, and do not wait."""

    def fetch(self, object_id: ObjectId) -> None:
        """Have an adopted object created and sealed here, because a process waits for it."""

    def adopt(self, object_id: ObjectId, node: bytes, token: bytes | None) -> None:
        """Have the store that made an object hold it for this node. `node` sent its ref, in the transit `token`."""

    def arrived(self, object_id: ObjectId, node: bytes, token: bytes) -> None:
        """Tell a node that a transit of one of its processes has arrived."""

    def release(self, object_id: ObjectId) -> None:
        """Release an adopted object at the store that made it; nothing here refers to it any more."""


class ServedObjects(MessageHandler, Protocol):
    """The part of a store's core that an exchange uses."""

    def close(self, connection: int, now: float) -> None: ...

    def get(self, object_id: ObjectId) -> ObjectEntry | None: ...

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None: ...

    def node_gone(self, node: PeerId) -> None: ...


class _Asked(NamedTuple):
    op: Op
    object_id: ObjectId
    answered: asyncio.Future[tuple[Status, Any]]


class Exchange:
    """One store, as other stores see it.

    Args:
        core: the store.
        settle: carries out the core's instructions.

    Attributes:
        connections: its connections in the core.
    """

    connections: Final = (EXCHANGE_REQUESTS, EXCHANGE_EVENTS)

    def __init__(self, core: ServedObjects, settle: Callable[[], None]) -> None:
        self._core = core
        self._settle = settle
        self._maps = SegmentMaps()
        self._serials = itertools.count(1)
        self._asked: dict[int, _Asked] = {}
        self._watched: dict[ObjectId, asyncio.Future[None]] = {}
        self._allocations: dict[ObjectId, asyncio.Future[None]] = {}
        self._others: RemoteStores | None = None
        self._nodes: dict[PeerId, int] = {}  # their connections
        self._last_node = EXCHANGE_EVENTS  # the connections of other nodes are numbered from here down
        self._loop: asyncio.AbstractEventLoop | None = None
        for number, role in ((EXCHANGE_REQUESTS, Role.REQUESTS), (EXCHANGE_EVENTS, Role.EVENTS)):
            core.open(number, "other nodes")
            core.handle(number, [Op.HELLO, 0, VERSION, role, _PEER])

    def attach(self, others: RemoteStores) -> None:
        """Let `others` speak with other stores, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._others = others

    def close(self) -> None:
        """Cancel every wait; views stay readable. Idempotent."""
        self._loop = self._others = None
        for asked in self._asked.values():
            asked.answered.cancel()
        for waiting in (*self._watched.values(), *self._allocations.values()):
            waiting.cancel()
        self._asked.clear()
        self._watched.clear()
        self._allocations.clear()
        self._maps.clear()

    # Reading

    async def read(self, object_id: ObjectId) -> memoryview:
        """Wait until an object is sealed and return its bytes, pinned while they are in view.

        Raises:
            ObjectNotFoundError, ObjectLostError: it was freed, or can never be.
            The error that the object failed with; a RemoteActorError in place of an error that is not actorrt's own.
        """
        from actorrt.store.memory.views import pinned_view

        while True:
            status, result = await self._ask(Op.GET, object_id, object_id, [])
            if status is Status.DONE:
                view = self._maps.view(*result[:3], writable=False)
                return pinned_view(view, Pin(object_id, lambda: self._unpin_soon(object_id)))
            await self._sealed(object_id)

    def is_here(self, object_id: ObjectId) -> bool:
        """Whether an object is sealed here, in memory or on disk."""
        entry = self._core.get(object_id)
        return entry is not None and entry.is_readable

    async def _sealed(self, object_id: ObjectId) -> None:
        """Wait until an object is sealed or lost."""
        waiting = self._watched.get(object_id)
        if waiting is None:
            waiting = self._watched[object_id] = self._attached().create_future()
            self._tell(Op.SUBSCRIBE, [object_id])
        await asyncio.shield(waiting)

    def _unpin_soon(self, object_id: ObjectId) -> None:
        """Called when the last view is gone, in any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._unpin, object_id)

    def _unpin(self, object_id: ObjectId) -> None:
        if self._loop is not None:
            self._tell(Op.RELEASE, [], [object_id])

    # Making copies

    def locate(self, object_id: ObjectId, node: bytes) -> None:
        """Hold an object of another node: adopt it, and have it fetched when a process asks for it."""
        self._tell(Op.LOCATE, object_id, node)

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None:
        """Note the node that made an adopted object; None if that node is gone: without a copy the object is lost."""
        self._core.set_origin(object_id, origin)
        self._settle()

    def contain(self, object_id: ObjectId, contained: list[ObjectId]) -> None:
        """Let an object that is being made hold others."""
        self._tell(Op.CONTAIN, object_id, contained)

    def contained(self, object_id: ObjectId) -> list[ObjectId]:
        """Return the objects whose refs an object contains."""
        entry = self._core.get(object_id)
        return [] if entry is None else list(entry.contained)

    def release(self, object_id: ObjectId) -> None:
        """End a hold."""
        self._tell(Op.RELEASE, [object_id], [])

    async def create(self, object_id: ObjectId, length_bytes: int) -> memoryview | None:
        """Begin an object and return its memory, to be written and sealed, or None if it is sealed already.

        It waits while memory is made available.

        Raises:
            ObjectStoreFullError: there is no memory.
            ObjectLostError: it was given up, or another process is making it.
        """
        status, place = await self._ask(Op.CREATE, object_id, object_id, length_bytes, True, "")
        if status is Status.WAIT:
            try:
                settled = self._allocations[object_id] = self._attached().create_future()
                self._tell(Op.AWAIT_ALLOCATION, object_id)
                await settled
            except BaseException:
                self._allocations.pop(object_id, None)
                self.abort(object_id)
                raise
            _, place = await self._ask(Op.TAKE_ALLOCATION, object_id, [object_id])
        return None if place is None else self._maps.view(*place, writable=True, is_warmed=False)

    def seal(self, object_id: ObjectId) -> None:
        """Finish an object; the hold that came with `create` stays."""
        self._tell(Op.SEAL, object_id)

    def abort(self, object_id: ObjectId) -> None:
        """Give up an object that was begun; it is remote again."""
        self._tell(Op.ABORT, object_id)

    def fail(self, object_id: ObjectId, error: ActorRtError) -> None:
        """Fail an object that can't be fetched; its waiters get the error."""
        self._tell(Op.FAIL, object_id, encode_plain(error))

    # Speaking with the core

    def _attached(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeStateError(
                "this object store exchanges no objects with other nodes: it is not attached, or closed"
            )
        return self._loop

    def _tell(self, op: Op, *arguments: Any) -> None:
        self._core.handle(EXCHANGE_REQUESTS, [op, 0, *arguments])
        self._settle()

    async def _ask(self, op: Op, object_id: ObjectId, *arguments: Any) -> tuple[Status, Any]:
        serial = next(self._serials)
        answered = self._attached().create_future()
        self._asked[serial] = _Asked(op, object_id, answered)
        self._core.handle(EXCHANGE_REQUESTS, [op, serial, *arguments])
        self._settle()
        status, result = await answered
        if status is Status.ERROR:
            raise decode_plain(result)
        return status, result

    def receive(self, message: list[Any], fd: int | None, *, writable: bool) -> None:
        """Called with each message of the core, and with a descriptor that the exchange then owns."""
        match message:
            case [Event.READY, list(object_ids)]:
                for object_id in object_ids:
                    self._end_wait(object_id)
            case [Event.FAILED, object_id, _]:
                self._end_wait(object_id)  # the waiter asks again, and gets the error
            case [Event.ALLOCATION, object_id]:
                settled = self._allocations.pop(object_id, None)
                if settled is not None and not settled.done():
                    settled.set_result(None)
            case [Event.NEXT, segment_id] if fd is not None:
                self._maps.add(segment_id, fd, writable=True)
            case [Event.RETIRED, segment_ids]:
                self._maps.forget(segment_ids)
            case [serial, status, result, retired]:
                self._maps.forget(retired)
                if fd is not None:
                    self._maps.add(result[0], fd, writable=writable)
                self._answer(serial, Status(status), result)

    def _end_wait(self, object_id: ObjectId) -> None:
        waiting = self._watched.pop(object_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _answer(self, serial: int, status: Status, result: Any) -> None:
        asked = self._asked.pop(serial, None)
        if asked is None:
            return
        if not asked.answered.done():
            asked.answered.set_result((status, result))
        elif status in (Status.DONE, Status.WAIT) and result is not None and self._loop is not None:
            # The asker was cancelled.
            undo = self._unpin if asked.op is Op.GET else self.abort
            self._loop.call_soon(undo, asked.object_id)

    def carry_out(self, instruction: Fetch | Adopt | TransitArrived | ReleaseAdopted) -> None:
        """Carry out an instruction of the core."""
        others = self._others
        if others is None:
            if isinstance(instruction, Fetch | Adopt):
                what = f"object {short(instruction.object_id)} is on another node, and this node speaks with no others"
                self.fail(instruction.object_id, ObjectLostError(what))
            return
        match instruction:
            case Fetch(object_id):
                others.fetch(object_id)
            case Adopt(object_id, node, token):
                others.adopt(object_id, node, token)
            case TransitArrived(object_id, node, token):
                others.arrived(object_id, node, token)
            case ReleaseAdopted(object_id):
                others.release(object_id)

    # Holding for other nodes

    def hold_for(self, node: PeerId, object_id: ObjectId, token: bytes | None) -> bytes | None:
        """Hold an object for another node. If a third node made the object, hold nothing and return that node.

        Args:
            node: the other node's process.
            object_id: the object; an unknown one is expected while the token's sender lives.
            token: the transit that ends with this.
        """
        entry = self._core.get(object_id)
        if entry is not None and entry.origin is not None:
            return entry.origin
        self._core.handle(self._connection_of(node), [Op.ACQUIRE, 0, [(object_id, token)]])
        self._settle()
        return None

    def arrived_for(self, node: PeerId, object_id: ObjectId, token: bytes) -> None:
        """End a transit whose message arrived at another node."""
        self._core.handle(self._connection_of(node), [Op.ARRIVE, 0, [(object_id, token)]])
        self._settle()

    def release_for(self, node: PeerId, object_id: ObjectId) -> None:
        """End a hold of another node."""
        self._core.handle(self._connection_of(node), [Op.RELEASE, 0, [object_id], []])
        self._settle()

    def node_gone(self, node: PeerId) -> None:
        """End every hold of another node, and what messages to its processes keep."""
        number = self._nodes.pop(node, None)
        self._core.node_gone(node)
        if number is not None:
            self._core.close(number, 0.0)  # the time is for its transits, of which it has none
        self._settle()

    def _connection_of(self, node: PeerId) -> int:
        number = self._nodes.get(node)
        if number is None:
            number = self._nodes[node] = self._last_node = self._last_node - 1
            self._core.open(number, f"node {short(node)}")
            self._core.handle(number, [Op.HELLO, 0, VERSION, Role.REQUESTS, node])
        return number
