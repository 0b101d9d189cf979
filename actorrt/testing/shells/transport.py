"""The transport of a simulated process, and its links: the real ones, over a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from actorrt.ids import PeerId
from actorrt.testing.shells.network import Connection, SimulatedNetwork
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.links.reconnection import RECONNECT_MAX_S, RECONNECT_MIN_S

SCHEME = "sim://"


class SimulatedLink(QueuedLink):
    """A link over the simulated network.

    Args:
        network, process: the network, and the process of the link.
        next_name: returns the name of the next connection on a lane.
        setup: as for `QueuedLink`.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        process: SimulatedProcess,
        next_name: Callable[[Lane], bytes],
        setup: LinkSetup,
    ) -> None:
        super().__init__(setup)
        self._network = network
        self._process = process
        self._next_name = next_name
        self._connection: Connection | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._begin(RECONNECT_MIN_S)

    def _begin(self, retry_s: float) -> None:
        """Connect. If no process listens, retry after `retry_s`, then after twice that time, and so on."""
        self._retry = None
        self._connection = self._network.connect(self, self._process, self.address, lambda: self._next_name(self.lane))
        if self._connection is not None:
            self.last_error = None
            self._unblocked()
            return
        self.last_error = ConnectionRefusedError(f"no process listens at {self.address}")
        if self.resumed_count:
            self._setup.on_refused(self)
        if not self._is_closed:
            self._retry = self._loop.call_later(retry_s, self._begin, min(2 * retry_s, RECONNECT_MAX_S))

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        return self._connection is not None and self._connection.send(parts)

    def accepts_more(self, connection: Connection) -> None:
        """Called when the connection was full and has room."""
        if connection is self._connection:
            self._unblocked()

    def came_back(self, connection: Connection, message: bytes) -> None:
        """Called with a message that the far end has sent back."""
        if connection is self._connection:
            self.answered(message)

    def broke(self, connection: Connection) -> None:
        """Called when the connection is gone."""
        if connection is self._connection:
            self._connection_broke()

    def forget(self) -> None:
        """Drop the connection, and with it what is left of the process at its far end."""
        self._connection = None

    def _watch(self) -> None:
        """Do nothing: the connection calls `accepts_more`."""

    def _read_answers(self) -> None:
        """Do nothing: the connection calls `came_back`."""

    def _reconnect(self, delay_s: float) -> None:
        self._disconnect(0.0)
        self._retry = self._loop.call_later(delay_s, self._begin, RECONNECT_MIN_S)

    def _disconnect(self, linger_s: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close_here()


class SimulatedTransport(BaseTransport):
    """The transport of one simulated process.

    Args:
        network: the world's network.
        process: the process.
        peer, address, options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = (SCHEME,)

    def __init__(
        self, network: SimulatedNetwork, process: SimulatedProcess, peer: PeerId, address: str, **options: Any
    ) -> None:
        super().__init__(peer, address, **options)
        self._network = network
        self._process = process
        self._accepted: dict[bytes, Connection] = {}

    def _bind(self) -> None:
        self._network.bind(self.address, self, self._process)
        self._process.on_crash.append(self._process_ended)

    def _process_ended(self) -> None:
        """Called when the process is dead: the kernel closes its sockets."""
        self._network.unbind(self.address, self)
        for connection in self._network.of_process(self._process):
            if connection.forward.source is self._process:
                connection.close_here()
            else:
                connection.close_there()
        for link in (*self._links.values(), *self._refusals):
            assert isinstance(link, SimulatedLink)
            link.forget()
        self._accepted.clear()

    def accepted(self, connection: Connection) -> None:
        """Called when a connection has arrived."""
        if self._is_unbound:
            connection.close_there()
        elif connection.is_open_there:
            self._accepted[connection.name] = connection

    def arrived(self, name: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        """Called with a message of a connection."""
        assert self._inbound is not None
        self._flusher.is_draining = True
        try:
            self._inbound.message(name, head, buffers)
        finally:
            self._end_drain()

    def ended(self, name: bytes) -> None:
        """Called when the far end of a connection has closed it, or the network has broken it."""
        self._accepted.pop(name, None)

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        return SimulatedLink(self._network, self._process, self._next_name, setup)

    def _answer(self, name: bytes, message: bytes) -> None:
        connection = self._accepted.get(name)
        if connection is not None:
            connection.answer(message)

    def _unbind(self) -> None:
        self._network.unbind(self.address, self)
        for connection in self._accepted.values():
            connection.close_there()
        self._accepted.clear()
