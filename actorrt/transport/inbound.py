"""What arrives, up to the receiver: HELLOs, order, decoding; who is ignored.

Pure but for calling the receiver: it knows neither sockets nor the loop. A *source* is one link of one peer as seen
from its far end, named by its routing id: the peer's id, the lane, and a number that grows with each link the peer
opens on that lane, so that what a replaced link still brings is told apart.

    unknown ── HELLO we agree with ──▶ open ── frames, in order ──▶ open
       └────── anything else ──▶ the peer has failed: reported once, ignored from then on
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from actorrt.config import REMEMBERED_DROPS_COUNT
from actorrt.errors import ActorRtError, WireVersionError
from actorrt.ids import ID_BYTES, PeerId, short
from actorrt.transport.codec import (
    BadFrameError,
    Hello,
    agree_on_version,
    is_frame,
    is_notice,
    read_head,
    read_hello,
    read_refusal,
    split_buffers,
)
from actorrt.transport.protocol import Buffer, Lane, Receiver, TransportStatistics

_NUMBER_BYTES: Final = 4
ROUTING_ID_BYTES: Final = ID_BYTES + 1 + _NUMBER_BYTES


def routing_id(peer: PeerId, lane: Lane, number: int) -> bytes:
    """Return the name of a link: who opened it, its lane, and which of the peer's links on that lane it is."""
    return peer + bytes((lane,)) + number.to_bytes(_NUMBER_BYTES, "big")


class _Source:
    """One link of one peer, from its far end; what arrives on one that is not open is ignored."""

    __slots__ = ("expected", "is_open", "peer")

    def __init__(self, peer: PeerId, *, is_open: bool) -> None:
        self.peer = peer
        self.expected = 0
        self.is_open = is_open


class Inbound:
    """Takes messages of all peers, calls the receiver with what is in them.

    Args:
        peer: this endpoint.
        receiver: who gets the envelopes.
        statistics: counted into.
        on_failed: called with a peer that must not be spoken with any more, why, and the address where it is to be told
            so, or None if it is not; expected to `drop` it and to tell the receiver.
        on_receiver_error: called when the receiver raised; the envelopes behind it are delivered nevertheless.
    """

    def __init__(
        self,
        peer: PeerId,
        receiver: Receiver,
        statistics: TransportStatistics,
        on_failed: Callable[[PeerId, ActorRtError, str | None], None],
        on_receiver_error: Callable[[Exception], None],
    ) -> None:
        self._peer = peer
        self._receiver = receiver
        self._statistics = statistics
        self._on_failed = on_failed
        self._on_receiver_error = on_receiver_error
        self._sources: dict[bytes, _Source] = {}
        self._current: dict[bytes, bytes] = {}  # peer and lane -> routing id of the newest link
        self._hellos: dict[PeerId, Hello] = {}
        self._dropped: dict[PeerId, None] = {}  # insertion order: the oldest is forgotten first

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address in the peer's HELLO."""
        hello = self._hellos.get(peer)
        return None if hello is None else hello.address

    def is_dropped(self, peer: PeerId) -> bool:
        """Whether what comes from `peer` is ignored."""
        return peer in self._dropped

    def drop(self, peer: PeerId) -> None:
        """Ignore the peer from now on, the rest of the frame in hand included."""
        self._dropped[peer] = None
        if len(self._dropped) > REMEMBERED_DROPS_COUNT:
            # Safe to forget: its links are unknown by now, and an unknown link must begin with a HELLO.
            del self._dropped[next(iter(self._dropped))]
        self._hellos.pop(peer, None)
        for lane in Lane:
            self._replace(peer + bytes((lane,)), None)

    def _replace(self, line: bytes, source_id: bytes | None) -> None:
        """Make `source_id` the link of this peer and lane; the one before it is closed."""
        old_id = self._current.pop(line, None)
        if old_id is not None:
            self._sources.pop(old_id).is_open = False
        if source_id is not None:
            self._current[line] = source_id

    def message(self, source_id: bytes, head: Buffer, buffers: Sequence[Buffer] = ()) -> None:
        """Take one message from the link of that routing id."""
        source = self._sources.get(source_id)
        if source is None:
            self._open(source_id, head)
            return
        if not source.is_open:
            self._statistics.ignored_frames += 1
            return
        try:
            sequence, envelopes, attachments = read_head(head)
            attached = split_buffers(attachments, buffers) if attachments or buffers else None
        except BadFrameError as error:
            if is_notice(head):
                self._refused(source.peer, head)
            else:
                self._bad(source.peer, error)
            return
        if sequence != source.expected and not self._is_ahead(source, sequence):
            return
        source.expected = sequence + 1
        self._count(head, envelopes, buffers)
        if attached is None:
            self._deliver(source, envelopes)
        else:
            self._deliver_attached(source, envelopes, attached)

    def _count(self, head: Buffer, envelopes: list[list[Any]], buffers: Sequence[Buffer]) -> None:
        statistics = self._statistics
        statistics.frames_in += 1
        statistics.envelopes_in += len(envelopes)
        statistics.bytes_in += len(head)
        if buffers:
            statistics.bytes_in += sum(len(buffer) for buffer in buffers)

    def _open(self, source_id: bytes, head: Buffer) -> None:
        if len(source_id) != ROUTING_ID_BYTES:
            self._statistics.bad_frames += 1  # no endpoint of ours: there is no peer to fail
            return
        peer = PeerId(source_id[:ID_BYTES])
        line = source_id[:-_NUMBER_BYTES]
        is_late = peer in self._dropped or source_id < self._current.get(line, b"")
        # A frame without a HELLO before it was meant for who had this address before us: the link's connection
        # broke, and came back to us. Its sender has done no wrong, and learns of it by the break.
        if is_late or is_frame(head):
            self._statistics.ignored_frames += 1
            return
        try:
            hello = self._accept(peer, head)
        except BadFrameError as error:
            self._bad(peer, error)
            return
        except WireVersionError as error:
            self._on_failed(peer, error, read_hello(head).address)
            return
        self._replace(line, source_id)
        self._sources[source_id] = _Source(peer, is_open=hello.to == self._peer)
        self._hellos[peer] = hello

    def _accept(self, peer: PeerId, head: Buffer) -> Hello:
        hello = read_hello(head)
        if hello.peer != peer:
            raise BadFrameError(f"a HELLO in the name of {short(hello.peer)} on a link of {short(peer)}")
        agree_on_version(hello)
        return hello

    def _is_ahead(self, source: _Source, sequence: int) -> bool:
        """Count a gap or a repetition; return whether the frame is one that has not been seen."""
        if sequence < source.expected:
            self._statistics.repeated_frames += 1
            return False
        self._statistics.lost_frames += sequence - source.expected
        return True

    def _deliver(self, source: _Source, envelopes: list[list[Any]]) -> None:
        received = self._receiver.received
        peer = source.peer
        for envelope in envelopes:
            if not source.is_open:
                return  # dropped by the receiver itself, a few envelopes ago
            try:
                received(peer, envelope, ())
            except Exception as error:  # a message ends here; those behind it are not to blame
                self._failed_to_receive(error)

    def _deliver_attached(
        self, source: _Source, envelopes: list[list[Any]], attached: dict[int, Sequence[Buffer]]
    ) -> None:
        for index, envelope in enumerate(envelopes):
            if not source.is_open:
                return
            try:
                self._receiver.received(source.peer, envelope, attached.get(index, ()))
            except Exception as error:  # a message ends here; those behind it are not to blame
                self._failed_to_receive(error)

    def _failed_to_receive(self, error: Exception) -> None:
        self._statistics.receiver_errors += 1
        self._on_receiver_error(error)

    def _bad(self, peer: PeerId, error: BadFrameError) -> None:
        self._statistics.bad_frames += 1
        failure = BadFrameError(f"peer {short(peer)} sent a bad frame: {error}")
        self._on_failed(peer, failure, self.address_of(peer))

    def _refused(self, peer: PeerId, notice: Buffer) -> None:
        try:
            error = read_refusal(notice)
        except BadFrameError as bad:
            self._bad(peer, bad)
            return
        error.args = (f"refused by peer {short(peer)}: {error}",)
        self._on_failed(peer, error, None)
