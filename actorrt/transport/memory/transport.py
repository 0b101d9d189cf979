"""The transport inside one process: for `mode="local"` and for tests.

A real transport: what is sent passes the same codec, queue and checks as on a wire, and is never delivered in the
sender's stack.
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
    """An endpoint of a `MemoryNetwork`.

    Args:
        network: where it finds its peers.
        peer: the id of this endpoint.
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

    def _arrive(self, source_id: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        assert self._inbound is not None
        self._flusher.is_draining = True
        self._inbound.message(source_id, head, buffers)
        self._end_drain()

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return MemoryLink(self._network, self.address, self._next_routing_id, setup)

    def _answer(self, source_id: bytes, message: bytes) -> None:
        link = self._network.connections.get(source_id)
        if link is not None:
            link.answered(message)

    def _unbind(self) -> None:
        self._network.unbind(self.address)
