"""Sends parts of objects to other nodes over this node's TLS port.

The loop reads requests and waits until chunks are there; a thread sends them from the store's memory. A thread waits
for room at most `STALL_S` at a time, and at most `SENDERS_COUNT` send at once; readers beyond these wait, and are told.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final, Protocol, TypeVar

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.port import Visit
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.ids import NodeId, ObjectId, PeerId
from actorrt.node.objects.bulk import (
    CHUNK,
    GONE,
    READ,
    REQUEST_BYTES,
    SERVED_IDLE_S,
    STALL_S,
    WAIT,
    WAIT_EVERY_S,
    BulkOpening,
    BulkRead,
)
from actorrt.node.objects.pulls import CHUNK_BYTES

T = TypeVar("T")

SENDERS_COUNT: Final = 8
VISITS_COUNT: Final = 16
"""The most connections of one node."""


class Parts(Protocol):
    """The objects of this node, in parts."""

    async def part(self, object_id: ObjectId, offset: int) -> memoryview | None:
        """Return bytes of an object from an offset on: all, or as many as are there, when there are some.

        None says that the object is not here, or not that long.
        """


class BulkSource:
    """The connections by which other nodes read from this one.

    Args:
        peer: this incarnation.
        parts: its objects.
        workers: threads that send, at least `SENDERS_COUNT`.
        refusal: returns why a node is not accepted; None if it is.
        sent: called on the loop with the number of chunks that were sent.
    """

    def __init__(
        self,
        peer: PeerId,
        parts: Parts,
        workers: Executor,
        refusal: Callable[[Card], RefusedError | None],
        sent: Callable[[int], None],
    ) -> None:
        self._peer = peer
        self._parts = parts
        self._workers = workers
        self._refusal = refusal
        self._sent = sent
        self._turns = asyncio.Semaphore(SENDERS_COUNT)
        self._visits: Counter[NodeId] = Counter()

    def __len__(self) -> int:
        return self._visits.total()

    async def serve(self, visit: Visit, card: Card) -> None:
        """Serve the visit of a member until it ends or is silent for `SERVED_IDLE_S`.

        Raises:
            RefusedError: its node is no member any more, wants another incarnation, has too many connections, or sends
                what is no request.
            OSError: the connection broke.
        """
        if (refusal := self._refusal(card)) is not None:
            raise refusal
        opening = messages.contents_of(visit.message, BulkOpening)
        if opening.source != self._peer:
            raise RefusedError(Reason.NO_MEMBER, "the incarnation of this node that had the object has ended")
        if self._visits[card.node] >= VISITS_COUNT:
            raise RefusedError(Reason.TOO_MANY, f"the node has {VISITS_COUNT} connections for objects already")
        self._visits[card.node] += 1
        try:
            while (asked := await _next_request(visit.stream)) is not None:
                await self._answer(visit.stream, asked)
        finally:
            self._visits[card.node] -= 1
            self._visits += Counter()  # without nodes that have none

    async def _answer(self, stream: TlsStream, asked: BulkRead) -> None:
        offset, end = asked.offset, asked.offset + asked.length_bytes
        while offset < end:
            part = await _while_waiting(stream, partial(self._parts.part, asked.object, offset))
            if not part:
                await stream.write(GONE)
                return
            part = part[: end - offset]
            await _while_waiting(stream, self._turns.acquire)
            try:
                await stream.lend(self._workers, STALL_S, partial(_send, part))
            finally:
                self._turns.release()
            self._sent(-(-part.nbytes // CHUNK_BYTES))
            offset += part.nbytes


async def _next_request(stream: TlsStream) -> BulkRead | None:
    """Return the next request; None if the reader has closed the connection, or does not use it."""
    try:
        async with asyncio.timeout(SERVED_IDLE_S):
            message = messages.read(await stream.receive(REQUEST_BYTES))
    except (TimeoutError, ConnectionError):
        return None
    if message.kind != READ:
        raise RefusedError(Reason.MALFORMED, f"{message.kind[:40]!r} is no request for objects")
    asked = messages.contents_of(message, BulkRead)
    if asked.offset % CHUNK_BYTES:
        raise RefusedError(Reason.MALFORMED, f"no chunk begins at {asked.offset}")
    return asked


async def _while_waiting(stream: TlsStream, wait: Callable[[], Awaitable[T]]) -> T:
    """Return the outcome of a wait; once a second, tell the reader that it has to wait, and begin the wait again."""
    while True:
        try:
            async with asyncio.timeout(WAIT_EVERY_S):
                return await wait()
        except TimeoutError:
            async with asyncio.timeout(STALL_S):
                await stream.write(WAIT)


def _send(part: memoryview, connection: ssl.SSLSocket) -> None:
    """Send the chunks of a part. It blocks.

    Raises:
        OSError: the connection broke, or the reader took nothing for its timeout.
    """
    for start in range(0, part.nbytes, CHUNK_BYTES):
        connection.sendall(CHUNK)
        connection.sendall(part[start : start + CHUNK_BYTES])
