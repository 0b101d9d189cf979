"""A simulated node: a process with the real core of the daemon, and workers that are simulated processes."""

from __future__ import annotations

from actorrt.completion import Completion
from actorrt.ids import PeerAddress, short
from actorrt.node.daemon.core import NodeCore
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.resources import Resources
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.transport import SCHEME, SimulatedTransport
from actorrt.testing.shells.workers import SimulatedWorkers


class SimulatedNode:
    """The node of one host.

    Args:
        host: the machine.
        name: the name of the daemon's process.
        cpus: the CPUs that actors can reserve.

    Attributes:
        process: the daemon's process.
        core: the daemon's core.
        workers: makes its workers.
        address: the address of its endpoint, once it is up.
        up: completes when it serves.
        ended: completes when it has closed.
    """

    def __init__(self, host: Host, name: str, cpus: int) -> None:
        self._host = host
        self.process = host.new_process(name)
        self.workers = SimulatedWorkers(host, self.process, self._worker_ended)
        surroundings = host.surroundings(self.process)
        peer = surroundings.ids.peer()
        self.address = PeerAddress(peer, f"{SCHEME}{name}/{short(peer)}")
        transport = SimulatedTransport(
            host.network, self.process, peer, self.address.address, clock=host.clock, node=self.address.packed()
        )
        resources = Resources(cpus, 0, may_exceed=True)
        self.core = NodeCore(transport, self.workers, resources, surroundings, host.store.retention)
        self.core.on_crash = lambda error: host.crashed(self.process, error)
        host.nodes[self.process] = self.address
        self.up: Completion[None] = Completion()
        self.ended: Completion[None] = Completion()

    def start(self) -> None:
        """Begin to start; `up` completes."""
        self._host.loop.call_in(self.process, self._begin)

    def _begin(self) -> None:
        self._scope = Scope(self.process.name, lambda error: self._host.crashed(self.process, error))
        self._scope.start(self._start(), "main")

    async def _start(self) -> None:
        await self.core.start()
        self._host.loop.call_in(self._host.loop.outside, self.up.set_value, None)

    def _worker_ended(self, worker: Worker, reason: ExitReason) -> None:
        self.core.worker_ended(worker, reason)

    def stop(self) -> None:
        """Begin to stop, as a signal would have it; `ended` completes."""
        self._host.loop.call_in(self.process, lambda: self._scope.start(self._close(), "close"))

    async def _close(self) -> None:
        await self.core.close()
        self._host.loop.call_in(self._host.loop.outside, self.ended.set_value, None)
        self.process.crash()
