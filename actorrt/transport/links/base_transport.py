"""The base class of transports: the table of links, dropping and refusing peers, and the order of closing.

Subclasses make the connections.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from actorrt.config import CONNECT_TIMEOUT_S, FLUSH_TIMEOUT_S, LINK_QUEUE_BYTES
from actorrt.errors import ActorRtError, AuthenticationError
from actorrt.ids import PeerId, short
from actorrt.machine.clock import Clock
from actorrt.transport.frames.codec import Hello, pack_hello, pack_refusal
from actorrt.transport.interfaces import LANES, Lane, Receiver, TransportStatistics
from actorrt.transport.links import failures
from actorrt.transport.links.acknowledgements import Acknowledgements
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.links.heartbeat import LinkHeartbeat
from actorrt.transport.links.hellos import Hellos
from actorrt.transport.links.inbound import Inbound
from actorrt.transport.links.peer_lanes import connection_name
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink

MAX_REFUSALS_COUNT: Final = 16
"""The number of refusals that are sent at the same time. Further failed peers are not told."""


class BaseTransport(ABC):
    """A transport, except for its connections.

    Args:
        peer: the id of this incarnation of this process.
        address: the address to bind to; its scheme is one of `schemes`.
        clock: the time.
        node: the name of the node that this process runs on; empty if there is none.
        queue_bytes: the bound of the queued and unacknowledged bytes of one link.
        connect_timeout_s: how long a link waits for its connection.
        logical: the address of this process in its cluster, which HELLOs give beside `address`; empty if it has none.
        is_lasting: whether links connect again for ever, and end only by `drop`, `end` or the peer's word.
    """

    schemes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        peer: PeerId,
        address: str,
        *,
        clock: Clock,
        node: bytes = b"",
        queue_bytes: int = LINK_QUEUE_BYTES,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        logical: str = "",
        is_lasting: bool = False,
    ) -> None:
        self._check_address(address)
        self.peer = peer
        self.address = address
        self._clock = clock
        self._node = node
        self._queue_bytes = queue_bytes
        self._connect_timeout_s = connect_timeout_s
        self._logical = logical
        self._is_lasting = is_lasting
        self._links: dict[tuple[PeerId, Lane], QueuedLink] = {}
        self._refusals: set[QueuedLink] = set()  # each link carries a refusal, and is closed after the refusal has left
        self._connections_count = 0
        self._next_first = 0  # greater than the number of every frame of a closed link
        self._is_unbound = False
        self._statistics = TransportStatistics()
        self._inbound: Inbound | None = None
        self._receiver: Receiver | None = None
        self._closing: asyncio.Future[None] | None = None

    def _check_address(self, address: str) -> None:
        """Raise ValueError for an address that this transport can't use.

        Every address is checked here: the transport's own address, those of links, and those in HELLOs.
        """
        if not address.startswith(self.schemes):
            raise ValueError(f"{address!r} is no address of this transport: it must begin with one of {self.schemes}")

    def _check_origin(self, hello: Hello) -> None:
        """Raise AuthenticationError if the HELLO does not come from the peer that it names."""

    def _greeted(self, hello: Hello) -> None:
        """Called with each HELLO that was accepted: its peer has opened or continued a link to us."""

    @property
    def open_links(self) -> Mapping[tuple[PeerId, Lane], QueuedLink]:
        """The open links."""
        return self._links

    def round_trip_s(self, peer: PeerId) -> float:
        """Return how long messages to the peer and back take; see `Transport.round_trip_s`."""
        return 0.0

    async def start(self, receiver: Receiver) -> None:
        """Bind, and deliver to `receiver` from now on; see `Transport.start`."""
        self.begin(receiver, Flusher(asyncio.get_running_loop()))

    def begin(self, receiver: Receiver, flusher: Flusher) -> None:
        """As `start`, with a flusher that several transports of one endpoint may share."""
        if self._inbound is not None:
            raise ValueError(f"transport {short(self.peer)} was started before")
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._drained: Callable[[], None] | None = getattr(receiver, "drained", None)
        self._flusher = flusher
        self._hellos = Hellos(self.peer, self._check_origin, self._check_address, self._greeted)
        self._acknowledgements = Acknowledgements(self._loop, self._clock, self._answer, self._statistics)
        self._inbound = Inbound(
            receiver,
            self._statistics,
            self._hellos,
            self._acknowledgements,
            answer=self._answer,
            on_failed=self._fail,
            on_renewed=self._renewed,
        )
        self._heartbeat = LinkHeartbeat(self._loop, self._clock, receiver, self._inbound.peer_lanes, self._probe_link)
        self._bind()

    def watch(self, peer: PeerId, address: str) -> None:
        """Probe the peer, so that its silence is noticed; see `Transport.watch`."""
        self._heartbeat.watch(peer, address)

    def unwatch(self, peer: PeerId) -> None:
        """Stop probing the peer; see `Transport.unwatch`."""
        self._heartbeat.unwatch(peer)

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer has owed an acknowledgement and sent nothing; see `Transport.silent_s`."""
        return self._heartbeat.silent_s(peer)

    def _probe_link(self, peer: PeerId, address: str) -> QueuedLink:
        """Return the link for probes: a connected one, if any, since a stopped peer accepts no other connection."""
        for lane in (Lane.CONTROL, Lane.USER):
            link = self._links.get((peer, lane))
            if link is not None and link.is_connected:
                return link
        return self.link(peer, address, Lane.CONTROL)

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> QueuedLink:
        """Return the link to `peer` on `lane`; open it to `address` if there is none; see `Transport.link`."""
        link = self._links.get((peer, lane))
        if link is None:
            link = self._links[peer, lane] = self._open(peer, address, lane)
        return link

    def _open(self, peer: PeerId, address: str, lane: Lane) -> QueuedLink:
        self._check_address(address)
        if self._inbound is None or self._closing is not None:
            raise failures.not_running(peer)
        if self._inbound.is_dropped(peer):
            raise failures.dropped(peer, address)
        peer_lane = self._inbound.peer_lane(peer, lane)
        link = self._connect(self._setup(peer, address, lane))
        peer_lane.link = link
        return link

    def _setup(self, peer: PeerId, address: str, lane: Lane) -> LinkSetup:
        assert self._inbound is not None
        return LinkSetup(
            peer=peer,
            address=address,
            lane=lane,
            hello=pack_hello(Hello(self.peer, peer, self.address, self._next_first, self._node, logical=self._logical)),
            first=self._next_first,
            receipts=self._inbound.peer_lane(peer, lane).receipts,
            flusher=self._flusher,
            clock=self._clock,
            queue_bytes=self._queue_bytes,
            connect_timeout_s=self._connect_timeout_s,
            is_lasting=self._is_lasting,
            on_awaiting=self._awaits,
            on_unreachable=self._unreachable,
            on_given_up=self._given_up_by,
            on_refused=self._refused,
            on_bad=self._bad,
            on_trouble=self._troubled,
        )

    def _next_name(self, lane: Lane) -> bytes:
        """Return the name for the next connection."""
        self._connections_count += 1
        return connection_name(self.peer, lane, self._connections_count)

    def hold(self) -> None:
        """Flush nothing at the end of this tick; see `Transport.hold`."""
        self._flusher.is_draining = True

    def release(self) -> None:
        """Flush everything that was sent since `hold`."""
        self._flusher.is_draining = False
        self._flusher.flush()

    def _end_drain(self) -> None:
        """End a drain. To be called by subclasses once a tick, after the delivery of all messages that had arrived."""
        try:
            if self._drained is not None:
                self._drained()
        finally:
            self.release()

    def _awaits(self, link: QueuedLink) -> None:
        if link.is_polled:
            self._acknowledgements.expect(link)
        self._heartbeat.wake()

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address that the peer gave in its HELLO, the logical one if there is one; or None."""
        return None if self._inbound is None else self._hellos.logical_address_of(peer)

    def node_of(self, peer: PeerId) -> bytes:
        """Return the name of the peer's node; empty if it is this process's node; see `Transport.node_of`."""
        node = b"" if self._inbound is None else self._hellos.node_of(peer)
        return b"" if node == self._node else node

    def drop(self, peer: PeerId) -> None:
        """Close the links to the peer, discard their envelopes, and ignore its messages; see `Transport.drop`."""
        if self._inbound is not None:
            self._close_links(peer)
            self._inbound.drop(peer)

    def knows(self, peer: PeerId) -> bool:
        """Whether there is a link with the peer in either direction."""
        return self._inbound is not None and any(lane.peer == peer for lane in self._inbound.peer_lanes())

    def end(self, peer: PeerId, error: ActorRtError) -> None:
        """End the links to a peer that is known to be gone: as `drop`, and the receiver is told the error."""
        if self._inbound is not None and not self._inbound.is_dropped(peer):
            self.drop(peer)
            self._tell_failed(peer, error)

    def _close_links(self, peer: PeerId) -> None:
        self._heartbeat.unwatch(peer)
        for lane in LANES:
            link = self._links.pop((peer, lane), None)
            if link is not None:
                assert self._inbound is not None
                self._inbound.unlinked(peer, lane)
                self._retire(link)

    def _retire(self, link: QueuedLink, linger_s: float = 0.0) -> None:
        self._next_first = max(self._next_first, link.next_sequence + 1)
        link.close(linger_s)
        _count(self._statistics, link)

    def _fail(self, peer: PeerId, error: ActorRtError, address: str | None) -> None:
        """Drop the peer for good, send a refusal to that address, and tell the receiver."""
        self.drop(peer)
        if address is not None and len(self._refusals) < MAX_REFUSALS_COUNT:
            self._refuse(peer, address, error)
        self._tell_failed(peer, error)

    def _refuse(self, peer: PeerId, address: str, error: ActorRtError) -> None:
        """Send a refusal over a link of its own. Without a refusal, the peer would wait for ever for answers."""
        try:
            self._check_address(address)
            link = self._connect(self._setup(peer, address, Lane.CONTROL)._replace(is_lasting=False))
        except (ValueError, AuthenticationError):
            return  # the address that the peer gave can't be reached
        self._refusals.add(link)
        link.add_notice(pack_refusal(error))
        link.flushed().add_done_callback(lambda _: self._end_refusal(link))

    def _end_refusal(self, link: QueuedLink) -> None:
        if link in self._refusals:
            self._refusals.discard(link)
            self._retire(link, FLUSH_TIMEOUT_S)

    def _unreachable(self, link: QueuedLink) -> None:
        """Called when the link has no connection in time."""
        failure = failures.connection_lost if link.frames_out else failures.never_answered
        self._give_up(link, failure(link.peer, link.address, self._connect_timeout_s, link.last_error))

    def _troubled(self, link: QueuedLink, why: str) -> None:
        """Called when a lasting link has lost its connection, or could not be connected."""

    def _refused(self, link: QueuedLink) -> None:
        """Called when no process listens at the peer's address any more: the peer's process has ended.

        A peer of this node is not given up here, since the node reports the end of its processes.
        """
        if self._is_lasting:
            self._troubled(link, "no process listens at its address")
        elif self.node_of(link.peer):
            self._give_up(link, failures.process_ended(link.peer, link.address))

    def _renewed(self, peer: PeerId) -> None:
        """Called when a peer opens new links: it has given us up before, and its notice may still be on its way."""
        for lane in LANES:
            link = self._links.get((peer, lane))
            if link is not None:
                self._given_up_by(link)

    def _given_up_by(self, link: QueuedLink) -> None:
        """Called when the peer could not reach us, and so has given us up."""
        self._give_up(link, failures.gave_us_up(link.peer, link.address), is_told=True)

    def _give_up(self, link: QueuedLink, error: ActorRtError, *, is_told: bool = False) -> None:
        """Close the links to the peer, and tell the receiver; a later link may try again.

        The peer is told too, unless `is_told`. Its links to us are ended, since its calls can't be answered.
        """
        if link in self._refusals:
            self._end_refusal(link)
            return
        self._close_links(link.peer)
        if self._inbound is not None:
            self._inbound.give_up(link.peer, is_told=is_told)
        self._tell_failed(link.peer, error)

    def _bad(self, link: QueuedLink, error: ActorRtError) -> None:
        """Called when a message that came back over a link makes its peer fail."""
        if link in self._refusals:
            self._end_refusal(link)
        elif isinstance(error, AuthenticationError):
            self._fail(link.peer, error, None)  # a peer that does not accept our key would not read a refusal
        else:
            self._statistics.bad_frames += 1
            self._fail(link.peer, error, link.address)

    def _tell_failed(self, peer: PeerId, error: ActorRtError) -> None:
        assert self._receiver is not None
        self._receiver.peer_failed(peer, error)

    def abandon(self) -> None:
        """Called in a forked child: send nothing more; see `Transport.abandon`."""
        if self._closing is None and self._inbound is not None:
            self._closing = self._loop.create_future()
        for link in (*self._links.values(), *self._refusals):
            link.abandon()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until no link has queued envelopes; return whether that happened in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return all([await link.flush() for link in list(self._links.values())])
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Wait up to `FLUSH_TIMEOUT_S` until peers have received all envelopes, then release all resources.

        Idempotent; concurrent callers wait together.
        """
        if self._inbound is None:
            return
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        self._closing = self._loop.create_future()
        try:
            deadline = self._clock.now() + FLUSH_TIMEOUT_S
            if await self.flush(FLUSH_TIMEOUT_S):
                await self._acknowledgements.wait_for(self._links.values(), deadline)
        finally:
            self._is_unbound = True
            self._acknowledgements.stop()
            self._heartbeat.close()
            self._unbind()
            for link in (*self._links.values(), *self._refusals):
                self._retire(link, max(0.0, deadline - self._clock.now()))
            self._links.clear()
            self._refusals.clear()
            await self._release()
            self._closing.set_result(None)

    def statistics(self) -> TransportStatistics:
        """Return the counts so far, including those of open links."""
        total = TransportStatistics(**{name: getattr(self._statistics, name) for name in TransportStatistics.__slots__})
        total.links = len(self._links)
        for link in self._links.values():
            total.queued_bytes += link.queued_bytes
            _count(total, link)
        return total

    @abstractmethod
    def _bind(self) -> None:
        """Begin to receive. Set `address` to the address that peers can use."""

    @abstractmethod
    def _connect(self, setup: LinkSetup) -> QueuedLink:
        """Return a new link. The names of its connections come from `_next_name`."""

    @abstractmethod
    def _answer(self, name: bytes, message: bytes) -> None:
        """Send a message back over the connection of that name, if the connection still stands."""

    @abstractmethod
    def _unbind(self) -> None:
        """Stop receiving."""

    async def _release(self) -> None:
        """Release the remaining resources, after all links are closed."""


def _count(total: TransportStatistics, link: QueuedLink) -> None:
    """Add the counts of a link. Only a closed link has discarded envelopes."""
    total.resumed_links += link.resumed_count
    total.envelopes_out += link.envelopes_out
    total.frames_out += link.frames_out
    total.bytes_out += link.bytes_out
    total.discarded_envelopes += link.discarded_envelopes
