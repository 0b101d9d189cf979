"""Transports of one kind that can reach each other, for the contract's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from actorrt.ids import IdSource, NodeAddress, PeerId
from actorrt.machine.clock import MonotonicClock
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.host import LoopClock
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.transport import SCHEME, SimulatedTransport
from actorrt.testing.virtual.loop import START_S, VirtualLoop
from actorrt.transport.interfaces import Lane
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from actorrt.transport.unix.transport import UnixTransport
from actorrt.transport.zeromq.transport import ZmqTransport
from tests.contract.nodes import Nodes
from tests.contract.recorder import Recorder

CONNECT_TIMEOUT_S = 0.4
COMPOSITE = ("node", "nodes")
"""Composite transports of one node, and of a node each."""
SCHEMES = {"memory": "memory://", "simulated": SCHEME}


class Side:
    """A transport and its receiver."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.recorder = Recorder()

    def link_to(self, other: Side, lane: Lane = Lane.USER) -> Any:
        return self.transport.link(other.transport.peer, other.transport.address, lane)


class World:
    """Makes transports of one kind that can reach each other."""

    def __init__(self, kind: str, directory: str, keys: str, virtual: VirtualLoop | None = None) -> None:
        self.kind = kind
        self.ids = IdSource()
        self.sides: list[Side] = []
        self._network = MemoryNetwork()
        self._directory = directory
        self.nodes = Nodes(directory, keys)
        self._node = self.ids.node()
        self._virtual = virtual
        if virtual is not None:
            journal = Journal(virtual.time, START_S)
            self._simulated = SimulatedNetwork(virtual, Chance(1, "network"), journal)

    def address(self, name: str) -> str:
        if self.kind in COMPOSITE:
            return str(NodeAddress(self._node, PeerId(hashlib.sha256(name.encode()).digest()[:16])))
        if self.kind in SCHEMES:
            return f"{SCHEMES[self.kind]}{name}"
        return "tcp://127.0.0.1:0" if self.kind == "tcp" else f"{self.kind}://{self._directory}/{name}"

    def nowhere(self, peer: PeerId) -> str:
        """Return an address at which no process listens, for that peer."""
        if self.kind in COMPOSITE:
            return str(NodeAddress(self._node, peer))
        return "tcp://127.0.0.1:1" if self.kind == "tcp" else self.address("nowhere")

    def make(self, address: str | None = None, **options: Any) -> Any:
        clock = MonotonicClock() if self._virtual is None else LoopClock(self._virtual)
        options = {"clock": clock, "connect_timeout_s": CONNECT_TIMEOUT_S, **options}
        if self.kind in COMPOSITE:
            peer = None if address is None else NodeAddress.parse(address).peer
            return self.nodes.make(self._node if self.kind == "node" else self.ids.node(), peer, **options)
        peer = self.ids.peer()
        address = address or self.address(peer.hex()[:8])
        if self.kind == "memory":
            return MemoryTransport(self._network, peer, address, **options)
        if self._virtual is not None:
            return SimulatedTransport(self._simulated, self._virtual.outside, peer, address, **options)
        if self.kind == "unix":
            return UnixTransport(peer, address, **options)
        return ZmqTransport(peer, address, **options)

    async def side(self, address: str | None = None, **options: Any) -> Side:
        side = Side(self.make(address, **options))
        await side.transport.start(side.recorder)
        self.sides.append(side)
        return side

    async def pair(self, **options: Any) -> tuple[Side, Side]:
        return await self.side(**options), await self.side(**options)


Run = Callable[[Callable[[World], Awaitable[None]]], None]
