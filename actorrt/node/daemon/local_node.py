"""A node without processes: the same core, with workers on its own loop, and memory as transport and store.

`mode="local"` runs on it, and so do tests that need a whole runtime and no processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakSet

from actorrt.actors.cells.crash_notes import Notes
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.wire.origins import Origins
from actorrt.ids import IdSource, JobId, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.core import NodeCore
from actorrt.node.listing.node_rows import NodeRows
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.node.worker.serving import serve_tasks_on_loop
from actorrt.protocol.processes import Leave
from actorrt.reasons import KILLED, SHUTDOWN, ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.store.client.client import StoreClient
from actorrt.store.memory.disk import SpillDisk, spill_directory
from actorrt.store.server.local import LocalStore
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport


class LocalNode:
    """A whole node on the running loop.

    Args:
        resources: the resources that actors can reserve.
        store_bytes: the bound on the store's memory.
        surroundings: of this process.

    Attributes:
        network: the network that connects the endpoints of the node.
    """

    def __init__(
        self,
        resources: Resources,
        store_bytes: int,
        surroundings: Surroundings,
    ) -> None:
        self.network = MemoryNetwork()
        self._store = LocalStore(store_bytes, surroundings.clock, disk=SpillDisk(spill_directory()))
        self._origins = Origins()
        self._surroundings = surroundings
        self._resources = resources
        self._endpoints: WeakSet[ActorEndpoint] = WeakSet()

    async def start(self) -> None:
        """Start the core and begin to serve."""
        around = self._surroundings
        peer = around.ids.peer()
        factory = _LocalWorkers(self.endpoint, lambda: self.core.scope, around.pid)
        transport = MemoryTransport(self.network, peer, f"memory://{short(peer)}", clock=around.clock)
        self.core = NodeCore(transport, factory, self._resources, around, self._store.retention)
        factory.on_exit = self.core.worker_ended
        self.core.on_crash = self._crashed
        await self.core.start()
        NodeRows(self.core.nodes, self._resources, self.core.control, self.core.peer_address, self._store.stats)
        self.peer_address = self.core.peer_address

    async def close(self) -> None:
        """End everything. Idempotent."""
        await self.core.close()
        for endpoint in list(self._endpoints):  # the endpoints of workers that the node did not end
            await endpoint.close()
        self._store.close()

    def endpoint(self, peer: PeerId, address: str, job: JobId, namespace: str) -> ActorEndpoint:
        """Make an endpoint of this node; the caller starts it."""
        store = StoreClient(self._store.open_channel(peer, self._surroundings.pid), peer, self._surroundings)
        store.attach(self.core.scope.loop)
        endpoint = ActorEndpoint(
            MemoryTransport(self.network, peer, address, clock=self._surroundings.clock),
            store=store,
            surroundings=self._surroundings,
            node=self.peer_address,
            job=job,
            namespace=namespace,
        )
        endpoint.origins = self._origins
        store.owner = endpoint
        self._endpoints.add(endpoint)
        return endpoint

    def _crashed(self, error: BaseException) -> None:
        """Called when the node has failed: every endpoint on it fails too."""
        for endpoint in list(self._endpoints):
            if not endpoint.scope.is_closed:
                endpoint.scope.fail(error)


class _LocalWorkers:
    """Workers that are endpoints on the node's own loop.

    Args:
        new_endpoint: makes the endpoint of a worker, from its id, address, job and namespace.
        scope_of_node: returns the scope that owns the ends of workers; there is none before the node has started.
        pid: the number of this process.
    """

    def __init__(
        self,
        new_endpoint: Callable[[PeerId, str, JobId, str], ActorEndpoint],
        scope_of_node: Callable[[], Scope],
        pid: int,
    ) -> None:
        self._new_endpoint = new_endpoint
        self._scope_of_node = scope_of_node
        self._pid = pid
        self._endpoints: dict[PeerId, ActorEndpoint] = {}
        self.on_exit: Callable[[Worker, ExitReason], None] = lambda *_: None

    def new_peer_address(self, ids: IdSource) -> PeerAddress:
        peer = ids.peer()
        return PeerAddress(peer, f"memory://{peer.hex()}")

    def preload(self, modules: Sequence[str], job: Job, *, apart: bool = False) -> None:
        """Do nothing: workers share the modules of this process."""

    async def launch(self, worker: Worker) -> None:
        job = worker.job
        endpoint = self._new_endpoint(worker.peer, worker.peer_address.address, job.job_id, job.setting.namespace)
        self._endpoints[worker.peer] = endpoint
        endpoint.on_crash = lambda error: self._end(worker, ExitReason(ExitKind.CRASHED, repr(error)))
        await endpoint.start()
        endpoint.control.handle(Leave.by(lambda *_: self._end(worker, SHUTDOWN)))
        if worker.kind is WorkerKind.TASKS:
            serve_tasks_on_loop(endpoint)
        worker.pid = self._pid
        worker.ready.set_value(None)

    def kill(self, worker: Worker) -> None:
        self._end(worker, KILLED)

    def notes(self, worker: Worker) -> Notes:
        """Return no notes. Code that does not end can't be ended here, since it shares this process with all other."""
        return Notes([], 0)

    def _end(self, worker: Worker, reason: ExitReason) -> None:
        endpoint = self._endpoints.pop(worker.peer, None)
        scope = self._scope_of_node()
        if endpoint is not None and not scope.is_closed:
            scope.start(self._close(worker, endpoint, reason), f"end {worker.label}")

    async def _close(self, worker: Worker, endpoint: ActorEndpoint, reason: ExitReason) -> None:
        await endpoint.close()
        if endpoint.store is not None:
            endpoint.store.close()
        self.on_exit(worker, reason)
