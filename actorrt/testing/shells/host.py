"""What the processes of one host share, and how an endpoint is made in each of them."""

from __future__ import annotations

import random
from collections.abc import Callable

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.machine.clock import Clock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.store.server.local import LocalStore
from actorrt.testing.shells.chance import Chance, SeededIds
from actorrt.testing.shells.disk import SimulatedDisk
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.store import SimulatedChannel
from actorrt.testing.shells.threads import SimulatedThreads
from actorrt.testing.shells.transport import SCHEME, SimulatedTransport
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess

STORE_BYTES = 256 << 20


class LoopClock:
    """The clock of every process: the loop's time.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self.now = loop.time


class Host:
    """One simulated machine.

    Args:
        loop: the world's loop.
        network: the world's network.
        seed: the run's seed.
        journal: gets what happens.
        defect: called with a process and an exception that left the runtime's own code there.

    Attributes:
        processes: the processes that have not been reaped, by number.
        endpoints: the endpoint of each process that has started one.
        nodes: the address of each daemon.
        store: the object store of the host.
        disk: its files.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: SimulatedNetwork,
        seed: int,
        journal: Journal,
        defect: Callable[[SimulatedProcess, BaseException], None],
    ) -> None:
        self.loop = loop
        self.network = network
        self.journal = journal
        self.clock: Clock = LoopClock(loop)
        self.chance = Chance(seed, "processes")
        self.defect = defect
        self.processes: dict[int, SimulatedProcess] = {}
        self.endpoints: dict[SimulatedProcess, ActorEndpoint] = {}
        self.nodes: dict[SimulatedProcess, PeerAddress] = {}
        self.store = LocalStore(STORE_BYTES, self.clock)
        self.disk = SimulatedDisk(Chance(seed, "disk"))
        self._seed = seed

    def new_process(self, name: str) -> SimulatedProcess:
        """Return a new process."""
        process = self.loop.new_process(name)
        self.processes[process.number] = process
        self.journal.note(f"process {process.number} is {name}")
        process.on_crash.append(lambda: self._gone(process))
        return process

    def _gone(self, process: SimulatedProcess) -> None:
        self.processes.pop(process.number, None)
        self.endpoints.pop(process, None)
        self.journal.note(f"process {process.name} is gone")

    def surroundings(self, process: SimulatedProcess) -> Surroundings:
        """Return what a process gets from the machine."""
        return Surroundings(
            clock=self.clock,
            ids=SeededIds(Chance(self._seed, f"ids of process {process.number}")),
            random=random.random,
            threads=SimulatedThreads(self.loop, Chance(self._seed, f"threads of process {process.number}")),
            disk=self.disk,
            pid=process.number,
        )

    def new_endpoint(
        self,
        process: SimulatedProcess,
        peer: PeerId,
        *,
        surroundings: Surroundings,
        node: PeerAddress,
        job: JobId,
        namespace: str,
    ) -> ActorEndpoint:
        """Return an endpoint of a process, for `start`; its `store` is attached to the loop."""
        loop, network = self.loop, self.network
        channel = SimulatedChannel(self.store, peer, loop, process, network.latency_s)
        store = StoreClient(channel, peer, surroundings)
        store.attach(loop)
        endpoint = ActorEndpoint(
            SimulatedTransport(
                network, process, peer, f"{SCHEME}{process.name}", clock=surroundings.clock, node=node.packed()
            ),
            store=store,
            surroundings=surroundings,
            node=node,
            job=job,
            namespace=namespace,
        )
        store.owner, store.node_of = endpoint, endpoint.transport.node_of
        return endpoint

    async def start(self, process: SimulatedProcess, endpoint: ActorEndpoint) -> None:
        """Start the endpoint of a process."""
        await endpoint.start()
        self.endpoints[process] = endpoint

    def sweep_store(self) -> None:
        """Let the store end what has expired, which it does when it is sent a message."""
        self.store.retention.release([])

    def forget(self) -> None:
        """Close the store, and drop what dead processes have left. Called when the run is over."""
        self.store.close()
        self.endpoints.clear()
        self.network.forget()

    def crashed(self, process: SimulatedProcess, error: BaseException) -> None:
        """Called when the runtime of a process has failed: the process ends at once."""
        self.defect(process, error)
        process.crash()
