"""A link with a queue: what the links of all transports have in common.

    connecting ── takes a frame ──▶ connected ── connection breaks ──▶ broken
         │                                                               │
         └──── connect timeout ────▶ unreachable ◀── connect timeout, or the connection comes back

An unreachable link is closed by the endpoint, which tells the receiver. A connection that breaks has lost what was
on its way, nobody knows how much; so a link does not go on over another one, which would hide the gap. It has the
time of a connect timeout until then, since a death is better told, with its reason, by those who watch processes.

Once a tick, at its end, what was sent is made into frames and offered to the connection. When that takes no more,
the link is *blocked*: it asks to be woken and keeps what it has. How bytes move is the business of subclasses.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId, short
from actorrt.transport.codec import SAFE_BYTES, check_envelope, pack_envelope
from actorrt.transport.outbox import Outbox
from actorrt.transport.protocol import Buffer, Envelope, Lane, LinkStatistics


class QueuedLink(ABC):
    """One way to one peer.

    Args:
        peer, address, lane: whom it leads to.
        hello: the packed HELLO, which leaves first.
        queue_bytes: bound of what may wait here.
        connect_timeout_s: how long the connection may take until it takes the first frame.
        on_unreachable: called with this link when that time has passed, or its connection came back after a break.
    """

    def __init__(
        self,
        peer: PeerId,
        address: str,
        lane: Lane,
        *,
        hello: bytes,
        queue_bytes: int,
        connect_timeout_s: float,
        on_unreachable: Callable[[QueuedLink], None],
    ) -> None:
        self.peer = peer
        self.address = address
        self.lane = lane
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(queue_bytes)
        self._outbox.add_notice(hello)
        self._on_unreachable = on_unreachable
        self._connect_timeout_s = connect_timeout_s
        self._timeout = self._loop.call_later(connect_timeout_s, on_unreachable, self)
        self._is_connected = False
        self._is_broken = False
        self._is_closed = False
        self._is_blocked = False
        self._is_flush_due = True  # also while blocked: then a wake-up does it, not the end of the tick
        self._flushed: list[asyncio.Future[None]] = []
        self.envelopes_out = self.frames_out = self.bytes_out = self.discarded_envelopes = 0
        self._loop.call_soon(self._flush)

    @property
    def queued_bytes(self) -> int:
        """Bytes that were sent and have not been handed to the connection yet."""
        return self._outbox.queued_bytes

    @property
    def is_connected(self) -> bool:
        """Whether the peer has been reached, and the connection holds."""
        return self._is_connected and not self._is_broken

    def send(self, envelope: Envelope, buffers: Sequence[Buffer] = ()) -> None:
        """Queue an envelope for the end of this tick; see `protocol.Link.send`."""
        if self._is_closed:
            raise PeerUnreachableError(
                f"the link to peer {short(self.peer)} at {self.address} is closed: it was dropped, failed, or this "
                "process is stopping"
            )
        packed = pack_envelope(envelope)
        if buffers or len(packed) > SAFE_BYTES:
            check_envelope(envelope, len(packed), buffers)
        self._outbox.add(packed, buffers)
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._is_closed or self._is_broken:
            return
        outbox = self._outbox
        outbox.seal()
        frames = outbox.frames
        while frames:
            frame = frames[0]
            if not self._transmit(frame.parts):
                self._block()
                return
            outbox.take()
            self.envelopes_out += frame.envelope_count
            self.frames_out += 1
            self.bytes_out += frame.size_bytes
            if not self._is_connected:
                self._is_connected = True
                self._timeout.cancel()
        self._is_flush_due = False
        if self._flushed:
            self._wake_flushers()

    def _block(self) -> None:
        if not self._is_blocked:
            self._is_blocked = True
            self._watch()

    def _unblocked(self) -> None:
        """To be called by subclasses when the connection may take a frame again."""
        if self._is_blocked:
            self._is_blocked = False
            self._unwatch()
            self._flush()

    def _connection_broke(self) -> None:
        """To be called by subclasses when a connection is gone; one that had taken nothing has lost nothing."""
        if self._is_closed or self._is_broken or not self._is_connected:
            return
        self._is_broken = True
        self._is_flush_due = True  # what is sent from now on only waits
        if self._is_blocked:
            self._is_blocked = False
            self._unwatch()
        self._timeout.cancel()
        self._timeout = self._loop.call_later(self._connect_timeout_s, self._on_unreachable, self)
        self._wake_flushers()

    def _connection_came_back(self) -> None:
        """To be called by subclasses when there is a connection after one broke."""
        if not self._is_closed and self._is_broken:
            self._on_unreachable(self)

    def add_notice(self, notice: bytes) -> None:
        """Queue what is no envelope, on a link that has just been made."""
        self._outbox.add_notice(notice)

    def flushed(self) -> asyncio.Future[None]:
        """Return a future that is done once nothing is queued, or the link breaks or is closed."""
        future = self._loop.create_future()
        if self._is_flush_due and not self._is_closed and not self._is_broken:
            self._flushed.append(future)
        else:
            future.set_result(None)
        return future

    async def flush(self) -> bool:
        """Wait until nothing is queued, the link breaks, or is closed; return whether nothing is queued."""
        await self.flushed()
        return not self._outbox.queued_bytes

    def _wake_flushers(self) -> None:
        while self._flushed:
            future = self._flushed.pop()
            if not future.done():
                future.set_result(None)

    def close(self, linger_s: float = 0.0) -> None:
        """Discard what is queued, count it, and give the connection back. Idempotent.

        Args:
            linger_s: how long what was handed to the connection already may take to leave.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._timeout.cancel()
        if self._is_blocked:
            self._is_blocked = False
            self._unwatch()
        self.discarded_envelopes = self._outbox.clear()
        self._wake_flushers()
        self._disconnect(linger_s)

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            self.envelopes_out, self.frames_out, self.bytes_out, self._outbox.queued_bytes, self.is_connected
        )

    @abstractmethod
    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        """Hand one message to the connection, whole; return False, and take nothing, if it takes none now."""

    @abstractmethod
    def _watch(self) -> None:
        """Begin to call `_unblocked` once the connection may take more."""

    @abstractmethod
    def _unwatch(self) -> None:
        """End what `_watch` began."""

    @abstractmethod
    def _disconnect(self, linger_s: float) -> None:
        """Give the connection back."""
