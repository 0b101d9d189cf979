"""Takes arriving messages, and delivers their envelopes: HELLOs, the order of frames, decoding, ignored peers.

It uses neither sockets nor the loop.

    unknown ── accepted HELLO ──▶ open ── frames, in order ──▶ open
       └────── another message ──▶ the peer has failed: reported once, ignored from then on
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from actorrt.errors import ActorRtError, AuthenticationError, WireVersionError
from actorrt.ids import ID_BYTES, PeerId, short
from actorrt.transport.frames.codec import (
    GIVEN_UP,
    MISDIRECTED,
    BadFrameError,
    Hello,
    check_nesting,
    is_frame,
    is_notice,
    pack_acknowledgement,
    read_head,
    read_hello,
    read_refusal,
    split_buffers,
)
from actorrt.transport.frames.form import WALKED_BYTES, FormChecker
from actorrt.transport.interfaces import LANES, Buffer, Landing, Lane, Receiver, TransportStatistics
from actorrt.transport.links.acknowledgements import Acknowledgements
from actorrt.transport.links.ended_peers import EndedPeers
from actorrt.transport.links.hellos import Hellos
from actorrt.transport.links.peer_lanes import (
    CONNECTION_NAME_BYTES,
    InboundConnection,
    PeerLane,
    key_of,
    lane_key,
)

logger = logging.getLogger(__name__)


class Inbound:
    """Takes the messages of all peers, and calls the receiver with their envelopes.

    Args:
        receiver: gets the envelopes.
        statistics: the transport's statistics.
        hellos: decides which HELLOs are accepted.
        acknowledgements: sends the acknowledgements that are owed.
        answer: called with a connection's name and a message that goes back over that connection; it may be lost.
        on_failed: called with a peer that has failed, the error, and the address for a refusal, or None if there is
            none. The callback must call `drop`, and tell the receiver.
        on_renewed: called with a peer that opens a later link than the known one. It has closed its former links, and
            discarded the messages in both directions.
    """

    def __init__(
        self,
        receiver: Receiver,
        statistics: TransportStatistics,
        hellos: Hellos,
        acknowledgements: Acknowledgements,
        answer: Callable[[bytes, bytes], None],
        on_failed: Callable[[PeerId, ActorRtError, str | None], None],
        on_renewed: Callable[[PeerId], None],
    ) -> None:
        self._receiver = receiver
        self._land: Callable[[PeerId, list[Any], int], Landing | None] | None = getattr(receiver, "landing", None)
        self._statistics = statistics
        self._hellos = hellos
        self._acknowledgements = acknowledgements
        self._answer = answer
        self._on_failed = on_failed
        self._on_renewed = on_renewed
        self._connections: dict[bytes, InboundConnection] = {}  # by name
        self._peer_lanes: dict[bytes, PeerLane] = {}  # by lane key
        self._ended = EndedPeers()
        form = FormChecker()
        self._check_form = form.check
        self._checked_notice = form.checked_notice

    def is_dropped(self, peer: PeerId) -> bool:
        """Whether messages of `peer` are ignored."""
        return self._ended.is_dropped(peer)

    def peer_lane(self, peer: PeerId, lane: Lane) -> PeerLane:
        """Return the state of that peer on that lane; an empty one if there is none yet."""
        return self._peer_lane(peer, lane_key(peer, lane))

    def peer_lanes(self) -> Iterable[PeerLane]:
        """Return the lanes of all peers."""
        return self._peer_lanes.values()

    def _peer_lane(self, peer: PeerId, key: bytes) -> PeerLane:
        peer_lane = self._peer_lanes.get(key)
        if peer_lane is None:
            peer_lane = self._peer_lanes[key] = PeerLane(peer)
        return peer_lane

    def drop(self, peer: PeerId) -> None:
        """Ignore the peer from now on, including the rest of the frame that is being delivered."""
        self._ended.drop(peer)
        self._hellos.forget(peer)
        for lane in LANES:
            key = lane_key(peer, lane)
            self._ended.forget_link(key)
            peer_lane = self._peer_lanes.pop(key, None)
            if peer_lane is not None:
                self._acknowledgements.send(peer_lane)  # a peer that is closing may wait for the acknowledgement
                self._close(peer_lane)

    def unlinked(self, peer: PeerId, lane: Lane) -> None:
        """Note that our link to the peer on that lane is closed; forget the lane if the peer has opened no link."""
        key = lane_key(peer, lane)
        peer_lane = self._peer_lanes.get(key)
        if peer_lane is not None:
            peer_lane.link = None
            if peer_lane.receipts.first < 0:
                del self._peer_lanes[key]

    def give_up(self, peer: PeerId, *, is_told: bool = False) -> None:
        """End the peer's links, since the peer can't be answered or has given us up.

        Args:
            peer: the peer.
            is_told: whether the peer knows already. Otherwise it is told now, or when it continues one of its links.
        """
        for lane in LANES:
            key = lane_key(peer, lane)
            peer_lane = self._peer_lanes.pop(key, None)
            if peer_lane is not None and peer_lane.receipts.first >= 0:
                if peer_lane.connection is not None and not is_told:
                    self._answer(peer_lane.connection, GIVEN_UP)
                self._close(peer_lane)
                forgotten = self._ended.give_up(key, peer_lane.receipts.first)
                if forgotten is not None:
                    self._forget_hello_of(PeerId(forgotten[:ID_BYTES]))

    def _forget_hello_of(self, peer: PeerId) -> None:
        if not any(lane_key(peer, lane) in self._peer_lanes for lane in LANES):
            self._hellos.forget(peer)

    def _close(self, peer_lane: PeerLane) -> None:
        """Ignore messages that still arrive over the lane's connection."""
        if peer_lane.connection is not None:
            self._connections.pop(peer_lane.connection).is_open = False
            peer_lane.connection = None

    def message(self, name: bytes, head: Buffer, buffers: Sequence[Buffer] = ()) -> None:
        """Take one message from the connection of that name."""
        connection = self._connections.get(name)
        if connection is None:
            self._open(name, head)
            return
        if not connection.is_open:
            self._statistics.ignored_frames += 1
            return
        try:
            self._check_form(head)
            sequence, acknowledged, envelopes, attachments = read_head(head)
            attached = split_buffers(attachments, buffers) if attachments or buffers else None
            if len(head) <= WALKED_BYTES:
                check_nesting(envelopes)
            if sequence != connection.receipts.received and not self._is_new(connection, sequence):
                return
        except BadFrameError as error:
            if is_notice(head):
                self._refused(connection.peer, head)
            else:
                self._bad(connection.peer, error)
            return
        connection.receipts.received = sequence + 1
        statistics = self._statistics
        statistics.frames_in += 1
        statistics.envelopes_in += len(envelopes)
        statistics.bytes_in += len(head) + (sum([len(buffer) for buffer in buffers]) if buffers else 0)
        peer_lane = connection.peer_lane
        if acknowledged > peer_lane.acknowledged and not self._acknowledged(peer_lane, acknowledged):
            return
        if attached is None:
            self._deliver(connection, envelopes)
        else:
            self._deliver_attached(connection, envelopes, attached)
        if not envelopes:
            self._acknowledgements.send(peer_lane)  # a probe: its sender wants to know at once, and no frame follows
        elif not peer_lane.is_owing:
            self._acknowledgements.owe(peer_lane)
        elif connection.receipts.is_due:
            self._acknowledgements.send(peer_lane)

    def landing(self, name: bytes, head: Buffer, size_bytes: int) -> Landing | None:
        """Return the receiver's landing for the one buffer of a frame whose head has arrived; None if there is none."""
        connection = self._connections.get(name)
        if self._land is None or connection is None or not connection.is_open or len(head) > WALKED_BYTES:
            return None
        try:
            self._check_form(head)
            sequence, _, envelopes, attachments = read_head(head)
            check_nesting(envelopes)
        except BadFrameError:
            return None  # `message` reports it when the frame is complete
        if sequence < connection.receipts.received or len(attachments) != 1:
            return None
        index, count = attachments[0]
        return self._land(connection.peer, envelopes[index], size_bytes) if count == 1 else None

    def _is_new(self, connection: InboundConnection, sequence: int) -> bool:
        if sequence > connection.receipts.received:
            raise BadFrameError(f"frame {sequence} where {connection.receipts.received} was due")
        self._statistics.repeated_frames += 1
        return False

    def _acknowledged(self, peer_lane: PeerLane, number: int) -> bool:
        peer_lane.acknowledged = number
        if peer_lane.link is None or peer_lane.link.acknowledged(number):
            return True
        self._bad(peer_lane.peer, BadFrameError(f"it acknowledges frames up to {number}, which were never sent"))
        return False

    def _open(self, name: bytes, head: Buffer) -> None:
        if len(name) != CONNECTION_NAME_BYTES:
            self._statistics.bad_frames += 1  # the sender is no endpoint of actorrt, so there is no peer to fail
            return
        peer = PeerId(name[:ID_BYTES])
        # A frame without a HELLO before it comes from a connection that a later one has replaced.
        if self._ended.is_dropped(peer) or is_frame(head):
            self._statistics.ignored_frames += 1
            return
        try:
            hello = self._hellos.check(peer, head)
        except AuthenticationError:
            self._statistics.bad_frames += 1
            return
        except BadFrameError as error:
            self._answer(name, GIVEN_UP)
            self._bad(peer, error)
            return
        except WireVersionError as error:
            self._on_failed(peer, error, read_hello(head).address)
            return
        if hello.to != self._hellos.own_peer:
            self._answer(name, MISDIRECTED)  # the HELLO is meant for the process that had this address before
            return
        self._begin(name, hello)

    def _begin(self, name: bytes, hello: Hello) -> None:
        key = key_of(name)
        if self._ended.is_over(key, hello.first):
            self._answer(name, GIVEN_UP)
            return
        peer_lane = self._peer_lane(hello.peer, key)
        if 0 <= peer_lane.receipts.first < hello.first:
            peer_lane = self._renewed(hello, key)
        is_late = peer_lane.connection is not None and name < peer_lane.connection
        if is_late or not peer_lane.receipts.begin(hello.first):
            self._statistics.ignored_frames += 1
            return
        self._close(peer_lane)
        peer_lane.connection = name
        self._connections[name] = InboundConnection(peer_lane)
        self._hellos.remember(hello)
        # Sent at once: a resumed link waits for this number, and then sends only the frames that we have not received.
        self._answer(name, pack_acknowledgement(peer_lane.receipts.acknowledge()))

    def _renewed(self, hello: Hello, key: bytes) -> PeerLane:
        """End the peer's former links, since it opens new ones; return the lane of the new link."""
        self.give_up(hello.peer, is_told=True)
        self._on_renewed(hello.peer)
        return self._peer_lane(hello.peer, key)

    def _deliver(self, connection: InboundConnection, envelopes: list[list[Any]]) -> None:
        received = self._receiver.received
        peer = connection.peer
        for envelope in envelopes:
            if not connection.is_open:
                return  # the receiver has dropped the peer while it handled an earlier envelope
            try:
                received(peer, envelope, ())
            except Exception as error:  # the message ends here, and the links of its sender are closed
                self._not_received(peer, error)

    def _deliver_attached(
        self, connection: InboundConnection, envelopes: list[list[Any]], attached: dict[int, Sequence[Buffer]]
    ) -> None:
        for index, envelope in enumerate(envelopes):
            if not connection.is_open:
                return
            try:
                self._receiver.received(connection.peer, envelope, attached.get(index, ()))
            except Exception as error:  # the message ends here, and the links of its sender are closed
                self._not_received(connection.peer, error)

    def _not_received(self, peer: PeerId, error: Exception) -> None:
        """Fail the peer whose message the receiver could not handle, so that the peer does not wait for an answer."""
        logger.error("a message of peer %s could not be handled; its links are closed", short(peer), exc_info=error)
        self._statistics.receiver_errors += 1
        failure = BadFrameError(f"peer {short(peer)} sent a message that could not be handled: {type(error).__name__}")
        self._on_failed(peer, failure, self._hellos.address_of(peer))

    def _bad(self, peer: PeerId, error: BadFrameError) -> None:
        self._statistics.bad_frames += 1
        failure = BadFrameError(f"peer {short(peer)} sent a bad frame: {error}")
        self._on_failed(peer, failure, self._hellos.address_of(peer))

    def _refused(self, peer: PeerId, notice: Buffer) -> None:
        try:
            error = read_refusal(self._checked_notice(notice))
        except BadFrameError as bad:
            self._bad(peer, bad)
            return
        error.args = (f"refused by peer {short(peer)}: {error}",)
        self._on_failed(peer, error, None)
