"""The hosts of a world: each has a node, and may crash, start again, stand still, and be cut off from others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.completion import Completion
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.host_links import Pair
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess

Defect = Callable[[SimulatedProcess, BaseException], None]


class Hosts:
    """The hosts, by number.

    Args:
        loop: the world's loop.
        network: the world's network.
        seed: the run's seed.
        journal: gets what happens.
        defect: called with a process and an exception that left the runtime's own code there.
        count: how many hosts there are.
        cpus: the CPUs of each.

    Attributes:
        all: the hosts.
        nodes: the node of each, which is the last one if the host is down.
        spawn_fails: returns whether the next worker gets no process.
        on_boot: called with each host that has a new node.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: SimulatedNetwork,
        seed: int,
        journal: Journal,
        defect: Defect,
        count: int,
        cpus: int,
        store_bytes: int,
    ) -> None:
        self.loop = loop
        self.network = network
        self.journal = journal
        self._cpus = cpus
        names = [f"host-{number}" for number in range(count)] if count > 1 else [""]
        self.all = [Host(number, name, loop, network, seed, journal, defect) for number, name in enumerate(names)]
        for host in self.all:
            host.store_bytes = store_bytes
        self.spawn_fails: Callable[[], bool] = lambda: False
        self.on_boot: Callable[[Host], None] = lambda _: None
        self.nodes = [SimulatedNode(host, cpus) for host in self.all]
        self._up: list[Completion[None]] = [Completion() for _ in self.all]
        self._ended: list[SimulatedNode] = []

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, number: int) -> Host:
        """Return a host.

        Raises:
            ValueError: there is no such host.
        """
        if type(number) is not int or not 0 <= number < len(self.all):
            last = len(self.all) - 1
            has = "the host 0 only" if not last else f"the hosts 0 to {last}"
            raise ValueError(f"host={number!r}: this World has {has}")
        return self.all[number]

    # Up and down

    def start(self, number: int) -> None:
        """Start the node of a host; `up` completes."""
        node, up = self.nodes[number], self._up[number]
        node.workers.spawn_fails = self.spawn_fails
        node.start()
        node.up.add_callback(lambda _: up.set_value(None))

    def up(self, number: int) -> Completion[None]:
        """Return what completes when the node of a host serves; it is done if it does."""
        return self._up[number]

    def is_down(self, number: int) -> bool:
        """Whether a host has no power."""
        return number in self.network.hosts.dark

    def crash(self, number: int) -> None:
        """Let a host lose its power. No effect if it has none."""
        host = self[number]
        if not self.is_down(number):
            self.journal.note(f"{host.name or 'the host'} crashes")
            self._up[number] = Completion()
            host.lose_power()

    def restart(self, number: int) -> None:
        """Let a host that has crashed start again, with a new node. No effect if it is up."""
        host = self[number]
        if self.is_down(number):
            self.journal.note(f"{host.name or 'the host'} starts again")
            self.network.power_back(number)
            self._ended.append(self.nodes[number])
            self.nodes[number] = SimulatedNode(host, self._cpus)
            self.on_boot(host)
            self.start(number)

    # Standing still, and links

    def freeze(self, number: int) -> None:
        """Let every process of a host stand still, and the host with them: it acknowledges nothing."""
        host = self[number]
        if not self.is_down(number):
            self.network.hosts.paused.add(number)
            for process in host.processes.values():
                self.loop.freeze(process)

    def thaw(self, number: int) -> None:
        """Let a host that stands still go on."""
        host = self[number]
        self.network.resume(number)
        for process in host.processes.values():
            self.loop.thaw(process)

    def pairs(self, a: int, b: int, *, one_way: bool) -> list[Pair]:
        """Return the pairs of hosts of a link.

        Raises:
            ValueError: there are no such hosts, or they are one.
        """
        if self[a] is self[b]:
            raise ValueError(f"a={a!r}, b={b!r}: give two hosts")
        return [(a, b)] if one_way else [(a, b), (b, a)]

    def cut(self, pairs: list[Pair]) -> None:
        """Let nothing arrive between hosts, until `join`."""
        self.network.hosts.cut.update(pairs)

    def join(self, pairs: list[Pair]) -> None:
        """Let messages between hosts travel again."""
        self.network.join(pairs)

    def heal(self) -> None:
        """Thaw every process, let every message travel at the usual speed, and empty the disks."""
        self.network.heal(list(self.network.stalled))
        self.network.hosts.slow_s.clear()
        self.network.join(list(self.network.hosts.cut))
        for host in self.all:
            host.disk.is_full = host.disk.is_failing = False
            for process in host.processes.values():
                process.doom = None
            self.thaw(host.number)

    # Processes

    def processes(self) -> Iterator[SimulatedProcess]:
        """Yield the processes of all hosts that have not been reaped."""
        for host in self.all:
            yield from host.processes.values()

    def endpoint(self, process: SimulatedProcess) -> ActorEndpoint | None:
        """Return the endpoint of a process, if it has started one."""
        return self.all[process.host].endpoints.get(process)

    def endpoints(self) -> Iterator[tuple[SimulatedProcess, ActorEndpoint]]:
        """Yield each process that has an endpoint, and the endpoint."""
        for host in self.all:
            yield from host.endpoints.items()

    def live(self) -> list[SimulatedNode]:
        """Return the nodes of the hosts that have power."""
        return [node for number, node in enumerate(self.nodes) if not self.is_down(number)]

    def workers(self) -> list[SimulatedProcess]:
        """Return the processes of all workers that live."""
        return [process for node in self.nodes for process in node.workers.processes()]

    def kill(self, process: SimulatedProcess) -> bool:
        """Send SIGKILL to a process; return whether it is a worker."""
        return self.nodes[process.host].workers.kill_process(process)

    # The end

    def forget(self) -> None:
        """Drop what is left. Called when the run is over."""
        for host in self.all:
            host.forget()
        for node in (*self.nodes, *self._ended):
            node.forget()


def state_of(hosts: Hosts) -> list[str]:
    """Return what is wrong with the hosts and the links between them, a line each; empty with one host."""
    links, names = hosts.network.hosts, [host.name for host in hosts.all]
    lines = [f"{names[number]} is down" for number in sorted(links.dark)]
    lines += [f"{names[number]} stands still" for number in sorted(links.paused)]
    lines += [f"nothing from {names[a]} arrives at {names[b]}" for a, b in sorted(links.cut)]
    return lines
