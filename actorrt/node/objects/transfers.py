"""Reads objects from the stores of other nodes into the store of this one.

    here                               origin                source: the origin, or a node that reads from it
    pull ── "object_source" ──────────▶ Fanout: which source?
         ◀── length, source ───────────
         ── READ, one for each chunk ─────────────────────▶
         ◀───────────────────────────────── CHUNK, checksum ── when the chunk is there
    sealed ── "object_read" ──────────▶ there is room for another reader

`pulls` decides which chunks are requested; `sources`, by `fanout`, names the source; `chunks` serves chunks. When a
source is lost, the chunks in flight are lost with it. The origin names another source, and chunks that are here already
are not read again. The origin makes the checksum of a chunk, and every source sends the checksum with the chunk. A
chunk counts as here when it agrees with its checksum.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol

from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.config import MIB
from actorrt.errors import ActorDiedError, ActorRtError, CallError, ObjectLostError, PeerUnreachableError
from actorrt.ids import ObjectId, PeerAddress, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.machine.threads import Threads
from actorrt.node.objects.checksums import checksum
from actorrt.node.objects.chunks import Chunks, send
from actorrt.node.objects.holdings import Holdings
from actorrt.node.objects.pulls import CHUNK_BYTES, Pull
from actorrt.node.objects.reading import Reading
from actorrt.node.objects.sources import Sources
from actorrt.protocol.envelopes import CHUNK, READ, ReadEnvelope
from actorrt.protocol.objects import NameSource, ObjectRead, ObjectSource, PullObject, ReleaseObject
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.store.memory.mappings import populate
from actorrt.store.server.exchange import Exchange
from actorrt.transport.interfaces import Buffer, Landing, Transport

logger = logging.getLogger(__name__)

PULLS_COUNT: Final = 2
"""The number of objects that are read at a time. Together with their windows, it bounds the bytes in flight."""
_STALL_S: Final = 5.0
_RETRY_S: Final = 0.2
GIVE_UP_S: Final = 5.0
"""How long a pull goes on without bytes from any node, in addition to the time in which a link gives its peer up."""
MEMBERS_GIVE_UP_S: Final = 60.0
"""The same between members of a cluster, whose links give nobody up."""
_WRONG_TURN_COUNT, _WRONG_COUNT = 4, 16
"""The number of wrong chunks after which another source is asked for, and the number at which the pull fails."""


BULK_BYTES: Final = 1 * MIB
"""Objects with more bytes are read in bulk, if there is a way to do so. For fewer, frames are as fast."""


class BulkWay(Protocol):
    """Reads large parts of objects, over connections of their own; see `bulk_reader.BulkReader`."""

    def reaches(self, source: PeerId) -> bool: ...

    async def read(
        self, source: PeerId, object_id: ObjectId, offset: int, target: memoryview, arrived: Callable[[int], None]
    ) -> bool: ...

    def node_ended(self, source: PeerId) -> None: ...


class Transfers:
    """The transfers of one node.

    Args:
        transport: carries chunks.
        control: carries requests to and from other nodes.
        exchange: this node's store.
        scope: owns the pulls.
        clock: measures the silence of a source.
        threads: compute checksums.

    Attributes:
        bulk: the way in which large objects are read from other nodes of a cluster; None: there is none.
    """

    def __init__(
        self,
        transport: Transport,
        control: Control,
        exchange: Exchange,
        scope: Scope,
        clock: Clock,
        threads: Threads,
    ) -> None:
        self._transport = transport
        self._control = control
        self._exchange = exchange
        self._scope = scope
        self._clock = clock
        self._patience_s = GIVE_UP_S
        self._is_lasting = False
        self._workers = threads.pool("actorrt-transfer", 2)
        self._chunks = Chunks(transport, exchange, scope, clock, self._workers)
        self._pulls: dict[ObjectId, Completion[None]] = {}
        self._readings: dict[ObjectId, Reading] = {}
        self._asked_for: dict[ObjectId, dict[int, dict[PeerId, None]]] = {}
        self._progress: dict[ObjectId, asyncio.Future[None]] = {}
        self.bulk: BulkWay | None = None
        self._turns = asyncio.Semaphore(PULLS_COUNT)
        self._sources = Sources(transport, self._chunks, exchange)
        self._holdings = Holdings(PeerAddress(transport.peer, transport.address), control, exchange, scope)
        self.adopt, self.arrived, self.release = self._holdings.adopt, self._holdings.arrived, self._holdings.release
        self._taken_count = self._wrong_count = 0
        exchange.attach(self)
        control.handle(NameSource.by(self._name_source))
        control.handle(ObjectRead.by(self._note_read))
        control.handle(PullObject.by(self._pull_for))
        control.handle(ReleaseObject.by(lambda _, asked: exchange.release(asked.object)))

    def close(self) -> None:
        """Close the views and the threads. The pulls have ended with their scope. Idempotent."""
        self._chunks.close()
        self._workers.shutdown(cancel_futures=True)

    def statistics(self) -> dict[str, int]:
        """Return the numbers of chunks that were sent, received, and found to be wrong, and of running pulls."""
        return {
            "chunks_sent_count": self._chunks.sent_count,
            "chunks_taken_count": self._taken_count,
            "chunks_wrong_count": self._wrong_count,
            "pulls_count": len(self._pulls),
        }

    # What arrives

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Handle an envelope of one of the kinds in `CHUNK_KINDS`."""
        kind, object_id = envelope[0], ObjectId(envelope[1])
        if kind == READ:
            self._read_by(peer, object_id, envelope[2])
            return
        reading = self._readings.get(object_id)
        if reading is None or reading.source.peer != peer:
            return  # a former source still sends
        if kind == CHUNK:
            _, _, offset, known = envelope
            self._take(reading, offset, known, buffers[0])
        else:
            reading.end_turn()

    def landing(self, peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None:
        """Return the memory in which a chunk is to arrive: the object's, if the chunk was requested."""
        match envelope:
            case [kind, bytes(object_id), int(offset), _] if kind == CHUNK:
                reading = self._readings.get(ObjectId(object_id))
                if reading is not None and reading.source.peer == peer and reading.pull.awaits(offset, size_bytes):
                    return reading.land(offset, size_bytes)
        return None

    def become_lasting(self, node_ends: list[Callable[[PeerId, ExitReason], None]]) -> None:
        """Let nothing end by time or by a broken link, but only with a node: for a node that belongs to a cluster.

        Args:
            node_ends: gets a function that is to be called with the daemon of each node that ends, and how it ended.
        """
        self._is_lasting, self._patience_s = True, MEMBERS_GIVE_UP_S
        node_ends.append(lambda daemon, _: self.node_ended(daemon))

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        """Called when the transport can't reach a peer."""
        if not self._is_lasting or isinstance(error, ActorDiedError):
            self.node_ended(peer)

    def node_ended(self, peer: PeerId) -> None:
        """Called when a node has ended, or the transport has given it up. It sends nothing more, and holds nothing.

        Idempotent.
        """
        for reading in self._readings.values():
            if reading.source.peer == peer:
                reading.end_turn()
        if self.bulk is not None:
            self.bulk.node_ended(peer)
        self._sources.lost(peer)
        self._holdings.node_gone(peer)

    # Pulling

    def pull(self, object_id: ObjectId, origin: PeerAddress) -> Completion[None]:
        """Bring an object of `origin` here, and hold it.

        Returns:
            A completion: it is done when the object is sealed here. It fails with ObjectLostError (no node that has
            the object can be reached), ObjectNotFoundError, ObjectStoreFullError, or the error in the object's place.
        """
        self._exchange.locate(object_id, origin.packed())
        return self._bring(object_id)

    async def _pull_for(self, _: PeerId, asked: PullObject) -> None:
        await self.pull(asked.object, asked.origin)

    def fetch(self, object_id: ObjectId) -> None:
        """Called when a process of this node waits for an object that is elsewhere; see `exchange.RemoteStores`."""
        self._bring(object_id)

    def _bring(self, object_id: ObjectId) -> Completion[None]:
        outcome = self._pulls.get(object_id)
        if outcome is None:
            outcome = self._pulls[object_id] = Completion()
            self._asked_for[object_id] = {}
            self._scope.start(self._pull(object_id, outcome), f"pull {short(object_id)}")
        return outcome

    async def _pull(self, object_id: ObjectId, outcome: Completion[None]) -> None:
        error: ActorRtError = ObjectLostError(f"object {short(object_id)} is lost: the node ended its work")
        try:
            await self._read_all(object_id)
        except ActorRtError as problem:
            error = problem
            self._exchange.fail(object_id, problem)
        else:
            outcome.set_value(None)
        finally:
            del self._pulls[object_id]
            self._note_progress(object_id)
            for peers in self._asked_for.pop(object_id).values():
                for peer in peers:
                    self._chunks.send_gone(peer, object_id)
            outcome.set_error(error)  # without effect after a success

    async def _read_all(self, object_id: ObjectId) -> None:
        """Read an object from one source after the other, and seal it.

        It waits for its turn among the pulls only when the object is sealed and has memory here: an object that is
        still to be made may need objects that other pulls bring.
        """
        origin, named = await self._ask_origin(object_id, None)
        target = await self._exchange.create(object_id, named.length_bytes)
        if target is None:
            return
        try:
            async with self._turns:
                await self._read(object_id, target, named.length_bytes, named.source)
            await self._contain(object_id, named.contained, origin)
        except BaseException:
            self._exchange.abort(object_id)
            raise
        self._exchange.seal(object_id)
        self._exchange.release(object_id)  # `locate` has made a hold of its own
        self._control.notify(origin, ObjectRead(object=object_id))

    async def _read(self, object_id: ObjectId, target: memoryview, length_bytes: int, source: PeerAddress) -> None:
        """Read the bytes of an object into its memory."""
        turn = self._scope.loop.create_future()
        now = self._clock.now()
        reading = Reading(object_id, Pull(length_bytes), target, source, turn, now, now)
        self._readings[object_id] = reading
        try:
            while not await self._read_from_source(reading):
                await self._check_progress(reading)
                _, named = await self._ask_origin(object_id, reading.source.peer)
                reading.source = named.source
        finally:
            reading.recall(*reading.landings)
            del self._readings[object_id]

    async def _check_progress(self, reading: Reading) -> None:
        """Wait before the next source if the last one sent nothing; raise when no source sends anything."""
        name = f"object {short(reading.object_id)}"
        if reading.wrong_count >= _WRONG_COUNT:
            raise ObjectLostError(f"{name} is lost: {reading.wrong_count} chunks did not agree with their checksums")
        now = self._clock.now()
        if reading.pull.here_count > reading.progress_count:
            reading.progress_count, reading.progress_at = reading.pull.here_count, now
        elif now - reading.progress_at >= self._patience_s:
            raise ObjectLostError(f"{name} is lost: no node has sent any of it for {self._patience_s:.0f} s")
        else:
            await asyncio.sleep(_RETRY_S)

    async def _contain(self, object_id: ObjectId, contained: list[ObjectId], origin: PeerAddress) -> None:
        """Make an object hold the objects whose refs it contains, so that these are adopted before it is read."""
        if not contained or self._exchange.contained(object_id):  # it was here before
            return
        for inner in contained:
            self._exchange.locate(inner, origin.packed())
        self._exchange.contain(object_id, contained)
        for inner in contained:
            self._exchange.release(inner)
            await self._holdings.settled(inner)  # the origin keeps these only while it holds the outer object

    async def _ask_origin(self, object_id: ObjectId, failed: PeerId | None) -> tuple[PeerAddress, ObjectSource]:
        """Ask the origin of an object for its length, the objects that it contains, and a source."""
        origin = await self._holdings.origin(object_id)
        try:
            return origin, await self._control.request(origin, NameSource(object=object_id, failed=failed))
        except CallError as error:
            raise ObjectLostError(f"object {short(object_id)} is lost: its node is gone: {error}") from error

    async def _read_from_source(self, reading: Reading) -> bool:
        """Read chunks from the current source; return whether the object is complete."""
        bulk = self.bulk
        if bulk is not None and reading.pull.length_bytes > BULK_BYTES and bulk.reaches(reading.source.peer):
            return await self._read_in_bulk(bulk, reading)
        reading.turn = self._scope.loop.create_future()
        reading.heard_at = self._clock.now()
        reading.recall(*reading.landings)
        reading.pull.source_lost()  # the former source does not answer any more
        self._ask(reading)
        while not reading.turn.done():
            await asyncio.wait([reading.turn], timeout=_STALL_S)
            if self._clock.now() - reading.heard_at >= _STALL_S:
                logger.warning("%s sends no chunk of object %s", short(reading.source.peer), short(reading.object_id))
                break
        return reading.pull.is_complete

    async def _read_in_bulk(self, bulk: BulkWay, reading: Reading) -> bool:
        """Read all missing parts from the current source; return whether the object is complete."""
        reading.recall(*reading.landings)
        reading.pull.source_lost()
        arrived = partial(self._arrived_in_bulk, reading)
        while (run := reading.pull.next_run()) is not None:
            offset, length_bytes = run
            target = reading.target[offset : offset + length_bytes]
            try:
                if not await bulk.read(reading.source.peer, reading.object_id, offset, target, arrived):
                    break
            except PeerUnreachableError as error:
                logger.warning("object %s: %s", short(reading.object_id), error)
                break
        return reading.pull.is_complete

    def _arrived_in_bulk(self, reading: Reading, offset: int) -> None:
        reading.pull.arrived(offset, is_right=True)
        self._taken_count += 1
        self._note_progress(reading.object_id)
        self._pass_on(reading, offset)

    def _ask(self, reading: Reading) -> None:
        """Request as many chunks as the window allows."""
        for offset, _ in reading.pull.next_requests():
            if not send(self._transport, *reading.source, ReadEnvelope(READ, reading.object_id, offset)):
                reading.end_turn()
                return

    def _take(self, reading: Reading, offset: int, known: int, chunk: Buffer) -> None:
        data = memoryview(chunk)
        if not reading.pull.awaits(offset, data.nbytes):
            return
        reading.heard_at = self._clock.now()
        landing = reading.landings.get(offset)
        is_in_place = landing is not None and landing.memory is chunk
        reading.recall(offset)
        is_right = checksum(data) == known
        if is_right and not is_in_place:
            target = reading.target[offset : offset + data.nbytes]
            populate(target)
            target[:] = data
        reading.pull.arrived(offset, is_right=is_right)
        if is_right:
            self._taken_count += 1
            self._chunks.keep_checksum(reading.object_id, offset, known)
            self._note_progress(reading.object_id)
            self._pass_on(reading, offset)
        else:
            self._wrong_count += 1
            reading.wrong_count += 1
            logger.warning("a chunk of object %s does not agree with its checksum", short(reading.object_id))
        if reading.pull.is_complete or (not is_right and reading.wrong_count % _WRONG_TURN_COUNT == 0):
            reading.end_turn()
        elif not reading.turn.done():
            self._ask(reading)

    # Being a source

    def _read_by(self, peer: PeerId, object_id: ObjectId, offset: int) -> None:
        asked_for = self._asked_for.get(object_id)
        if asked_for is None:
            self._chunks.serve(peer, object_id, offset)
            return
        asked_for.setdefault(offset, {})[peer] = None
        reading = self._readings.get(object_id)
        if reading is not None and reading.pull.has(offset):
            self._pass_on(reading, offset)

    def _pass_on(self, reading: Reading, offset: int) -> None:
        """Send a copy of a chunk to the nodes that wait for it. The object itself may still be aborted."""
        for peer in self._asked_for[reading.object_id].pop(offset, ()):
            self._chunks.send_copy(peer, reading.object_id, offset, reading.target)

    async def part(self, object_id: ObjectId, offset: int) -> memoryview | None:
        """Return bytes from an offset on, when there are some; see `bulk_source.Parts`.

        Of an object that is being read here, it is a copy of one chunk, since the object may still be aborted.
        """
        while object_id in self._pulls:
            reading = self._readings.get(object_id)
            if reading is not None and reading.pull.has(offset):
                return memoryview(bytes(reading.target[offset : offset + CHUNK_BYTES]))
            await asyncio.shield(self._progress.setdefault(object_id, self._scope.loop.create_future()))
        if not self._exchange.is_here(object_id):
            return None
        try:
            return (await self._chunks.view(object_id))[offset:]
        except ActorRtError:  # the object is gone by now
            return None

    def _note_progress(self, object_id: ObjectId) -> None:
        """Wake those who wait for a chunk of an object that is being read, or for the end of that."""
        waiting = self._progress.pop(object_id, None)
        if waiting is not None:
            waiting.set_result(None)

    def sent_in_bulk(self, chunks_count: int) -> None:
        """Called when chunks have been sent to another node."""
        self._chunks.sent_count += chunks_count

    # Being an origin

    def _name_source(self, peer: PeerId, asked: NameSource) -> Coroutine[Any, Any, ObjectSource]:
        return self._sources.name(peer, asked.object, asked.failed)

    def _note_read(self, peer: PeerId, read: ObjectRead) -> None:
        self._sources.finished(peer, read.object)
