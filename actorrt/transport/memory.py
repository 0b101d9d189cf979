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
    """Who is bound to which address, and who waits for somebody to be."""

    def __init__(self) -> None:
        self._bound: dict[str, Inbound] = {}
        self._waiting: dict[str, set[_MemoryLink]] = {}

    def bind(self, address: str, inbound: Inbound) -> None:
        """Deliver what is sent to `address`.

        Raises:
            OSError: the address is taken.
        """
        if address in self._bound:
            raise OSError(f"{address} is in use")
        self._bound[address] = inbound
        for link in list(self._waiting.get(address, ())):
            link.may_transmit()

    def unbind(self, address: str) -> None:
        """Deliver no more to `address`."""
        self._bound.pop(address, None)

    def at(self, address: str) -> Inbound | None:
        """Return who is bound to the address."""
        return self._bound.get(address)

    def wait(self, link: _MemoryLink) -> None:
        """Wake the link when somebody binds to its address."""
        self._waiting.setdefault(link.address, set()).add(link)

    def stop_waiting(self, link: _MemoryLink) -> None:
        """Forget the link."""
        links = self._waiting[link.address]
        links.discard(link)
        if not links:
            del self._waiting[link.address]


class _MemoryLink(QueuedLink):
    """A link whose connection is a reference to the far end."""

    def __init__(self, network: MemoryNetwork, source_id: bytes, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._network = network
        self._source_id = source_id

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

    def _watch(self) -> None:
        self._network.wait(self)

    def may_transmit(self) -> None:
        """Somebody is bound to the address now."""
        self._loop.call_soon(self._unblocked)

    def _unwatch(self) -> None:
        self._network.stop_waiting(self)

    def _disconnect(self, linger_s: float) -> None:
        pass


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
