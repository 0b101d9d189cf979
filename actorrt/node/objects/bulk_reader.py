"""Reads parts of objects from other nodes over their TLS ports, into the memory of this node's store.

The loop opens connections and sends requests; a thread receives the bytes in place. A thread waits for bytes for at
most `STALL_S` at a time. When the reader is cancelled or its source has ended, the connection is shut down, so the
thread ends at once; only then may the memory be given to another object.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final, NamedTuple

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.dialling import DIAL_S, open_as_member
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import Credentials
from actorrt.errors import PeerUnreachableError
from actorrt.ids import NodeId, ObjectId, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.node.objects.bulk import (
    BULK,
    CHUNK,
    GONE,
    IDLE_S,
    READ,
    REFUSAL,
    STALL_S,
    WAIT,
    BulkOpening,
    BulkRead,
)
from actorrt.node.objects.pulls import CHUNK_BYTES
from actorrt.scopes import Scope
from actorrt.store.memory.mappings import populate

logger = logging.getLogger(__name__)

BARRED_S: Final = 10.0
"""How long a node is read by frames after its TLS port could not be reached."""
WAITING_S: Final = 60.0
"""How long a reader waits for a source that has no chunk yet."""


class Port(NamedTuple):
    """The TLS port of a node, as `host:port`."""

    node: NodeId
    address: str


class BulkReader:
    """The connections by which this node reads from others.

    Args:
        port_of: returns the port of an incarnation of a node; None if it is not known, or has ended.
        credentials: returns what this node shows.
        workers: threads that receive.
        scope: owns the timer that closes unused connections.
        clock: measures how long a connection is not used.
        wall: the time in seconds since 1970.
    """

    def __init__(
        self,
        port_of: Callable[[PeerId], Port | None],
        credentials: Callable[[], Credentials],
        workers: Executor,
        scope: Scope,
        clock: Clock,
        wall: Callable[[], float],
    ) -> None:
        self._port_of = port_of
        self._credentials = credentials
        self._workers = workers
        self._scope = scope
        self._clock = clock
        self._wall = wall
        self._idle: dict[PeerId, list[tuple[TlsStream, float]]] = {}
        self._used: dict[PeerId, dict[TlsStream, None]] = {}
        self._barred: dict[PeerId, float] = {}  # until when
        self._cancel_timer: Callable[[], None] | None = None

    def reaches(self, source: PeerId) -> bool:
        """Whether to read from a node in this way."""
        until = self._barred.get(source)
        if until is not None and self._clock.now() >= until:
            del self._barred[source]
            until = None
        return until is None and self._port_of(source) is not None

    async def read(
        self, source: PeerId, object_id: ObjectId, offset: int, target: memoryview, arrived: Callable[[int], None]
    ) -> bool:
        """Read a part of an object.

        Args:
            source: the node to read from.
            object_id: the object.
            offset: where the part begins.
            target: the memory of the part.
            arrived: called on the loop with the offset of each chunk that is there, in order.

        Returns:
            False if the source has the object no longer.

        Raises:
            PeerUnreachableError: the source can't be reached, refuses this node, is silent for `STALL_S`, or the
                connection broke. `arrived` has told which chunks are there. No thread writes to `target` any more.
        """
        asked = BulkRead(object=object_id, offset=offset, length_bytes=target.nbytes)
        kept = self._take_idle(source)
        if kept is not None:
            arrivals = 0

            def noted(at: int) -> None:
                nonlocal arrivals
                arrivals += 1
                arrived(at)

            try:
                return await self._converse(source, kept, asked, target, noted)
            except OSError as error:
                if arrivals or isinstance(error, TimeoutError):
                    raise _broken(source, error) from error
        try:
            return await self._converse(source, await self._open(source), asked, target, arrived)
        except OSError as error:
            raise _broken(source, error) from error

    async def _open(self, source: PeerId) -> TlsStream:
        port = self._port_of(source)
        if port is None:
            raise PeerUnreachableError(f"node {short(source)} has no TLS port that is known here, or has ended")
        opening = messages.pack(BULK, BulkOpening(source=source))
        try:
            async with asyncio.timeout(DIAL_S):
                return await open_as_member(port.address, self._credentials(), opening, self._wall, expected=port.node)
        except (PeerUnreachableError, RefusedError, TimeoutError) as error:
            self._barred[source] = self._clock.now() + BARRED_S
            why = f"it did not finish the handshake within {DIAL_S:g} s" if isinstance(error, TimeoutError) else error
            raise PeerUnreachableError(f"objects of node {short(source)} can't be read over TLS: {why}") from error

    async def _converse(
        self, source: PeerId, stream: TlsStream, asked: BulkRead, target: memoryview, arrived: Callable[[int], None]
    ) -> bool:
        """Send a request and receive its answer; keep the connection if it is still good."""
        self._used.setdefault(source, {})[stream] = None
        is_good = False

        def post(at: int) -> None:
            self._scope.loop.call_soon_threadsafe(arrived, at)

        try:
            async with asyncio.timeout(STALL_S):
                await stream.send(messages.pack(READ, asked))
            is_whole = await stream.lend(self._workers, STALL_S, partial(_receive, asked.offset, target, post))
            is_good = True
        except RefusedError as error:
            raise PeerUnreachableError(f"node {short(source)} refuses to send objects: {error}") from error
        finally:
            used = self._used[source]
            if used.pop(stream, self) is self:  # it was cut
                is_good = False
            if not used:
                del self._used[source]
            if is_good and not self._scope.is_closed:
                self._keep(source, stream)
            else:
                stream.close()
        return is_whole

    # Connections that are not used

    def _take_idle(self, source: PeerId) -> TlsStream | None:
        streams = self._idle.get(source)
        if not streams:
            return None
        stream, _ = streams.pop()
        if not streams:
            del self._idle[source]
        return stream

    def _keep(self, source: PeerId, stream: TlsStream) -> None:
        self._idle.setdefault(source, []).append((stream, self._clock.now()))
        if self._cancel_timer is None:
            self._cancel_timer = self._scope.after(IDLE_S, self._close_idle)

    def _close_idle(self) -> None:
        now, self._cancel_timer = self._clock.now(), None
        for source, streams in list(self._idle.items()):
            for stream, used_at in streams:
                if now - used_at >= IDLE_S:
                    stream.close()
            self._idle[source] = [kept for kept in streams if now - kept[1] < IDLE_S]
            if not self._idle[source]:
                del self._idle[source]
        if self._idle:
            self._cancel_timer = self._scope.after(IDLE_S, self._close_idle)

    def node_ended(self, source: PeerId) -> None:
        """Called when a node has ended: end what is being read from it, and forget it. Idempotent."""
        for stream in self._used.get(source, ()):
            stream.cut()
        for stream, _ in self._idle.pop(source, ()):
            stream.close()
        self._barred.pop(source, None)

    def close(self) -> None:
        """Close the connections. All reads have ended with their scope. Idempotent."""
        for source in list(self._idle):
            self.node_ended(source)


def _broken(source: PeerId, error: OSError) -> PeerUnreachableError:
    what = f"sent nothing for {STALL_S:g} s" if isinstance(error, TimeoutError) else f"broke the connection: {error}"
    return PeerUnreachableError(f"node {short(source)} {what}")


def _receive(offset: int, target: memoryview, arrived: Callable[[int], object], connection: ssl.SSLSocket) -> bool:
    """Receive the chunks of a part in place; return whether all have come. It blocks.

    Raises:
        OSError: the connection broke, or nothing came for its timeout.
        RefusedError: the source refuses this node, or sends what is no answer.
    """
    for start in range(0, target.nbytes, CHUNK_BYTES):
        chunk = target[start : start + CHUNK_BYTES]
        if not _begins(connection):
            return False
        populate(chunk)
        _fill(connection, chunk)
        arrived(offset + start)
    return True


def _begins(connection: ssl.SSLSocket) -> bool:
    """Wait for the mark of a chunk; return False if the object is gone."""
    mark = bytearray(1)
    for _ in range(int(WAITING_S)):
        _fill(connection, memoryview(mark))
        if mark == CHUNK:
            return True
        if mark == GONE:
            return False
        if mark == REFUSAL:
            raise _refusal(connection)
        if mark != WAIT:
            raise RefusedError(Reason.MALFORMED, f"the source sent {bytes(mark)!r}, which is no mark")
    raise TimeoutError(f"the source had no chunk for {WAITING_S:g} s")


def _refusal(connection: ssl.SSLSocket) -> RefusedError:
    prefix = bytearray(messages.LENGTH_BYTES)
    _fill(connection, memoryview(prefix)[1:])
    data = bytearray(messages.length_of(bytes(prefix), messages.FIRST_BYTES))
    _fill(connection, memoryview(data))
    return messages.contents_of(messages.read(bytes(data)), messages.Refusal).error()


def _fill(connection: ssl.SSLSocket, target: memoryview) -> None:
    received = 0
    while received < target.nbytes:
        count = connection.recv_into(target[received:])
        if count == 0:
            raise ConnectionResetError("the far end has closed it")
        received += count
