"""The network that connects the transports of one process, and its links. References replace the sockets.

Transports of the same network reach each other. The direction from one address to another can be cut, stalled, delayed
and healed: see `direction`. Tests get the network of a runtime from `actorrt.testing.network`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from functools import partial

from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.memory.direction import Direction

Arrive = Callable[[bytes, Buffer, Sequence[Buffer]], None]
"""Called with a message: the name of its connection, its first part, its other parts."""


class MemoryNetwork:
    """Holds the transport at each address, the links to that address, and the state of each direction.

    Attributes:
        connections: the links, by the names of their present connections.
        connect_timeout_s: the connect timeout of links that are opened from now on; None: that of their transports.
    """

    def __init__(self) -> None:
        self.connect_timeout_s: float | None = None
        self._directions: dict[tuple[str, str], Direction] = {}  # the directions that were changed
        self._open_direction = Direction()
        self._bound: dict[str, Arrive] = {}
        self._links: dict[str, set[MemoryLink]] = {}
        self.connections: dict[bytes, MemoryLink] = {}

    def bind(self, address: str, arrive: Arrive) -> None:
        """Deliver messages for `address` to `arrive` from now on.

        Raises:
            OSError: another transport is bound to the address.
        """
        if address in self._bound:
            raise OSError(errno.EADDRINUSE, f"can't bind to {address}: another transport is bound there")
        self._bound[address] = arrive
        for link in list(self._links.get(address, ())):
            link.bound()

    def unbind(self, address: str) -> None:
        """Stop delivering messages for `address`, and break the connections to it."""
        del self._bound[address]
        for link in list(self._links.get(address, ())):
            link.unbound()

    def at(self, address: str) -> Arrive | None:
        """Return the function that is bound to the address, if any."""
        return self._bound.get(address)

    def direction(self, source: str, target: str) -> Direction:
        """Return the direction from one address to another."""
        return self._directions.get((source, target), self._open_direction)

    def _own_direction(self, source: str, target: str) -> Direction:
        return self._directions.setdefault((source, target), Direction())

    def cut(self, source: str, target: str) -> None:
        """Break the connections that `source` has made to `target`, and prevent others, until `heal`.

        The connections that `target` has made to `source` stand, and are answered. This is so when a socket's file was
        removed, or a firewall allows connections in one direction only.
        """
        self._own_direction(source, target).is_cut = True
        for link in list(self._links.get(target, ())):
            if link.source == source:
                link.unbound()

    def stall(self, source: str, target: str) -> None:
        """Hold what `source` sends to `target`, including acknowledgements, until `heal`; no connection breaks."""
        self._own_direction(source, target).stall()

    def delay(self, source: str, target: str, delay_s: float) -> None:
        """Delay what `source` sends to `target`, including acknowledgements, until `heal`."""
        self._own_direction(source, target).delay(delay_s)

    def heal(self) -> None:
        """Undo every `cut`, `stall` and `delay`; held messages arrive. To be called on the loop."""
        directions, self._directions = self._directions, {}
        for direction in directions.values():
            direction.heal(asyncio.get_running_loop())
        for links in list(self._links.values()):
            for link in list(links):
                link.bound()

    def add(self, link: MemoryLink) -> None:
        """Call the link's `bound` and `unbound` from now on."""
        self._links.setdefault(link.address, set()).add(link)

    def remove(self, link: MemoryLink) -> None:
        """Stop calling the link's `bound` and `unbound`."""
        links = self._links[link.address]
        links.discard(link)
        if not links:
            del self._links[link.address]


class MemoryLink(QueuedLink):
    """A link whose connection is a reference to the far end.

    Attributes:
        source: the address of the transport that opened the link.
    """

    def __init__(
        self, network: MemoryNetwork, source: str, next_name: Callable[[Lane], bytes], setup: LinkSetup
    ) -> None:
        super().__init__(setup)
        self.source = source
        self._network = network
        self._next_name = next_name
        network.add(self)
        self._begin()

    def _begin(self) -> None:
        self._name = self._next_name(self.lane)
        self._network.connections[self._name] = self

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        arrive = self._network.at(self.address)
        direction = self._network.direction(self.source, self.address)
        if arrive is None or direction.is_cut:
            return False
        head, *buffers = parts
        read_only = [memoryview(buffer).toreadonly() for buffer in buffers]
        direction.carry(self._loop, partial(self._arrive, arrive, self._name, head, read_only))
        return True

    def _arrive(self, arrive: Arrive, name: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        if self._network.at(self.address) == arrive:  # otherwise the far end is gone, and the message is lost
            arrive(name, head, buffers)

    def send_back(self, message: bytes) -> None:
        """Called by the far end: carry a message back, against the direction of this link."""
        direction = self._network.direction(self.address, self.source)
        direction.carry(self._loop, partial(self._came_back, self._name, message))

    def _came_back(self, name: bytes, message: bytes) -> None:
        if name == self._name:  # otherwise its connection is gone, and the message is lost
            self.answered(message)

    def bound(self) -> None:
        """Called when a transport is bound to the link's address, or is reachable again."""
        self._loop.call_soon(self._unblocked)

    def unbound(self) -> None:
        """Called when the transport at the link's address is gone or unreachable."""
        self._loop.call_soon(self._connection_broke)

    def _watch(self) -> None:
        pass  # the network calls `bound`

    def _read_answers(self) -> None:
        pass  # the far end calls `send_back`

    def _reconnect(self, delay_s: float) -> None:
        del self._network.connections[self._name]
        self._begin()

    def _disconnect(self, linger_s: float) -> None:
        del self._network.connections[self._name]
        self._network.remove(self)
