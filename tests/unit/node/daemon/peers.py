"""A node's core without processes, and others that speak with it over a network in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from actorrt.actors.wire.control import Control
from actorrt.clock import ManualClock
from actorrt.errors import ActorRtError
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.node.daemon.core import NodeCore
from actorrt.node.placement.resources import Resources
from actorrt.scopes import Scope
from actorrt.transport.interfaces import Buffer
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from tests.unit.node.fakes import IDS, FakeFactory, NoKeeper
from tests.unit.records import crashed

SETTING = {"namespace": "default", "sys_path": [], "cwd": "/", "env_vars": {}, "log_level": 30}
VERBS_HEARD = ("endpoint_down", "job_ended", "leave", "host", "kill_hosted", "stop_hosted", "child_exited", "bury")


class Peer:
    """A process that speaks with the node: it notes what it is told, and answers everything with None."""

    def __init__(self, network: MemoryNetwork, address: PeerAddress) -> None:
        self.endpoint = address
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._scope = Scope("peer", crashed)
        self._transport = MemoryTransport(network, address.peer, address.address)
        self.control = Control(self._transport, self._scope)
        for verb in VERBS_HEARD:
            self.control.handle(verb, self._hear(verb))

    def _hear(self, verb: str) -> Callable[[PeerId, dict[str, Any]], None]:
        return lambda _, data: self.heard.append((verb, data))

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

    def told(self, verb: str) -> list[dict[str, Any]]:
        return [data for heard, data in self.heard if heard == verb]


class CoreNode:
    """A started core, with peers that are closed with it."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.factory = FakeFactory()
        transport = MemoryTransport(self.network, IDS.peer(), "memory://node")
        resources = Resources(2, 0, may_exceed=True)
        self.core = NodeCore(transport, self.factory, resources, ManualClock(), IDS, NoKeeper())  # type: ignore[arg-type]
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
        data = {"job": job_id, "address": driver.endpoint.address, "pid": 1, "setting": SETTING}
        await driver.control.request(self.core.endpoint, "attach_driver", data)
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
