"""What all transports have in common: the table of links, who is dropped, and the order of closing.

How connections are made is the business of its subclasses, one for each scheme.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from actorrt.config import (
    ACK_DELAY_S,
    CONNECT_TIMEOUT_S,
    FLUSH_TIMEOUT_S,
    LAST_ACK_TIMEOUT_S,
    LINK_QUEUE_BYTES,
    MAX_FAREWELLS_COUNT,
)
from actorrt.errors import ActorRtError, AuthenticationError, PeerUnreachableError
from actorrt.ids import PeerId, short
from actorrt.transport.frames.codec import Hello, pack_hello, pack_refusal
from actorrt.transport.interfaces import Lane, Receiver, TransportStatistics
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.links.heartbeat import Heartbeat
from actorrt.transport.links.inbound import Inbound, routing_id
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink


class BaseTransport(ABC):
    """A transport without its connections.

    Args:
        peer: the id of this incarnation of this process.
        address: where to bind, in the transport's own form.
        node: what others call the node that this process runs on by; empty where there is none.
        queue_bytes: bound of what one link may hold back.
        connect_timeout_s: how long a link waits for its connection.
    """

    schemes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        peer: PeerId,
        address: str,
        *,
        node: bytes = b"",
        queue_bytes: int = LINK_QUEUE_BYTES,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._check_address(address)
        self.peer = peer
        self.address = address
        self._node = node
        self._queue_bytes = queue_bytes
        self._connect_timeout_s = connect_timeout_s
        self._links: dict[tuple[PeerId, Lane], QueuedLink] = {}
        self._farewells: set[QueuedLink] = set()  # they carry a refusal, and are closed when it has left
        self._connections_count = 0
        self._next_first = 0  # above the number of every frame of a link that is closed
        self._awaiting: list[QueuedLink] = []
        self._is_settling = False
        self._settled: asyncio.Future[None] | None = None
        self._is_unbound = False
        self._statistics = TransportStatistics()
        self._inbound: Inbound | None = None
        self._receiver: Receiver | None = None
        self._closing: asyncio.Future[None] | None = None

    def _check_hello(self, hello: Hello) -> None:
        """Raise AuthenticationError for a HELLO that is not its peer's; see `Inbound`."""

    def _check_address(self, address: str) -> None:
        if not address.startswith(self.schemes):
            raise ValueError(f"{address!r} is no address of this transport: it begins with one of {self.schemes}")

    async def start(self, receiver: Receiver) -> None:
        """Bind, and deliver what arrives to `receiver` from now on; see `interfaces.Transport.start`."""
        if self._inbound is not None:
            raise ValueError(f"transport {short(self.peer)} was started before")
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._drained: Callable[[], None] | None = getattr(receiver, "drained", None)
        self._flusher = Flusher(self._loop)
        self._inbound = Inbound(
            self.peer,
            receiver,
            self._statistics,
            self._fail,
            self._answer,
            self._check_hello,
            self._check_address,
            self._renewed,
            self._settle_later,
        )
        self._heartbeat = Heartbeat(self._loop, receiver, self._inbound.lines, self._probed)
        self._bind()

    def watch(self, peer: PeerId, address: str) -> None:
        """Find out when the peer falls silent, though nothing is sent to it; see `interfaces.Transport.watch`."""
        self._heartbeat.watch(peer, address)

    def unwatch(self, peer: PeerId) -> None:
        """End what `watch` began."""
        self._heartbeat.unwatch(peer)

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer has owed an acknowledgement; see `interfaces.Transport.silent_s`."""
        return self._heartbeat.silent_s(peer)

    def _probed(self, peer: PeerId, address: str) -> QueuedLink:
        """Return the link on which to probe: one that stands, since a peer that was stopped accepts no other."""
        for lane in (Lane.CONTROL, Lane.USER):
            link = self._links.get((peer, lane))
            if link is not None and link.is_connected:
                return link
        return self.link(peer, address, Lane.CONTROL)

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> QueuedLink:
        """Return the link to `peer` on `lane`, opened to `address` if there is none; see `Transport.link`."""
        link = self._links.get((peer, lane))
        if link is None:
            link = self._links[peer, lane] = self._open(peer, address, lane)
        return link

    def _open(self, peer: PeerId, address: str, lane: Lane) -> QueuedLink:
        self._check_address(address)
        if self._inbound is None or self._closing is not None:
            raise PeerUnreachableError(f"peer {short(peer)}: this process's transport is not running")
        if self._inbound.is_dropped(peer):
            raise PeerUnreachableError(
                f"peer {short(peer)} at {address} is dead, or failed; its successor has another id"
            )
        line = self._inbound.line(peer, lane)
        link = self._connect(self._setup(peer, address, lane))
        line.link = link
        return link

    def _setup(self, peer: PeerId, address: str, lane: Lane) -> LinkSetup:
        assert self._inbound is not None
        return LinkSetup(
            peer=peer,
            address=address,
            lane=lane,
            hello=pack_hello(Hello(self.peer, peer, self.address, self._next_first, self._node)),
            first=self._next_first,
            receipts=self._inbound.line(peer, lane).receipts,
            flusher=self._flusher,
            queue_bytes=self._queue_bytes,
            connect_timeout_s=self._connect_timeout_s,
            on_awaiting=self._await_acknowledgement,
            on_unreachable=self._unreachable,
            on_given_up=self._given_up_by,
            on_refused=self._refused,
            on_bad=self._bad,
        )

    def _next_routing_id(self, lane: Lane) -> bytes:
        """Return a name for another connection."""
        self._connections_count += 1
        return routing_id(self.peer, lane, self._connections_count)

    def hold(self) -> None:
        """Flush nothing at the end of this tick; see `interfaces.Transport.hold`."""
        self._flusher.is_draining = True

    def release(self) -> None:
        """Flush what was sent since `hold`."""
        self._flusher.is_draining = False
        self._flusher.flush()

    def _end_drain(self) -> None:
        """To be called by subclasses when they have delivered what had arrived, once in a tick."""
        try:
            if self._drained is not None:
                self._drained()
        finally:
            self.release()

    def _await_acknowledgement(self, link: QueuedLink) -> None:
        self._awaiting.append(link)
        self._settle_later()
        self._heartbeat.wake()

    def _settle_later(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            self._loop.call_later(ACK_DELAY_S, self._settle)

    def _settle(self) -> None:
        """Send the acknowledgements that are owed and found no frame to ride in; look for those due to us."""
        self._is_settling = False
        if self._inbound is None or self._is_unbound:
            return
        awaiting, self._awaiting = self._awaiting, []
        self._awaiting += [link for link in awaiting if link.still_awaits()]
        if self._inbound.settle() or self._awaiting:
            self._settle_later()
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def address_of(self, peer: PeerId) -> str | None:
        """Return the address a peer gave of itself when it opened a link to us, or None."""
        return None if self._inbound is None else self._inbound.address_of(peer)

    def node_of(self, peer: PeerId) -> bytes:
        """Return the other node that a peer is on; see `interfaces.Transport.node_of`."""
        node = b"" if self._inbound is None else self._inbound.node_of(peer)
        return b"" if node == self._node else node

    def drop(self, peer: PeerId) -> None:
        """Close the links to the peer, discard what they hold, ignore what still arrives from it."""
        if self._inbound is not None:
            self._close_links(peer)
            self._inbound.drop(peer)

    def _close_links(self, peer: PeerId) -> None:
        self._heartbeat.unwatch(peer)
        for lane in Lane:
            link = self._links.pop((peer, lane), None)
            if link is not None:
                assert self._inbound is not None
                self._inbound.unlinked(peer, lane)
                self._retire(link)

    def _retire(self, link: QueuedLink, linger_s: float = 0.0) -> None:
        self._next_first = max(self._next_first, link.next_sequence + 1)
        link.close(linger_s)
        total = self._statistics
        total.resumed_links += link.resumed_count
        total.envelopes_out += link.envelopes_out
        total.frames_out += link.frames_out
        total.bytes_out += link.bytes_out
        total.discarded_envelopes += link.discarded_envelopes

    def _fail(self, peer: PeerId, error: ActorRtError, address: str | None) -> None:
        """Never speak with the peer again but to tell it so; tell the receiver."""
        self.drop(peer)
        if address is not None and len(self._farewells) < MAX_FAREWELLS_COUNT:
            self._refuse(peer, address, error)
        self._tell_failed(peer, error)

    def _refuse(self, peer: PeerId, address: str, error: ActorRtError) -> None:
        """Send a refusal over a link of its own: the peer would wait for ever for what we ignore."""
        try:
            self._check_address(address)
            link = self._connect(self._setup(peer, address, Lane.CONTROL))
        except (ValueError, AuthenticationError):
            return  # it gave no address where it could be told
        self._farewells.add(link)
        link.add_notice(pack_refusal(error))
        link.flushed().add_done_callback(lambda _: self._end_farewell(link))

    def _end_farewell(self, link: QueuedLink) -> None:
        if link in self._farewells:
            self._farewells.discard(link)
            self._retire(link, FLUSH_TIMEOUT_S)

    def _unreachable(self, link: QueuedLink) -> None:
        """No connection came about in time."""
        error = PeerUnreachableError(
            f"nobody answers at {link.address} (peer {short(link.peer)}) within {self._connect_timeout_s} s; "
            "check that the process there is alive and that its address is the current one" + _because(link)
        )
        if link.frames_out:
            error = PeerUnreachableError(
                f"the connection to {link.address} (peer {short(link.peer)}) broke, and the peer was not found there "
                f"again within {self._connect_timeout_s} s; check that the process there is alive{_because(link)}",
                executed="maybe",
            )
        self._give_up(link, error)

    def _refused(self, link: QueuedLink) -> None:
        """Nobody listens any more where the peer did: its process has ended. Of those of this node we are told that."""
        if self.node_of(link.peer):
            message = (
                f"nobody listens at {link.address} any more: the process there (peer {short(link.peer)}) has ended"
            )
            self._give_up(link, PeerUnreachableError(message, executed="maybe"))

    def _renewed(self, peer: PeerId) -> None:
        """The peer opens links anew: it had given us up, and its word of that may still be under way."""
        for lane in Lane:
            link = self._links.get((peer, lane))
            if link is not None:
                self._given_up_by(link)

    def _given_up_by(self, link: QueuedLink) -> None:
        """The peer could not reach us, and takes what we had with each other for ended."""
        message = f"peer {short(link.peer)} at {link.address} could not reach us, and gave up what was sent to it"
        self._give_up(link, PeerUnreachableError(message, executed="maybe"), is_told=True)

    def _give_up(self, link: QueuedLink, error: PeerUnreachableError, *, is_told: bool = False) -> None:
        """Close the links to the peer, and say so, to the peer too unless that has told us; another link may try again.

        What the peer has sent us and what it waits for is over, since it can't be answered.
        """
        if link in self._farewells:
            self._end_farewell(link)
            return
        self._close_links(link.peer)
        if self._inbound is not None:
            self._inbound.give_up(link.peer, is_told=is_told)
        self._tell_failed(link.peer, error)

    def _bad(self, link: QueuedLink, error: ActorRtError) -> None:
        """What came back over a link makes its peer unfit to be spoken with."""
        if link in self._farewells:
            self._end_farewell(link)
        elif isinstance(error, AuthenticationError):
            self._fail(link.peer, error, None)  # it would not listen
        else:
            self._statistics.bad_frames += 1
            self._fail(link.peer, error, link.address)

    def _tell_failed(self, peer: PeerId, error: ActorRtError) -> None:
        assert self._receiver is not None
        self._receiver.peer_failed(peer, error)

    def abandon(self) -> None:
        """Send nothing more, in a forked child; see `interfaces.Transport.abandon`."""
        if self._closing is None and self._inbound is not None:
            self._closing = self._loop.create_future()
        for link in (*self._links.values(), *self._farewells):
            link.abandon()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until no link holds anything back; return whether that came about in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return all([await link.flush() for link in list(self._links.values())])
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Wait for `FLUSH_TIMEOUT_S` at the most until peers have what was sent, then give everything back.

        Idempotent; callers wait together.
        """
        if self._inbound is None:
            return
        if self._closing is not None:
            await asyncio.shield(self._closing)
            return
        self._closing = self._loop.create_future()
        try:
            deadline = self._loop.time() + FLUSH_TIMEOUT_S
            if await self.flush(FLUSH_TIMEOUT_S):
                await self._until_acknowledged(deadline)
        finally:
            self._is_unbound = True
            self._heartbeat.close()
            self._unbind()
            for link in (*self._links.values(), *self._farewells):
                self._retire(link, max(0.0, deadline - self._loop.time()))
            self._links.clear()
            self._farewells.clear()
            await self._release()
            self._closing.set_result(None)

    async def _until_acknowledged(self, deadline: float) -> None:
        """Wait until what was sent is there: with its connection, what was only on its way could be lost.

        A connection that breaks is waited for no longer, nor are peers that acknowledge nothing for a while: they are
        busy, or take us for dead.
        """
        held_bytes, quiet_since = -1, self._loop.time()
        while self._loop.time() < min(deadline, quiet_since + LAST_ACK_TIMEOUT_S):
            self._awaiting = [link for link in self._links.values() if link.is_connected and link.held_bytes]
            if not self._awaiting:
                return
            still_bytes = sum(link.held_bytes for link in self._awaiting)
            if still_bytes != held_bytes:
                held_bytes, quiet_since = still_bytes, self._loop.time()
            self._settled = self._loop.create_future()
            self._settle_later()
            await self._settled

    def statistics(self) -> TransportStatistics:
        """Return what has been done so far, open links included."""
        total = TransportStatistics(**{name: getattr(self._statistics, name) for name in TransportStatistics.__slots__})
        total.links = len(self._links)
        for link in self._links.values():
            total.queued_bytes += link.queued_bytes
            total.envelopes_out += link.envelopes_out
            total.frames_out += link.frames_out
            total.bytes_out += link.bytes_out
            total.resumed_links += link.resumed_count
        return total

    @abstractmethod
    def _bind(self) -> None:
        """Begin to receive; set `address` to the real one."""

    @abstractmethod
    def _connect(self, setup: LinkSetup) -> QueuedLink:
        """Return a new link; its connections are named by `_next_routing_id`."""

    @abstractmethod
    def _answer(self, source_id: bytes, message: bytes) -> None:
        """Send a message back over the connection of that routing id, if it is still there."""

    @abstractmethod
    def _unbind(self) -> None:
        """Receive no more."""

    async def _release(self) -> None:
        """Give back what is left once all links are closed."""


def _because(link: QueuedLink) -> str:
    return "" if link.obstacle is None else f" (the last attempt failed with {link.obstacle!r})"
