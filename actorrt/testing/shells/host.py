"""What the processes of one host share, and how an endpoint is made in each of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.machine.clock import Clock
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.client import StoreClient
from actorrt.testing.shells.chance import Chance, SeededIds
from actorrt.testing.shells.disk import SimulatedDisk
from actorrt.testing.shells.host_store import HostStore
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.spilling import SimulatedSpillDisk
from actorrt.testing.shells.store import SimulatedChannel
from actorrt.testing.shells.threads import SimulatedThreads
from actorrt.testing.shells.transport import SCHEME, SimulatedTransport
from actorrt.testing.virtual.clocks import MachineClock
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess

STORE_BYTES = 256 << 20
MAX_UPTIME_S = 1e6
MAX_DRIFT = 1e-4
"""How much a clock gains or loses in a second; a cheap quartz does as much."""


class LoopClock:
    """The clock of every process of a machine.

    Args:
        loop: the loop.
        machine: what the clock of the machine shows; None: the time of the run.
    """

    def __init__(self, loop: VirtualLoop, machine: MachineClock | None = None) -> None:
        self.now = loop.now if machine is None else lambda: machine.read(loop.now())


class Host:
    """One simulated machine. What its processes have is gone when it loses its power; its disk stays.

    Args:
        number: its number in the world.
        name: what the names of its processes begin with; empty if it is the only one.
        loop: the world's loop.
        network: the world's network.
        seed: the run's seed.
        journal: gets what happens.
        defect: called with a process and an exception that left the runtime's own code there.

    Attributes:
        clock: for processes of the host.
        machine_clock: what its clocks show; None: the time of the run.
        processes: the processes that have not been reaped, by number.
        endpoints: the endpoint of each process that has started one.
        nodes: the address of each daemon.
        store: the object store of the host, once a node was made.
        disk: its files.
        store_bytes: the bound on the memory of its object store.
    """

    store: HostStore

    def __init__(
        self,
        number: int,
        name: str,
        loop: VirtualLoop,
        network: SimulatedNetwork,
        seed: int,
        journal: Journal,
        defect: Callable[[SimulatedProcess, BaseException], None],
    ) -> None:
        self.number = number
        self.name = name
        self.loop = loop
        self.network = network
        self.journal = journal
        self.machine_clock = self._clocks(seed) if name else None
        self.clock: Clock = LoopClock(loop, self.machine_clock)
        self.chance = Chance(seed, f"processes of {name}" if name else "processes")
        self.defect = defect
        self.processes: dict[int, SimulatedProcess] = {}
        self.endpoints: dict[SimulatedProcess, ActorEndpoint] = {}
        self.nodes: dict[SimulatedProcess, PeerAddress] = {}
        self.store_bytes = STORE_BYTES
        self.disk = SimulatedDisk(Chance(seed, f"disk of {name}" if name else "disk"))
        self._seed = seed
        self._names: Counter[str] = Counter()
        if name:
            network.hosts.names[name] = number

    def _clocks(self, seed: int) -> MachineClock:
        """Return clocks that began at another time than those of other hosts, and are not equally fast."""
        chance = Chance(seed, f"clocks of {self.name}")
        rate = 1.0 + chance.between(-MAX_DRIFT, MAX_DRIFT)
        return MachineClock(self.loop.now(), chance.between(0.0, MAX_UPTIME_S), rate)

    def new_process(self, name: str) -> SimulatedProcess:
        """Return a new process."""
        process = self.loop.new_process(name, self.number, self.machine_clock)
        self.processes[process.number] = process
        self.journal.note(f"process {process.number} is {name}")
        process.on_crash.append(lambda: self._gone(process))
        if self.number in self.network.hosts.paused:
            self.loop.freeze(process)  # until the host goes on
        return process

    def name_for(self, kind: str) -> str:
        """Return the name of the next process of a kind, which no process of the world has had."""
        self._names[kind] += 1
        count = self._names[kind]
        first = f"{self.name}/{kind}" if self.name else kind
        return first if count == 1 else f"{first}.{count}"

    def _gone(self, process: SimulatedProcess) -> None:
        self.processes.pop(process.number, None)
        self.endpoints.pop(process, None)
        self.journal.note(f"process {process.name} is gone")

    def new_store(self, daemon: SimulatedProcess) -> HostStore:
        """Return the store of a new daemon."""
        disk = SimulatedSpillDisk(self.disk)
        self.store = HostStore(self.store_bytes, self.clock, self.loop, daemon, disk)
        return self.store

    def lose_power(self) -> None:
        """End all processes at once, with what they have in memory; other hosts do not notice."""
        self.network.power_lost(self.number)
        for process in list(self.processes.values()):  # the daemon is the first
            process.crash()
        self.store.close()
        self.disk.lose_power()

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

    def forget(self) -> None:
        """Close the store, and drop what dead processes have left. Called when the run is over."""
        self.store.close()
        self.endpoints.clear()
        self.network.forget()

    def crashed(self, process: SimulatedProcess, error: BaseException) -> None:
        """Called when the runtime of a process has failed: the process ends at once."""
        self.defect(process, error)
        process.crash()
