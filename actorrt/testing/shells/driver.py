"""A simulated driver: a process with a `Runtime` that is connected to a simulated node."""

from __future__ import annotations

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.ids import JobId
from actorrt.node.driver.runtime import Runtime
from actorrt.protocol.nodes import AttachDriver, JobSetting
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.virtual.processes import SimulatedProcess


class SimulatedConnection:
    """A `DriverConnection` to a simulated node.

    Args:
        host: the machine.
        node: the node.
        process: the driver's process.
    """

    is_lost = False

    def __init__(self, host: Host, node: SimulatedNode, process: SimulatedProcess) -> None:
        self._host = host
        self._node = node
        self._process = process
        self._endpoint: ActorEndpoint | None = None
        self.url = node.address.address

    async def open(self, namespace: str) -> None:
        host, process = self._host, self._process
        surroundings = host.surroundings(process)
        ids = surroundings.ids
        self._endpoint = self.endpoint = host.new_endpoint(
            process,
            ids.peer(),
            surroundings=surroundings,
            node=self._node.address,
            job=JobId(ids.job()),
            namespace=namespace,
        )
        self.endpoint.on_crash = lambda error: host.defect(process, error)
        await host.start(process, self.endpoint)

    async def attach(self, setting: JobSetting) -> None:
        endpoint = self.endpoint
        here = JobSetting(namespace=setting.namespace, sys_path=[], cwd="", env_vars={}, log_level=setting.log_level)
        await endpoint.control.request(
            endpoint.node,
            AttachDriver(job=endpoint.job, address=endpoint.peers.own.address, pid=self._process.number, setting=here),
        )

    async def close(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()
            assert self._endpoint.store is not None
            self._endpoint.store.close()


class SimulatedRuntime(Runtime):
    """A runtime that uses a given connection. All drivers of a world share a thread, whose rule the world sets.

    Args:
        connection: the connection.
    """

    def __init__(self, connection: SimulatedConnection) -> None:
        super().__init__()
        self._given = connection

    def _new_connection(self) -> SimulatedConnection:
        return self._given

    async def __aenter__(self) -> SimulatedRuntime:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
