"""Serves the chunks of this node's objects to other nodes, with their checksums.

Chunks are read in place, without a copy. A view that no node uses for `_IDLE_S` is closed, because it keeps its object
in memory. The checksum of a chunk is computed once, in a thread, or arrives with the chunk when the object is pulled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Final

from actorrt.errors import ActorRtError, MailboxFullError, PeerUnreachableError
from actorrt.ids import ObjectId, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.node.objects.checksums import checksum
from actorrt.node.objects.pulls import CHUNK_BYTES
from actorrt.protocol.envelopes import CHUNK, GONE, ChunkEnvelope, GoneEnvelope
from actorrt.scopes import Scope
from actorrt.store.server.exchange import Exchange
from actorrt.transport.interfaces import Buffer, Envelope, Lane, Transport

logger = logging.getLogger(__name__)

_IDLE_S: Final = 2.0
_CHECKSUMS_COUNT: Final = 64


@dataclass(slots=True)
class _View:
    memory: memoryview
    used_at: float


def send(transport: Transport, peer: PeerId, address: str | None, envelope: Envelope, *buffers: Buffer) -> bool:
    """Send on the user lane; return False if the peer can't be reached."""
    if address is None:
        return False
    try:
        transport.link(peer, address, Lane.USER).send(envelope, buffers)
    except (PeerUnreachableError, MailboxFullError) as error:
        logger.warning("%s can't be reached: %s", short(peer), str(error))
        return False
    return True


class Chunks:
    """The objects that other nodes are reading here.

    Args:
        transport: carries chunks to other nodes.
        exchange: this node's store.
        scope: owns the timer.
        clock: measures how long a view is idle.
        workers: threads that compute checksums.
    """

    def __init__(self, transport: Transport, exchange: Exchange, scope: Scope, clock: Clock, workers: Executor) -> None:
        self._transport = transport
        self._exchange = exchange
        self._scope = scope
        self._clock = clock
        self._workers = workers
        self._views: dict[ObjectId, _View] = {}
        self._checksums: OrderedDict[ObjectId, dict[int, int]] = OrderedDict()
        self._cancel_timer: Callable[[], None] | None = None
        self.sent_count = 0

    async def view(self, object_id: ObjectId) -> memoryview:
        """Return the bytes of an object when it is sealed, and keep the view while it is being read.

        Raises:
            ObjectNotFoundError, ObjectLostError: the object can't be read, or another error is in its place.
        """
        known = self._views.get(object_id)
        if known is None:
            known = self._views[object_id] = _View(await self._exchange.read(object_id), 0.0)
            if self._cancel_timer is None:
                self._cancel_timer = self._scope.after(_IDLE_S, self._close_idle_views)
        known.used_at = self._clock.now()
        return known.memory

    def close_view(self, object_id: ObjectId) -> None:
        """Close the view of an object that no node reads now. Idempotent."""
        self._views.pop(object_id, None)

    def _close_idle_views(self) -> None:
        """Close the views whose readers have stopped without a notice."""
        now = self._clock.now()
        self._views = {i: view for i, view in self._views.items() if now - view.used_at < _IDLE_S}
        self._cancel_timer = self._scope.after(_IDLE_S, self._close_idle_views) if self._views else None

    def close(self) -> None:
        """Close all views. Idempotent."""
        self._views.clear()

    def keep_checksum(self, object_id: ObjectId, offset: int, known: int) -> None:
        """Remember the checksum of a chunk. Only the checksums of recently used objects are kept."""
        kept = self._checksums.setdefault(object_id, {})
        kept[offset] = known
        self._checksums.move_to_end(object_id)
        if len(self._checksums) > _CHECKSUMS_COUNT:
            self._checksums.popitem(last=False)

    def serve(self, peer: PeerId, object_id: ObjectId, offset: int) -> None:
        """Send a chunk to the node that asked for it, or a notice that the object is not here."""
        known = self._views.get(object_id)
        if known is not None:
            known.used_at = self._clock.now()
            self.send_chunk(peer, object_id, offset, known.memory)
        elif self._exchange.is_here(object_id):
            self._scope.start(self._open_and_serve(peer, object_id, offset), f"open {short(object_id)}")
        else:
            self.send_gone(peer, object_id)

    async def _open_and_serve(self, peer: PeerId, object_id: ObjectId, offset: int) -> None:
        try:
            memory = await self.view(object_id)
        except ActorRtError:  # the object is gone by now
            self.send_gone(peer, object_id)
        else:
            self.send_chunk(peer, object_id, offset, memory)

    def send_chunk(self, peer: PeerId, object_id: ObjectId, offset: int, memory: memoryview) -> None:
        """Send a chunk of an object, whose bytes must not change before they are sent."""
        if offset % CHUNK_BYTES or not 0 <= offset < len(memory):
            self.send_gone(peer, object_id)
            return
        chunk = memory[offset : offset + CHUNK_BYTES]
        known = self._checksums.get(object_id, {}).get(offset)
        if known is not None:
            self._send(peer, object_id, offset, chunk, known)
            return
        making = asyncio.wrap_future(self._workers.submit(checksum, chunk), loop=self._scope.loop)
        making.add_done_callback(partial(self._summed, peer, object_id, offset, chunk))

    def _summed(
        self, peer: PeerId, object_id: ObjectId, offset: int, chunk: memoryview, making: asyncio.Future[int]
    ) -> None:
        if making.cancelled() or self._scope.is_closed:
            return
        self.keep_checksum(object_id, offset, making.result())
        self._send(peer, object_id, offset, chunk, making.result())

    def _send(self, peer: PeerId, object_id: ObjectId, offset: int, chunk: memoryview, known: int) -> None:
        address = self._transport.address_of(peer)
        if send(self._transport, peer, address, ChunkEnvelope(CHUNK, object_id, offset, known), chunk):
            self.sent_count += 1

    def send_copy(self, peer: PeerId, object_id: ObjectId, offset: int, memory: memoryview) -> None:
        """Send a copy of a chunk, whose bytes may change afterwards."""
        chunk = memoryview(bytes(memory[offset : offset + CHUNK_BYTES]))
        known = self._checksums.get(object_id, {}).get(offset)
        self._send(peer, object_id, offset, chunk, checksum(chunk) if known is None else known)

    def send_gone(self, peer: PeerId, object_id: ObjectId) -> None:
        """Tell a node that an object can't be read here."""
        send(self._transport, peer, self._transport.address_of(peer), GoneEnvelope(GONE, object_id))
