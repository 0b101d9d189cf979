"""The transport inside one process: for `mode="local"` and for tests.

A real transport: what is sent passes the same codec, queue and checks as on a wire, and is never delivered in the
sender's stack. A `MemoryNetwork` is the wire; endpoints find each other in the same one only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from actorrt.ids import PeerId
from actorrt.transport.endpoint import Endpoint
from actorrt.transport.inbound import Inbound, routing_id
from actorrt.transport.protocol import Buffer, Lane
from actorrt.transport.queued_link import QueuedLink


class MemoryNetwork:
    """Who is bound to which address, and which links lead there."""

    def __init__(self) -> None:
        self._bound: dict[str, Inbound] = {}
        self._links: dict[str, set[_MemoryLink]] = {}

    def bind(self, address: str, inbound: Inbound) -> None:
        """Deliver what is sent to `address`.

        Raises:
            OSError: the address is taken.
        """
        if address in self._bound:
            raise OSError(f"{address} is in use")
        self._bound[address] = inbound
        for link in list(self._links.get(address, ())):
            link.bound()

    def unbind(self, address: str) -> None:
        """Deliver no more to `address`; the links to it are broken."""
        del self._bound[address]
        for link in list(self._links.get(address, ())):
            link.unbound()

    def at(self, address: str) -> Inbound | None:
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

    def __init__(self, network: MemoryNetwork, source_id: bytes, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._network = network
        self._source_id = source_id
        network.add(self)

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        inbound = self._network.at(self.address)
        if inbound is None:
            return False
        head, *buffers = parts
        self._loop.call_soon(self._arrive, inbound, head, [memoryview(buffer).toreadonly() for buffer in buffers])
        return True

    def _arrive(self, inbound: Inbound, head: Buffer, buffers: Sequence[Buffer]) -> None:
        if self._network.at(self.address) is inbound:  # else it is gone, and what was on its way with it
            inbound.message(self._source_id, head, buffers)

    def bound(self) -> None:
        """Somebody is at the address now."""
        self._loop.call_soon(self._connection_came_back if self._is_broken else self._unblocked)

    def unbound(self) -> None:
        """Nobody is at the address any more."""
        self._loop.call_soon(self._connection_broke)

    def _watch(self) -> None:
        pass  # the network calls `bound`

    def _unwatch(self) -> None:
        pass

    def _disconnect(self, linger_s: float) -> None:
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
        assert self._inbound is not None
        self._network.bind(self.address, self._inbound)

    def _connect(self, peer: PeerId, address: str, lane: Lane, hello: bytes, number: int) -> QueuedLink:
        return _MemoryLink(
            self._network,
            routing_id(self.peer, lane, number),
            peer,
            address,
            lane,
            hello=hello,
            queue_bytes=self._queue_bytes,
            connect_timeout_s=self._connect_timeout_s,
            on_unreachable=self._unreachable,
        )

    def _unbind(self) -> None:
        self._network.unbind(self.address)
