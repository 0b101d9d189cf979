"""What connects the endpoints of one process: a network of references in the place of sockets, and its links.

Endpoints find each other in the same network only. It can be cut, one way too, stalled, slowed down and healed: see
`ways`. Tests find that of a runtime by `actorrt.testing.network`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.memory.ways import Way

Arrive = Callable[[bytes, Buffer, Sequence[Buffer]], None]
"""Takes a message: the routing id of the connection, the first part, the others."""


class MemoryNetwork:
    """Who is bound to which address, which links lead there, and what passes on the way.

    Attributes:
        connections: the links by the routing ids of their connections.
        connect_timeout_s: how long links that are opened from now on wait for their connections; None: as long as
            their transports say.
    """

    def __init__(self) -> None:
        self.connect_timeout_s: float | None = None
        self._ways: dict[tuple[str, str], Way] = {}  # those that something befell
        self._open_way = Way()
        self._bound: dict[str, Arrive] = {}
        self._links: dict[str, set[MemoryLink]] = {}
        self.connections: dict[bytes, MemoryLink] = {}

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

    def way(self, source: str, target: str) -> Way:
        """Return what leads from one address to another."""
        return self._ways.get((source, target), self._open_way)

    def _own_way(self, source: str, target: str) -> Way:
        return self._ways.setdefault((source, target), Way())

    def cut(self, source: str, target: str) -> None:
        """Break the connections that `source` has made to `target`, and let it make no other, until `heal`.

        Those that `target` has made to `source` stand, and are answered. So it is where the file of a socket was
        removed, or a firewall lets connections be made one way only.
        """
        self._own_way(source, target).is_cut = True
        for link in list(self._links.get(target, ())):
            if link.source == source:
                link.unbound()

    def stall(self, source: str, target: str) -> None:
        """Keep back what `source` sends to `target`, acknowledgements too, until `heal`; no connection breaks."""
        self._own_way(source, target).stall()

    def delay(self, source: str, target: str, delay_s: float) -> None:
        """Let what `source` sends to `target`, acknowledgements too, take so long, until `heal`."""
        self._own_way(source, target).delay(delay_s)

    def heal(self) -> None:
        """End all that `cut`, `stall` and `delay` began; what was kept back arrives. To be called on the loop."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            way.heal(asyncio.get_running_loop())
        for links in list(self._links.values()):
            for link in list(links):
                link.bound()

    def add(self, link: MemoryLink) -> None:
        """Tell the link who comes to its address, and goes."""
        self._links.setdefault(link.address, set()).add(link)

    def remove(self, link: MemoryLink) -> None:
        """Forget the link."""
        links = self._links[link.address]
        links.discard(link)
        if not links:
            del self._links[link.address]


class MemoryLink(QueuedLink):
    """A link whose connection is a reference to the far end.

    Attributes:
        source: the address of the endpoint that opened it.
    """

    def __init__(self, network: MemoryNetwork, source: str, name: Callable[[Lane], bytes], setup: LinkSetup) -> None:
        super().__init__(setup)
        self.source = source
        self._network = network
        self._name = name
        network.add(self)
        self._begin()

    def _begin(self) -> None:
        self._source_id = self._name(self.lane)
        self._network.connections[self._source_id] = self

    def _transmit(self, parts: Sequence[Buffer]) -> bool:
        arrive = self._network.at(self.address)
        way = self._network.way(self.source, self.address)
        if arrive is None or way.is_cut:
            return False
        head, *buffers = parts
        read_only = [memoryview(buffer).toreadonly() for buffer in buffers]
        way.carry(self._loop, partial(self._arrive, arrive, self._source_id, head, read_only))
        return True

    def _arrive(self, arrive: Arrive, source_id: bytes, head: Buffer, buffers: Sequence[Buffer]) -> None:
        if self._network.at(self.address) == arrive:  # else it is gone, and what was on its way with it
            arrive(source_id, head, buffers)

    def answered(self, message: bytes) -> None:
        """The far end has sent a message back over the connection."""
        way = self._network.way(self.address, self.source)
        way.carry(self._loop, partial(self._came_back_over, self._source_id, message))

    def _came_back_over(self, source_id: bytes, message: bytes) -> None:
        if source_id == self._source_id:  # else the connection is gone, and what was on its way with it
            self.came_back(message)

    def bound(self) -> None:
        """Somebody is at the address now."""
        self._loop.call_soon(self._unblocked)

    def unbound(self) -> None:
        """Nobody is at the address any more."""
        self._loop.call_soon(self._connection_broke)

    def _watch(self) -> None:
        pass  # the network calls `bound`

    def _read_back(self) -> None:
        pass  # the network calls `answered`

    def _reconnect(self, pause_s: float) -> None:
        del self._network.connections[self._source_id]
        self._begin()

    def _disconnect(self, linger_s: float) -> None:
        del self._network.connections[self._source_id]
        self._network.remove(self)
