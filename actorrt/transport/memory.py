"""The transport inside one process: for `mode="local"` and for tests.

A real transport: what is sent passes the same codec, queue and checks as on a wire, and is never delivered in the
sender's stack. A `MemoryNetwork` is the wire; endpoints find each other in the same one only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from actorrt.ids import PeerId
from actorrt.transport.endpoint import Endpoint
from actorrt.transport.protocol import Buffer, Lane
from actorrt.transport.queued_link import LinkSetup, QueuedLink

Arrive = Callable[[bytes, Buffer, Sequence[Buffer]], None]
"""Takes a message: the routing id of the connection, the first part, the others."""


class MemoryNetwork:
    """Who is bound to which address, and which links lead there."""

    def __init__(self) -> None:
        self._bound: dict[str, Arrive] = {}
        self._links: dict[str, set[_MemoryLink]] = {}
        self.connections: dict[bytes, _MemoryLink] = {}  # by routing id

    def bind(self, address: str, arrive: Arrive) -> None:
        """Deliver what is sent to `address`.

        Raises:
            OSError: the address is taken.
        """
        if address in self._bound:
            raise OSError(f"{address} is in use")
        self._bound[address] = arrive
        for link in list(self._links.get(address, ())):
            link.bound()

    def unbind(self, address: str) -> None:
        """Deliver no more to `address`; the links to it are broken."""
        del self._bound[address]
        for link in list(self._links.get(address, ())):
            link.unbound()

    def at(self, address: str) -> Arrive | None:
        """Return who is bound to the address."""
        return self._bound.get(address)

    def add(self, link: _MemoryLink) -> None:
        """Tell the link who comes to its address, and goes."""
        self._links.setdefault(link.address, set()).add(link)

    def remove(self, link: _MemoryLink) -> None:
        """Forget the link."""
        links = self._links[link.address]
        links.discard(link)
        if not links:
            del self._links[link.address]


class _MemoryLink(QueuedLink):
    """A link whose connection is a reference to the far end."""

    def __init__(self, network: MemoryNetwork, name: Callable[[Lane], bytes], setup: LinkSetup) -> None:
        super().__init__(setup)
        self._network = network
        self._name = name
        network.add(self)
        self._begin()

    def _begin(self) -> None:
        self._source_id = self._name(self.lane)
        self._network.connections[self._source_id] = self

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        arrive = self._network.at(self.address)
        if arrive is None:
            return False
        head, *buffers = parts
        read_only = [memoryview(buffer).toreadonly() for buffer in buffers]
        self._loop.call_soon(self._arrive, arrive, self._source_id, head, read_only)
        return True

    def _arrive(self, arrive: Arrive, source_id: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        if self._network.at(self.address) == arrive:  # else it is gone, and what was on its way with it
            arrive(source_id, head, buffers)

    def bound(self) -> None:
        """Somebody is at the address now."""
        self._loop.call_soon(self._unblocked)

    def unbound(self) -> None:
        """Nobody is at the address any more."""
        self._loop.call_soon(self._connection_broke)

    def _watch(self) -> None:
        pass  # the network calls `bound`

    def _read_back(self) -> None:
        pass  # the network calls `came_back`

    def _reconnect(self, pause_s: float) -> None:
        del self._network.connections[self._source_id]
        self._begin()

    def _disconnect(self, linger_s: float) -> None:
        del self._network.connections[self._source_id]
        self._network.remove(self)


class MemoryTransport(Endpoint):
    """An endpoint of a `MemoryNetwork`.

    Args:
        network: where it finds its peers.
        peer: the id of this endpoint.
        address: `memory://` and a name; by default the peer's id in hex.
        options: as for `Endpoint`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("memory://",)

    def __init__(self, network: MemoryNetwork, peer: PeerId, address: str | None = None, **options: Any) -> None:
        super().__init__(peer, address or f"memory://{peer.hex()}", **options)
        self._network = network

    def _bind(self) -> None:
        self._network.bind(self.address, self._arrive)

    def _arrive(self, source_id: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        assert self._inbound is not None
        self._flusher.is_draining = True
        self._inbound.message(source_id, head, buffers)
        self._end_drain()

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return _MemoryLink(self._network, self._next_routing_id, setup)

    def _answer(self, source_id: bytes, message: bytes) -> None:
        link = self._network.connections.get(source_id)
        if link is not None:
            self._loop.call_soon(link.came_back, message)

    def _unbind(self) -> None:
        self._network.unbind(self.address)
