"""One endpoint over two kinds of link: Unix sockets inside the node, and `tcp` with CURVE to other nodes.

A process has one peer id and one logical address, `node://NODE/PEER`, which stands in refs. Inside the node it means
the Unix socket of that name. For other nodes it is resolved. The part for other nodes is made, and bound to a port,
when it is first needed: by a link to another node, whose answers come back to it, or by `listen`, when another node
asks where this process is reached. A process that never speaks with another node pays for none of it.

Both parts share one flusher, so what is sent during a drain of either leaves at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import NODE_SCHEME, NodeAddress, PeerAddress, PeerId
from actorrt.machine.clock import Clock
from actorrt.transport.composite.resolver import Resolver
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.interfaces import Lane, Link, Receiver, TransportStatistics
from actorrt.transport.links import failures
from actorrt.transport.links.flusher import Flusher
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.node_keys import NodeKeys

if TYPE_CHECKING:
    from actorrt.transport.composite.remote import RemoteTransport
    from actorrt.transport.zeromq.security import Verdict


class CompositeTransport:
    """The transport of a process whose node belongs to a cluster.

    Args:
        peer: the id of this incarnation of this process.
        sockets: the sockets of its node's processes.
        daemon: the daemon of its node, by its logical address.
        clock: the time.
        options: as for `BaseTransport`.

    Attributes, to be set before the first link to another node:
        keys: the keys of other nodes that are known here, and accepted.
        resolver: finds processes of other nodes.
        on_unknown_key: called with the key of a peer that connects, if it is not in `keys`, and with a function that
            takes the verdict; see `Security`. None: the key is refused.
        on_linked: called with the daemon of another node, and all peers there that have links with this process, after
            these have changed.
        on_trouble: called with a peer of another node and the reason when the connection of a link to it broke, or
            could not be made. It is a hint that the peer may be gone. The link goes on, and connects again.
    """

    def __init__(
        self, peer: PeerId, sockets: NodeSockets, daemon: PeerAddress, *, clock: Clock, **options: Any
    ) -> None:
        self.peer = peer
        self.address = sockets.address_of(peer)
        self._sockets = sockets
        self._daemon = daemon.peer
        self._own_prefix = sockets.own_prefix
        self._options = {"clock": clock, "node": daemon.packed(), **options}
        self._near = UnixTransport(peer, sockets.unix_address_of(peer), logical=self.address, **self._options)
        self._near_links = self._near.open_links
        self._far: RemoteTransport | None = None
        self._receiver: Receiver | None = None
        self._is_closing = False
        self.keys = NodeKeys()
        self.resolver: Resolver | None = None
        self.on_unknown_key: Callable[[bytes, Verdict], None] | None = None
        self.on_linked: Callable[[PeerAddress, list[PeerId]], None] = _ignore
        self.on_trouble: Callable[[PeerAddress, str], None] = _ignore

    async def start(self, receiver: Receiver) -> None:
        """Bind the Unix socket, and deliver to `receiver` from now on; see `Transport.start`."""
        flusher = Flusher(asyncio.get_running_loop())
        self._near.begin(receiver, flusher)
        self._receiver, self._flusher = receiver, flusher

    def listen(self) -> str:
        """Return the address at which other nodes reach this process; bind it if this is the first time.

        Raises:
            OSError: it can't be bound.
            PeerUnreachableError: this transport is not running.
        """
        return self._remote(self.peer).address

    def _remote(self, peer: PeerId) -> RemoteTransport:
        if self._far is None:
            if self._receiver is None or self._is_closing:
                raise failures.not_running(peer)
            far = self._make_far()
            far.begin(self._receiver, self._flusher)
            self._far = far
        return self._far

    def _make_far(self) -> RemoteTransport:
        from pathlib import Path

        from actorrt.transport.composite.remote import RemoteTransport
        from actorrt.transport.zeromq.security import Security, load_keys

        assert self.resolver is not None
        return RemoteTransport(
            self.peer,
            self._sockets,
            Security(load_keys(Path(self._sockets.keys)), self.keys, self.on_unknown_key),
            self.keys,
            self.resolver,
            on_linked=self.on_linked,
            on_trouble=self.on_trouble,
            is_lasting=True,
            **self._options,
        )

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> Link:
        """Return the link to `peer` on `lane`; open it to `address` if there is none; see `Transport.link`."""
        link = self._near_links.get((peer, lane))
        return self._link(peer, address, lane) if link is None else link

    def _link(self, peer: PeerId, address: str, lane: Lane) -> Link:
        near = self._near_address(peer, address)
        if near is not None:
            return self._near.link(peer, near, lane)
        try:
            return self._remote(peer).link(peer, address, lane)
        except OSError as error:  # no port is free, so no answer could come back
            raise PeerUnreachableError(f"no link to {address}: {error}") from error

    def _near_address(self, peer: PeerId, address: str) -> str | None:
        """Return the address of the peer's Unix socket if that is used; None for peers that are reached over `tcp`.

        Raises:
            ValueError: it is the address of another peer.
        """
        if not address.startswith(NODE_SCHEME):
            return None if address.startswith("tcp://") else address  # of a command, which has no logical address
        if NodeAddress.parse(address).peer != peer:
            raise ValueError(f"{address!r} is not the address of peer {peer.hex()}")
        if not address.startswith(self._own_prefix):
            return None
        is_near = not self._sockets.uses_tcp_inside or self._daemon in (peer, self.peer)
        return self._sockets.unix_address_of(peer) if is_near else None

    def address_of(self, peer: PeerId) -> str | None:
        """Return the logical address of a peer that opened a link to us, or None; see `Transport.address_of`."""
        address = self._near.address_of(peer)
        return self._far.address_of(peer) if address is None and self._far is not None else address

    def node_of(self, peer: PeerId) -> bytes:
        """Return the name of a peer's node; empty for this node; see `Transport.node_of`."""
        return b"" if self._far is None else self._far.node_of(peer)

    def drop(self, peer: PeerId) -> None:
        """Close the links to the peer, discard their envelopes, and ignore its messages; see `Transport.drop`."""
        for part in self._parts():
            part.drop(peer)

    def peer_ended(self, peer: PeerId, error: ActorRtError) -> None:
        """End the links to a peer that is known to be gone: as `drop`, and the receiver is told the error."""
        for part in self._parts():
            if part.knows(peer):
                part.end(peer, error)

    def node_ended(self, daemon: PeerId, error: ActorRtError) -> None:
        """End the links to all peers of an incarnation of a node that is known to be gone; see `peer_ended`."""
        if self._far is not None:
            self._far.end_node(daemon, error)

    def watch(self, peer: PeerId, address: str) -> None:
        """Probe the peer, so that its silence is noticed; see `Transport.watch`."""
        near = self._near_address(peer, address)
        if near is None:
            self._remote(peer).watch(peer, address)
        else:
            self._near.watch(peer, near)

    def unwatch(self, peer: PeerId) -> None:
        """Stop probing the peer; see `Transport.unwatch`."""
        for part in self._parts():
            part.unwatch(peer)

    def silent_s(self, peer: PeerId) -> float:
        """Return for how long the peer has owed an acknowledgement; see `Transport.silent_s`."""
        return max(part.silent_s(peer) for part in self._parts())

    def round_trip_s(self, peer: PeerId) -> float:
        """Return how long messages to the peer and back take; see `Transport.round_trip_s`."""
        return 0.0 if self._far is None else self._far.round_trip_s(peer)

    def hold(self) -> None:
        """Flush nothing at the end of this tick; see `Transport.hold`."""
        self._flusher.is_draining = True

    def release(self) -> None:
        """Flush everything that was sent since `hold`."""
        self._flusher.is_draining = False
        self._flusher.flush()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until no link has queued envelopes; return whether that happened in time."""
        return all(await asyncio.gather(*(part.flush(timeout_s) for part in self._parts())))

    async def close(self) -> None:
        """Close both parts at the same time; see `Transport.close`. Idempotent."""
        self._is_closing = True
        await asyncio.gather(*(part.close() for part in self._parts()))

    def abandon(self) -> None:
        """Called in a forked child: send nothing more; see `Transport.abandon`."""
        self._is_closing = True
        for part in self._parts():
            part.abandon()

    def statistics(self) -> TransportStatistics:
        """Return the counts of both parts together."""
        counts = [part.statistics() for part in self._parts()]
        names = [field.name for field in fields(TransportStatistics)]
        return TransportStatistics(**{name: sum(getattr(count, name) for count in counts) for name in names})

    def _parts(self) -> tuple[UnixTransport | RemoteTransport, ...]:
        return (self._near,) if self._far is None else (self._near, self._far)


def _ignore(*_: object) -> None:
    """Replaces a callback that nobody has set."""
