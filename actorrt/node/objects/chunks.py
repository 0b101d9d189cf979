"""Serves the chunks of this node's objects to other nodes, with their checksums.

Chunks are read where the objects lie; a view that nobody reads from is let go after a while, since it keeps its
object in memory. Checksums are made once, in a thread, or were brought along by whoever pulled the object here.
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

from actorrt.clock import Clock
from actorrt.errors import ActorRtError, MailboxFullError, PeerUnreachableError
from actorrt.ids import ObjectId, PeerId, short
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
    """Send on the user lane; False where the peer can't be spoken with."""
    if address is None:
        return False
    try:
        transport.link(peer, address, Lane.USER).send(envelope, buffers)
    except (PeerUnreachableError, MailboxFullError) as error:
        logger.warning("%s can't be spoken with: %s", short(peer), str(error))
        return False
    return True


class Chunks:
    """The objects that this node is serving.

    Args:
        transport: the way to those who read.
        exchange: this node's store.
        scope: owns the timer.
        clock: for what is idle.
        workers: where checksums are made.
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
        """Return the bytes of an object, when it is sealed, and keep them in view while they are being read.

        Raises:
            ObjectNotFoundError, ObjectLostError: and whatever else was put in its place.
        """
        known = self._views.get(object_id)
        if known is None:
            known = self._views[object_id] = _View(await self._exchange.read(object_id), 0.0)
            if self._cancel_timer is None:
                self._cancel_timer = self._scope.after(_IDLE_S, self._let_go_of_idle)
        known.used_at = self._clock.now()
        return known.memory

    def let_go(self, object_id: ObjectId) -> None:
        """Nobody reads an object at the moment: it need not stay in place for that."""
        self._views.pop(object_id, None)

    def _let_go_of_idle(self) -> None:
        """Forget views that nobody reads from any more, without having said so."""
        now = self._clock.now()
        self._views = {i: view for i, view in self._views.items() if now - view.used_at < _IDLE_S}
        self._cancel_timer = self._scope.after(_IDLE_S, self._let_go_of_idle) if self._views else None

    def close(self) -> None:
        """Let every view go. Idempotent."""
        self._views.clear()

    def keep_checksum(self, object_id: ObjectId, offset: int, known: int) -> None:
        """Remember the checksum of a chunk; those of the objects asked for last are kept."""
        kept = self._checksums.setdefault(object_id, {})
        kept[offset] = known
        self._checksums.move_to_end(object_id)
        if len(self._checksums) > _CHECKSUMS_COUNT:
            self._checksums.popitem(last=False)

    def serve(self, peer: PeerId, object_id: ObjectId, offset: int) -> None:
        """Send a chunk to who asked for it, or word that the object is not here."""
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
        except ActorRtError:  # it went meanwhile
            self.send_gone(peer, object_id)
        else:
            self.send_chunk(peer, object_id, offset, memory)

    def send_chunk(self, peer: PeerId, object_id: ObjectId, offset: int, memory: memoryview) -> None:
        """Send a chunk of these bytes, which must not change until they have left."""
        if offset % CHUNK_BYTES or not 0 <= offset < len(memory):
            self.send_gone(peer, object_id)
            return
        chunk = memory[offset : offset + CHUNK_BYTES]
        known = self._checksums.get(object_id, {}).get(offset)
        if known is not None:
            self._send(peer, object_id, offset, chunk, known)
            return
        making = self._scope.loop.run_in_executor(self._workers, checksum, chunk)
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
        """Send a chunk of bytes that may change afterwards."""
        chunk = memoryview(bytes(memory[offset : offset + CHUNK_BYTES]))
        known = self._checksums.get(object_id, {}).get(offset)
        self._send(peer, object_id, offset, chunk, checksum(chunk) if known is None else known)

    def send_gone(self, peer: PeerId, object_id: ObjectId) -> None:
        """Tell that an object can't be read here."""
        send(self._transport, peer, self._transport.address_of(peer), GoneEnvelope(GONE, object_id))
