"""Connects a driver to a node without processes, for `mode="local"`."""

from __future__ import annotations

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.local_node import LocalNode
from actorrt.node.placement.resources import Resources
from actorrt.node.processes.limits import cpu_count, gpu_count, memory_bytes, store_capacity_bytes
from actorrt.protocol.nodes import AttachDriver, JobSetting
from actorrt.transport.memory.network import MemoryNetwork


class LocalConnection:
    """A `DriverConnection` to a node on the running loop.

    Args:
        cpus, gpus, store_bytes: the resources of the node; None: those of the machine.
        surroundings: of this process.
    """

    url = "local"
    is_lost = False  # the node is in this process

    def __init__(self, cpus: int | None, gpus: int | None, store_bytes: int | None, surroundings: Surroundings) -> None:
        gpus = gpu_count() if gpus is None else gpus
        resources = Resources(cpus or cpu_count(), gpus, memory_bytes()[0], may_exceed=True)
        capacity = store_capacity_bytes(store_bytes)
        self._node = LocalNode(resources, capacity, surroundings)
        self._surroundings = surroundings
        self._endpoint: ActorEndpoint | None = None

    @property
    def network(self) -> MemoryNetwork:
        """The network between the endpoints of the node."""
        return self._node.network

    async def open(self, namespace: str) -> None:
        await self._node.start()
        ids = self._surroundings.ids
        peer = ids.peer()
        self._endpoint = self.endpoint = self._node.endpoint(peer, f"memory://{peer.hex()}", ids.job(), namespace)
        await self.endpoint.start()

    async def attach(self, setting: JobSetting) -> None:
        job, peer_address = self.endpoint.job, self.endpoint.peers.own
        driver = AttachDriver(job=job, address=peer_address.address, pid=self._surroundings.pid, setting=setting)
        self._node.core.attach_driver(peer_address.peer, driver)

    async def close(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()
            if self._endpoint.store is not None:
                self._endpoint.store.close()
        await self._node.close()
