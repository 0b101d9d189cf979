"""What arrives, up to the receiver: HELLOs, order, decoding; who is ignored.

Pure but for calling the receiver: it knows neither sockets nor the loop. A *line* is what passes between a peer and
us on one lane, both ways. A *source* is one connection of one of the peer's links, named by its routing id: the
peer's id, the lane, and a number that grows with each connection the peer opens, so that what a replaced one still
brings is told apart.

    unknown ── HELLO we agree with ──▶ open ── frames, in order ──▶ open
       └────── anything else ──▶ the peer has failed: reported once, ignored from then on
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from actorrt.config import REMEMBERED_DROPS_COUNT
from actorrt.errors import ActorRtError, AuthenticationError, WireVersionError
from actorrt.ids import ID_BYTES, PeerId, short
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    MAGIC,
    MISDIRECTED,
    BadFrameError,
    Hello,
    agree_on_version,
    check_nesting,
    is_frame,
    is_notice,
    pack_acknowledgement,
    read_head,
    read_hello,
    read_refusal,
    split_buffers,
)
from actorrt.transport.frames.form import WALKED_BYTES, Form
from actorrt.transport.frames.framing import Landing
from actorrt.transport.frames.sequence import Receipts
from actorrt.transport.interfaces import Buffer, Lane, Receiver, TransportStatistics

_NUMBER_BYTES: Final = 4
ROUTING_ID_BYTES: Final = ID_BYTES + 1 + _NUMBER_BYTES

logger = logging.getLogger(__name__)


def routing_id(peer: PeerId, lane: Lane, number: int) -> bytes:
    """Return the name of a link: who opened it, its lane, and which of the peer's links on that lane it is."""
    return peer + bytes((lane,)) + number.to_bytes(_NUMBER_BYTES, "big")


class Acknowledged(Protocol):
    """A link, as far as what arrives concerns it."""

    @property
    def acknowledged_below(self) -> int:
        """The number below which everything has been acknowledged."""

    @property
    def is_awaiting(self) -> bool:
        """Whether the connection stands, and acknowledgements of what it took are due."""

    acknowledged: Callable[[int], bool]
    """Takes notice that the far end has taken the frames below a number; returns False if that can't be."""


class Line:
    """What passes between one peer and us on one lane.

    Attributes:
        peer: who is at the other end.
        receipts: what we have taken, and what of that the peer knows.
        link: our link on that lane, if one is open.
        source_id: the routing id of the connection that brings the peer's frames, if there is one.
        acknowledged: what the peer last told of our link.
        is_owing: whether it is in the list of those that may owe an acknowledgement.
    """

    __slots__ = ("acknowledged", "is_owing", "link", "peer", "receipts", "source_id")

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.receipts = Receipts()
        self.link: Acknowledged | None = None
        self.source_id: bytes | None = None
        self.acknowledged = 0
        self.is_owing = False


class _Source:
    """One connection, from its far end; what arrives on one that is not open is ignored."""

    __slots__ = ("is_open", "line", "peer", "receipts")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.peer = line.peer
        self.receipts = line.receipts
        self.is_open = True


class Inbound:
    """Takes messages of all peers, calls the receiver with what is in them.

    Args:
        peer: this endpoint.
        receiver: who gets the envelopes.
        statistics: counted into.
        on_failed: called with a peer that must not be spoken with any more, why, and the address where it is to be told
            so, or None if it is not; expected to `drop` it and to tell the receiver.
        answer: called with a routing id and a message that goes back over that connection; it may be lost.
        check: called with each HELLO; raises AuthenticationError for one that is not its peer's. It is ignored
            then: the peer in whose name it came is not to blame.
        check_address: called with the address in each HELLO; raises ValueError for one that we don't speak to.
        on_renewed: called with a peer that opens another link than those that we know: it has closed those, and takes
            what was under way for over.
        on_owing: called when acknowledgements begin to be owed; `settle` is to be called at intervals until it
            returns False.
    """

    def __init__(
        self,
        peer: PeerId,
        receiver: Receiver,
        statistics: TransportStatistics,
        on_failed: Callable[[PeerId, ActorRtError, str | None], None],
        answer: Callable[[bytes, bytes], None],
        check: Callable[[Hello], None],
        check_address: Callable[[str], None],
        on_renewed: Callable[[PeerId], None],
        on_owing: Callable[[], None],
    ) -> None:
        self._peer = peer
        self._receiver = receiver
        self._land: Callable[[PeerId, list[Any], int], Landing | None] | None = getattr(receiver, "landing", None)
        self._statistics = statistics
        self._on_failed = on_failed
        self._answer = answer
        self._check = check
        self._check_address = check_address
        self._on_renewed = on_renewed
        self._on_owing = on_owing
        self._sources: dict[bytes, _Source] = {}
        self._lines: dict[bytes, Line] = {}  # by peer and lane
        self._owing: list[Line] = []
        self._hellos: dict[PeerId, Hello] = {}
        self._dropped: dict[PeerId, None] = {}  # insertion order: the oldest is forgotten first
        self._given_up: dict[bytes, int] = {}  # by peer and lane, the last link that is over; the oldest goes first
        self._check_form = Form().check

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address in the peer's HELLO."""
        hello = self._hellos.get(peer)
        return None if hello is None else hello.address

    def node_of(self, peer: PeerId) -> bytes:
        """Return the node in the peer's HELLO; empty where there is none."""
        hello = self._hellos.get(peer)
        return b"" if hello is None else hello.node

    def is_dropped(self, peer: PeerId) -> bool:
        """Whether what comes from `peer` is ignored."""
        return peer in self._dropped

    def line(self, peer: PeerId, lane: Lane) -> Line:
        """Return the line with that peer."""
        return self._line(peer, peer + bytes((lane,)))

    def lines(self) -> Iterable[Line]:
        """Return all lines there are."""
        return self._lines.values()

    def _line(self, peer: PeerId, key: bytes) -> Line:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(peer)
        return line

    def drop(self, peer: PeerId) -> None:
        """Ignore the peer from now on, the rest of the frame in hand included."""
        self._dropped[peer] = None
        if len(self._dropped) > REMEMBERED_DROPS_COUNT:
            # Safe to forget: its links are unknown by now, and an unknown link must begin with a HELLO.
            del self._dropped[next(iter(self._dropped))]
        self._hellos.pop(peer, None)
        for lane in Lane:
            self._given_up.pop(peer + bytes((lane,)), None)
            line = self._lines.pop(peer + bytes((lane,)), None)
            if line is not None:
                self._acknowledge(line)  # whoever has said goodbye may be waiting to see it arrive
                self._close(line)

    def unlinked(self, peer: PeerId, lane: Lane) -> None:
        """Our link to the peer on that lane is closed; nothing stays of a line on which the peer never spoke."""
        key = peer + bytes((lane,))
        line = self._lines.get(key)
        if line is not None:
            line.link = None
            if line.receipts.first < 0:
                del self._lines[key]

    def give_up(self, peer: PeerId, *, is_told: bool = False) -> None:
        """The peer can't be answered, or has given us up: its links are over.

        Args:
            peer: the peer.
            is_told: whether it knows. Else it is told now, or when it takes one of its links up again.
        """
        for lane in Lane:
            line = self._lines.pop(peer + bytes((lane,)), None)
            if line is not None and line.receipts.first >= 0:
                if line.source_id is not None and not is_told:
                    self._answer(line.source_id, GIVEN_UP)
                self._close(line)
                self._given_up[peer + bytes((lane,))] = line.receipts.first
        while len(self._given_up) > REMEMBERED_DROPS_COUNT:
            self._forget_given_up(next(iter(self._given_up)))

    def _forget_given_up(self, key: bytes) -> None:
        del self._given_up[key]
        peer = PeerId(key[:ID_BYTES])
        if not any(peer + bytes((lane,)) in self._lines for lane in Lane):
            self._hellos.pop(peer, None)

    def _is_over(self, key: bytes, first: int) -> bool:
        """Whether a HELLO takes up a link that was given up; forget about that when a later one comes."""
        if first <= self._given_up.get(key, -1):
            return True
        self._given_up.pop(key, None)
        return False

    def _close(self, line: Line) -> None:
        """What the connection of this line still brings is ignored."""
        if line.source_id is not None:
            self._sources.pop(line.source_id).is_open = False
            line.source_id = None

    def message(self, source_id: bytes, head: Buffer, buffers: Sequence[Buffer] = ()) -> None:
        """Take one message from the connection of that routing id."""
        source = self._sources.get(source_id)
        if source is None:
            self._open(source_id, head)
            return
        if not source.is_open:
            self._statistics.ignored_frames += 1
            return
        try:
            self._check_form(head)
            sequence, acknowledged, envelopes, attachments = read_head(head)
            attached = split_buffers(attachments, buffers) if attachments or buffers else None
            if len(head) <= WALKED_BYTES:
                check_nesting(envelopes)
            if sequence != source.receipts.taken and not self._is_new(source, sequence):
                return
        except BadFrameError as error:
            if is_notice(head):
                self._refused(source.peer, head)
            else:
                self._bad(source.peer, error)
            return
        source.receipts.taken = sequence + 1
        statistics = self._statistics
        statistics.frames_in += 1
        statistics.envelopes_in += len(envelopes)
        statistics.bytes_in += len(head) + (sum([len(buffer) for buffer in buffers]) if buffers else 0)
        line = source.line
        if acknowledged > line.acknowledged and not self._acknowledged(line, acknowledged):
            return
        if attached is None:
            self._deliver(source, envelopes)
        else:
            self._deliver_attached(source, envelopes, attached)
        if not line.is_owing:
            self._owes(line)
        elif source.receipts.is_due:
            self._acknowledge(line)

    def landing(self, source_id: bytes, head: Buffer, size_bytes: int) -> Landing | None:
        """Return where the receiver wants the one buffer of a frame of which the head has arrived."""
        source = self._sources.get(source_id)
        if self._land is None or source is None or not source.is_open or len(head) > WALKED_BYTES:
            return None
        try:
            self._check_form(head)
            sequence, _, envelopes, attachments = read_head(head)
            check_nesting(envelopes)
        except BadFrameError:
            return None  # of which `message` tells, when the frame is whole
        if sequence < source.receipts.taken or len(attachments) != 1:
            return None
        index, count = attachments[0]
        return self._land(source.peer, envelopes[index], size_bytes) if count == 1 else None

    def _is_new(self, source: _Source, sequence: int) -> bool:
        if sequence > source.receipts.taken:
            raise BadFrameError(f"frame {sequence} where {source.receipts.taken} was due")
        self._statistics.repeated_frames += 1
        return False

    def _acknowledged(self, line: Line, number: int) -> bool:
        line.acknowledged = number
        if line.link is None or line.link.acknowledged(number):
            return True
        self._bad(line.peer, BadFrameError(f"it acknowledges frames up to {number}, which it can't have"))
        return False

    def _owes(self, line: Line) -> None:
        line.is_owing = True
        self._owing.append(line)
        if len(self._owing) == 1:
            self._on_owing()

    def _acknowledge(self, line: Line) -> None:
        if line.source_id is not None and line.receipts.is_owed:
            self._statistics.acknowledgements_out += 1
            self._answer(line.source_id, pack_acknowledgement(line.receipts.tell()))

    def settle(self) -> bool:
        """Tell what has been owed since the last call; return whether to call again."""
        owing, self._owing = self._owing, []
        for line in owing:
            if line.receipts.is_overdue():
                self._acknowledge(line)
            line.is_owing = line.receipts.is_owed and line.source_id is not None
            if line.is_owing:
                self._owing.append(line)
        return bool(self._owing)

    def _open(self, source_id: bytes, head: Buffer) -> None:
        if len(source_id) != ROUTING_ID_BYTES:
            self._statistics.bad_frames += 1  # no endpoint of ours: there is no peer to fail
            return
        peer = PeerId(source_id[:ID_BYTES])
        # A frame without a HELLO before it came over a connection that another has replaced since.
        if peer in self._dropped or is_frame(head):
            self._statistics.ignored_frames += 1
            return
        try:
            hello = self._accept(peer, head)
        except AuthenticationError:
            self._statistics.bad_frames += 1
            return
        except BadFrameError as error:
            self._answer(source_id, GIVEN_UP)
            self._bad(peer, error)
            return
        except WireVersionError as error:
            self._on_failed(peer, error, read_hello(head).address)
            return
        if hello.to != self._peer:
            self._answer(source_id, MISDIRECTED)  # meant for who had this address before us
            return
        self._begin(source_id, hello)

    def _begin(self, source_id: bytes, hello: Hello) -> None:
        key = source_id[:-_NUMBER_BYTES]
        if self._is_over(key, hello.first):
            self._answer(source_id, GIVEN_UP)
            return
        line = self._line(hello.peer, key)
        if 0 <= line.receipts.first < hello.first:
            line = self._renewed(hello, key)
        is_late = line.source_id is not None and source_id < line.source_id
        if is_late or not line.receipts.begin(hello.first):
            self._statistics.ignored_frames += 1
            return
        self._close(line)
        line.source_id = source_id
        self._sources[source_id] = _Source(line)
        self._hellos[hello.peer] = hello
        # At once: a link that was resumed waits for it, to send no more than it must.
        self._answer(source_id, pack_acknowledgement(line.receipts.tell()))

    def _renewed(self, hello: Hello, key: bytes) -> Line:
        """The peer has closed its links, on both lanes, and opens others; return the line of this one."""
        self.give_up(hello.peer, is_told=True)
        self._on_renewed(hello.peer)
        return self._line(hello.peer, key)

    def _accept(self, peer: PeerId, head: Buffer) -> Hello:
        hello = read_hello(self._checked(head))
        if hello.peer != peer:
            raise BadFrameError(f"a HELLO in the name of {short(hello.peer)} on a link of {short(peer)}")
        self._check(hello)
        agree_on_version(hello)
        try:
            self._check_address(hello.address)
        except ValueError as error:
            raise BadFrameError(f"a HELLO of a peer that can't be answered: {error}") from error
        return hello

    def _checked(self, notice: Buffer) -> Buffer:
        """Return the notice, if it is one and its form is sound; raises BadFrameError otherwise."""
        if is_notice(notice):
            self._check_form(memoryview(notice)[len(MAGIC) :])
        return notice

    def _deliver(self, source: _Source, envelopes: list[list[Any]]) -> None:
        received = self._receiver.received
        peer = source.peer
        for envelope in envelopes:
            if not source.is_open:
                return  # dropped by the receiver itself, a few envelopes ago
            try:
                received(peer, envelope, ())
            except Exception as error:  # a message ends here, and so does whoever sent it
                self._not_received(peer, error)

    def _deliver_attached(
        self, source: _Source, envelopes: list[list[Any]], attached: dict[int, Sequence[Buffer]]
    ) -> None:
        for index, envelope in enumerate(envelopes):
            if not source.is_open:
                return
            try:
                self._receiver.received(source.peer, envelope, attached.get(index, ()))
            except Exception as error:  # a message ends here, and so does whoever sent it
                self._not_received(source.peer, error)

    def _not_received(self, peer: PeerId, error: Exception) -> None:
        """Fail the peer whose message the receiver could not take in, so that nobody there waits for what is lost."""
        logger.error("a message of peer %s was not taken in; its links are closed", short(peer), exc_info=error)
        self._statistics.receiver_errors += 1
        failure = BadFrameError(f"peer {short(peer)} sent a message that was not taken in: {type(error).__name__}")
        self._on_failed(peer, failure, self.address_of(peer))

    def _bad(self, peer: PeerId, error: BadFrameError) -> None:
        self._statistics.bad_frames += 1
        failure = BadFrameError(f"peer {short(peer)} sent a bad frame: {error}")
        self._on_failed(peer, failure, self.address_of(peer))

    def _refused(self, peer: PeerId, notice: Buffer) -> None:
        try:
            error = read_refusal(self._checked(notice))
        except BadFrameError as bad:
            self._bad(peer, bad)
            return
        error.args = (f"refused by peer {short(peer)}: {error}",)
        self._on_failed(peer, error, None)
