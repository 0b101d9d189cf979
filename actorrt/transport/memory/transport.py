"""The transport inside one process: for `mode="local"` and for tests.

It is a real transport: envelopes pass through the same codec, queue and checks as between processes, and are never
delivered in the sender's stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from actorrt.ids import PeerId
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.memory.network import MemoryLink, MemoryNetwork


class MemoryTransport(BaseTransport):
    """A transport of a `MemoryNetwork`.

    Args:
        network: the network of its peers.
        peer: the id of its endpoint.
        address: `memory://` and a name; by default the peer's id in hex.
        options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("memory://",)

    def __init__(self, network: MemoryNetwork, peer: PeerId, address: str | None = None, **options: Any) -> None:
        super().__init__(peer, address or f"memory://{peer.hex()}", **options)
        self._network = network

    def _setup(self, peer: PeerId, address: str, lane: Lane) -> LinkSetup:
        if self._network.connect_timeout_s is not None:
            self._connect_timeout_s = self._network.connect_timeout_s
        return super()._setup(peer, address, lane)

    def _bind(self) -> None:
        self._network.bind(self.address, self._arrive)

    def _arrive(self, name: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        assert self._inbound is not None
        self._flusher.is_draining = True
        self._inbound.message(name, head, buffers)
        self._end_drain()

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return MemoryLink(self._network, self.address, self._next_name, setup)

    def _answer(self, name: bytes, message: bytes) -> None:
        link = self._network.connections.get(name)
        if link is not None:
            link.send_back(message)

    def _unbind(self) -> None:
        self._network.unbind(self.address)
