"""The base class of links: a queue of envelopes, and connections that are replaced when they break.

    connecting ── HELLO is handed over ──▶ connected ── connection breaks ──▶ connecting, over another connection
         │
         └──── connect timeout, or another process has the address ────▶ unreachable

A *lasting* link never becomes unreachable by itself: whatever goes wrong with its connections is reported as trouble,
and it connects again until it is closed.

A connection that breaks loses an unknown number of the frames that were on their way. The link makes another
connection, and begins it with the same HELLO. The answer says which frames the far end has received, and the link sends
the others again. Each connection has a name of its own, since the far end may not have noticed yet that the former one
is gone. If connections keep breaking without progress, reconnection backs off and finally stops (`reconnection`). The
transport closes an unreachable link and tells the receiver.

The `Flusher` makes the link put its envelopes into frames and offer them to the connection; a large frame is offered at
once. When the connection accepts no more, the link is *blocked*: it keeps its frames, and asks to be woken. Subclasses
move the bytes.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple, NoReturn

from actorrt.config import KIB
from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import PeerId, short
from actorrt.machine.clock import Clock
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    MISDIRECTED,
    SAFE_BYTES,
    BadFrameError,
    check_envelope,
    pack_envelope,
    read_acknowledgement,
)
from actorrt.transport.frames.outbox import Outbox
from actorrt.transport.frames.sequence import Frame, Receipts
from actorrt.transport.interfaces import Buffer, Envelope, Lane, LinkStatistics
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.links.reconnection import Reconnection

EARLY_FRAME_BYTES: Final = 16 * KIB
"""A frame of this size leaves before the tick ends. With calls in flight, this allows 10 % more asks a second."""
_FINAL_NOTICES: Final = frozenset({MISDIRECTED, GIVEN_UP})


class LinkSetup(NamedTuple):
    """The arguments of every link.

    Attributes:
        peer, address, lane: the target of the link.
        hello: the packed HELLO, the first message of each connection.
        first: the number of the first frame.
        receipts: the frames received in the other direction; this link's frames carry their acknowledgement.
        flusher: calls `flush_now` when the link must flush.
        clock: the time.
        queue_bytes: the bound of the queued and unacknowledged bytes.
        connect_timeout_s: the time within which a connection must accept the HELLO.
        is_lasting: whether the link connects again for ever, and never becomes unreachable by itself.
        on_awaiting: called with the link when it waits for acknowledgements; if it is polled, when it begins to.
        on_unreachable: called with the link when connecting took too long, or another process has the address.
        on_given_up: called with the link when its peer reports that it could not reach us, and gave us up.
        on_refused: called with the link when no process listens at the peer's address any more.
        on_bad: called with the link and the error when the far end breaks the protocol, or does not accept our key.
        on_trouble: called with a lasting link and the reason when its connection broke, or could not be made.
    """

    peer: PeerId
    address: str
    lane: Lane
    hello: bytes
    first: int
    receipts: Receipts
    flusher: Flusher
    clock: Clock
    queue_bytes: int
    connect_timeout_s: float
    is_lasting: bool
    on_awaiting: Callable[[QueuedLink], None]
    on_unreachable: Callable[[QueuedLink], None]
    on_given_up: Callable[[QueuedLink], None]
    on_refused: Callable[[QueuedLink], None]
    on_bad: Callable[[QueuedLink, ActorRtError], None]
    on_trouble: Callable[[QueuedLink, str], None]


class QueuedLink(ABC):
    """A link to one peer on one lane.

    Attributes:
        is_polled: whether acknowledgements are also looked for at intervals, since nothing reports some that arrive.
        acknowledged: a function to be called with the number below which the far end has received every frame; returns
            False if that is impossible.
        last_error: the operating system's error at the last attempt to connect, if it failed.
    """

    is_polled: ClassVar[bool] = False

    def __init__(self, setup: LinkSetup) -> None:
        self._setup = setup
        self.peer = setup.peer
        self.address = setup.address
        self.lane = setup.lane
        self._loop = asyncio.get_running_loop()
        self._flusher = setup.flusher
        self._receipts = setup.receipts
        self._outbox = Outbox(setup.queue_bytes, setup.first)
        self._add = self._outbox.add
        self._window = self._outbox.window
        self.acknowledged: Callable[[int], bool] = self._window.acknowledge
        self._notices: deque[bytes] = deque((setup.hello,))  # notices leave before any frame
        self._is_lasting = setup.is_lasting
        self._timeout: asyncio.TimerHandle | None = None
        self._begin_timeout()
        self._is_connected = False
        self._reconnection = Reconnection(setup.first, setup.connect_timeout_s, gives_up=not setup.is_lasting)
        self._is_answer_due = False  # the answer to the HELLO of a later connection; no frame is sent before it
        self.last_error: Exception | None = None
        self._is_closed = False
        self._is_blocked = False
        self._is_flush_due = True  # stays True while the link is blocked; then the wake-up flushes
        self._is_awaiting = False
        self._awaited = setup.first
        self._flushed: list[asyncio.Future[None]] = []
        self.envelopes_out = self.frames_out = self.bytes_out = self.discarded_envelopes = self.resumed_count = 0
        self._flusher.add(self)

    def _begin_timeout(self) -> None:
        """Become unreachable in time, unless there is a connection by then, or the link is a lasting one."""
        if not self._is_lasting:
            self._timeout = self._loop.call_later(self._setup.connect_timeout_s, self._setup.on_unreachable, self)

    def _end_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    @property
    def queued_bytes(self) -> int:
        """Bytes that were sent and have not been handed to the connection yet."""
        return self._outbox.queued_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of envelopes that are queued or unacknowledged."""
        return self._outbox.held_bytes

    @property
    def acknowledged_below(self) -> int:
        """The number below which every frame has been acknowledged."""
        return self._window.acknowledged

    @property
    def is_awaiting(self) -> bool:
        """Whether the peer owes an acknowledgement, over a connection that stands, or over a lasting link."""
        return (self._is_connected or self._is_lasting) and len(self._window) > 0

    @property
    def is_connected(self) -> bool:
        """Whether the peer has been reached, and the connection stands."""
        return self._is_connected

    @property
    def next_sequence(self) -> int:
        """The number of the next frame."""
        return self._window.next

    @property
    def left_below(self) -> int:
        """The number below which frames may have left; see `Link.left_below`."""
        return self._window.handed_below

    def send(self, envelope: Envelope, buffers: Sequence[Buffer] = ()) -> int:
        """Queue an envelope for the end of this tick or drain; see `Link.send`."""
        if self._is_closed:
            self._refuse_to_send()
        packed = pack_envelope(envelope)
        if buffers or len(packed) > SAFE_BYTES:
            check_envelope(envelope, len(packed), buffers)
        open_bytes = self._add(packed, buffers)
        sequence = self._window.next
        if not self._is_flush_due:
            self._is_flush_due = True
            self._flusher.add(self)
        if open_bytes > EARLY_FRAME_BYTES:
            self.flush_now()  # so that the far end begins while more is being sent here
            self._is_flush_due = True  # the flusher still has this link in its list
        return sequence

    def probe(self) -> None:
        """Send a frame without envelopes, so that the peer acknowledges it."""
        if not self._is_closed:
            self._window.push(self._outbox.make_frame())
            if not self._is_flush_due:
                self._is_flush_due = True
                self._flusher.add(self)

    def _refuse_to_send(self) -> NoReturn:
        raise PeerUnreachableError(
            f"the link to peer {short(self.peer)} at {self.address} is closed: the peer was dropped or has failed, or "
            "this process is stopping"
        )

    def flush_now(self) -> None:
        """Offer all notices and frames to the connection. Called by the `Flusher`, and when the link is unblocked."""
        if self._is_closed or self._is_blocked:
            return
        if self._notices and not self._transmit_notices():
            self._block()
            return
        if self._is_answer_due:
            return
        if not self._hand_over():
            self._block()
            return
        self._is_flush_due = False
        if not self._is_awaiting and len(self._window):
            self._is_awaiting = self.is_polled
            self._awaited = self._window.next
            self._setup.on_awaiting(self)
        if self._flushed:
            self._wake_flushers()

    def _hand_over(self) -> bool:
        """Offer the waiting frames to the connection, in order; return whether it accepted all of them."""
        outbox, window = self._outbox, self._window
        while window.waiting_bytes:
            frame = window.next_to_hand
            assert frame is not None
            if not self._transmit(frame[0]):
                return False
            window.handed(frame)
            self._count(frame)
        if outbox.is_open:
            receipts = self._receipts
            frame = outbox.make_frame(receipts.received)
            if not self._transmit(frame[0]):
                window.push(frame)
                return False
            receipts.acknowledged = receipts.received
            window.push_handed(frame)
            self._count(frame)
        return True

    def _count(self, frame: Frame) -> None:
        self.envelopes_out += frame[1]
        self.frames_out += 1
        self.bytes_out += frame[2]

    def _transmit_notices(self) -> bool:
        while self._notices:
            if not self._transmit((self._notices[0],)):
                return False
            self.frames_out += 1
            self.bytes_out += len(self._notices.popleft())
        self._is_connected = True
        self._reconnection.connected(self._setup.clock.now())
        self._end_timeout()
        return True

    def _block(self) -> None:
        self._is_blocked = True
        self._watch()

    def _unblocked(self) -> None:
        """Flush again. To be called by subclasses when the connection may accept a message again."""
        if self._is_blocked:
            self._is_blocked = False
            self.flush_now()

    def _connection_broke(self, why: str = "its connection broke") -> None:
        """Replace the connection, or stop trying. To be called by subclasses when the connection is gone."""
        if self._is_closed:
            return
        if self._is_connected:
            self._lost_connection()
        if self._is_lasting:
            self._setup.on_trouble(self, why)
        delay_s = self._reconnection.next_delay_s()
        if delay_s is None:
            self._setup.on_unreachable(self)
            return
        self._is_blocked = False
        self._reconnect(delay_s)
        self.flush_now()

    def _lost_connection(self) -> None:
        """Prepare to send the HELLO again, and then the unacknowledged frames."""
        self._reconnection.lost(self._setup.clock.now(), self._window.acknowledged)
        self._is_connected = False
        self._is_answer_due = True
        self._is_flush_due = True
        self._notices = deque((self._setup.hello,))
        self._window.rewind()
        self.resumed_count += 1
        self._begin_timeout()
        self._wake_flushers()

    def answered(self, message: Buffer) -> None:
        """Take a message that the far end sent back over the connection."""
        if self._is_closed:
            return
        if message == MISDIRECTED and self._is_lasting:
            self._connection_broke("another process has its address")
            return
        if message in _FINAL_NOTICES:
            (self._setup.on_unreachable if message == MISDIRECTED else self._setup.on_given_up)(self)
            return
        try:
            number = read_acknowledgement(message)
            if not self.acknowledged(number):
                raise BadFrameError(f"it acknowledges frames up to {number}, which were never sent")
        except BadFrameError as error:
            self._setup.on_bad(self, BadFrameError(f"peer {short(self.peer)} sent a bad frame: {error}"))
            return
        if self._is_answer_due:
            self._is_answer_due = False
            self.flush_now()

    def poll_acknowledgements(self) -> bool:
        """Read the acknowledgements that have arrived; return whether to poll again. To be called at intervals.

        If no frame was made since the last call, or since the link began to wait, there is no need to poll again: the
        descriptor's wake-up is enough for the remaining acknowledgements.
        """
        if self._is_closed:
            return False
        self._read_answers()
        window = self._window
        self._is_awaiting = len(window) > 0 and window.next != self._awaited
        self._awaited = window.next
        return self._is_awaiting

    def add_notice(self, notice: bytes) -> None:
        """Queue a notice behind the HELLO. To be called only on a link that has just been made."""
        self._notices.append(notice)

    def flushed(self) -> asyncio.Future[None]:
        """Return a future that is done when nothing is queued, the connection breaks, or the link is closed."""
        future = self._loop.create_future()
        is_broken = self.resumed_count > 0 and not self._is_connected
        if self._is_flush_due and not self._is_closed and not is_broken:
            self._flushed.append(future)
        else:
            future.set_result(None)
        return future

    async def flush(self) -> bool:
        """Wait for `flushed`; return whether nothing is queued."""
        await self.flushed()
        return not self._outbox.queued_bytes

    def _wake_flushers(self) -> None:
        while self._flushed:
            future = self._flushed.pop()
            if not future.done():
                future.set_result(None)

    def close(self, linger_s: float = 0.0) -> None:
        """Discard the queued envelopes, count them, and close the connection. Idempotent.

        Args:
            linger_s: the time within which the bytes that were handed to the connection may still leave.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._end_timeout()
        self._is_blocked = False
        self.discarded_envelopes = self._outbox.clear()
        self._wake_flushers()
        self._disconnect(linger_s)

    def abandon(self) -> None:
        """Called in a forked child: send nothing more, since the connection belongs to the parent."""
        self._is_closed = True

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            self.envelopes_out, self.frames_out, self.bytes_out, self._outbox.queued_bytes, self.is_connected
        )

    @abstractmethod
    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        """Hand one whole message to the connection; return False if the connection accepts no message now."""

    @abstractmethod
    def _watch(self) -> None:
        """Arrange that `_unblocked` is called when the connection may accept a message again."""

    @abstractmethod
    def _read_answers(self) -> None:
        """Call `answered` with every message that has arrived over the connection."""

    @abstractmethod
    def _reconnect(self, delay_s: float) -> None:
        """Close the broken connection. Make another one, with another name, after that time."""

    @abstractmethod
    def _disconnect(self, linger_s: float) -> None:
        """Close the connection."""
