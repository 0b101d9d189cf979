"""A node's core without processes, and others that speak with it over a network in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from actorrt.actors.wire.control import Control
from actorrt.errors import ActorRtError
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.machine.clock import ManualClock, MonotonicClock
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.core import NodeCore
from actorrt.node.placement.resources import Resources
from actorrt.protocol.hosts import Bury, HostActor, KillHosted, StopHosted
from actorrt.protocol.leases import LeaseGranted, LeasesRefused, RecallLease
from actorrt.protocol.nodes import AttachDriver
from actorrt.protocol.processes import EndpointDown, JobEnded, Leave
from actorrt.protocol.verb import Request
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Buffer
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from tests.unit.node.fakes import IDS, SETTING, FakeFactory, NoKeeper
from tests.unit.records import crashed

HEARD: tuple[type[Request[None]], ...] = (
    *(EndpointDown, JobEnded, Leave, HostActor, KillHosted, StopHosted, Bury),
    *(LeaseGranted, LeasesRefused, RecallLease),
)

SURROUNDINGS = replace(Surroundings.of_process(), clock=ManualClock())

R = TypeVar("R", bound=Request[Any])


class Peer:
    """A process that speaks with the node: it notes what it is told, and answers everything with None."""

    def __init__(self, network: MemoryNetwork, address: PeerAddress) -> None:
        self.peer_address = address
        self.heard: list[Request[None]] = []
        self._scope = Scope("peer", crashed)
        self._transport = MemoryTransport(network, address.peer, address.address, clock=MonotonicClock())
        self.control = Control(self._transport, self._scope)
        for request in HEARD:
            self.control.handle(request.by(lambda _, asked: self.heard.append(asked)))

    async def start(self) -> None:
        await self._transport.start(self)

    async def close(self) -> None:
        await self._scope.close()
        await self._transport.close()

    def received(self, peer: PeerId, envelope: list[Any], _buffers: Sequence[Buffer]) -> None:
        self.control.received(peer, envelope)

    def drained(self) -> None:
        """Nothing waits for the end of a drain."""

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        self.control.peer_lost(peer, error)

    def told(self, kind: type[R]) -> list[R]:
        return [asked for asked in self.heard if isinstance(asked, kind)]


class CoreNode:
    """A started core, with peers that are closed with it."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.factory = FakeFactory()
        transport = MemoryTransport(self.network, IDS.peer(), "memory://node", clock=MonotonicClock())
        resources = Resources(2, 0, may_exceed=True)
        self.core = NodeCore(transport, self.factory, resources, SURROUNDINGS, NoKeeper())  # type: ignore[arg-type]
        self._peers: list[Peer] = []

    async def peer(self, address: PeerAddress | None = None) -> Peer:
        new_id = IDS.peer()
        peer = Peer(self.network, address or PeerAddress(new_id, f"memory://{new_id.hex()}"))
        self._peers.append(peer)
        await peer.start()
        return peer

    async def driver(self) -> tuple[Peer, JobId]:
        """Return a driver whose job has begun."""
        driver, job_id = await self.peer(), IDS.job()
        attach = AttachDriver(job=job_id, address=driver.peer_address.address, pid=1, setting=SETTING)
        await driver.control.request(self.core.peer_address, attach)
        return driver, job_id

    async def close(self) -> None:
        await self.core.close()
        for peer in self._peers:
            await peer.close()


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
