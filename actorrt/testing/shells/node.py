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
    """The node of one host, from its start to its end. It has an object store of its own.

    Args:
        host: the machine.
        cpus: the CPUs that actors can reserve.

    Attributes:
        host: the machine.
        process: the daemon's process.
        core: the daemon's core.
        workers: makes its workers.
        address: the address of its endpoint, once it is up.
        up: completes when it serves.
        ended: completes when it has closed.
    """

    def __init__(self, host: Host, cpus: int) -> None:
        self.host = host
        name = host.name_for("node")
        self.process = host.new_process(name)
        store = host.new_store(self.process)
        self.workers = SimulatedWorkers(host, self.process, self._worker_ended)
        surroundings = host.surroundings(self.process)
        peer = surroundings.ids.peer()
        self.address = PeerAddress(peer, f"{SCHEME}{name}/{short(peer)}")
        transport = SimulatedTransport(
            host.network, self.process, peer, self.address.address, clock=host.clock, node=self.address.packed()
        )
        resources = Resources(cpus, 0, may_exceed=True)
        self.core = NodeCore(transport, self.workers, resources, surroundings, store.retention, store.exchange)
        self.core.on_crash = lambda error: host.crashed(self.process, error)
        host.nodes[self.process] = self.address
        self.up: Completion[None] = Completion()
        self.ended: Completion[None] = Completion()

    def start(self) -> None:
        """Begin to start; `up` completes."""
        self.host.loop.call_in(self.process, self._begin)

    def _begin(self) -> None:
        self._scope = Scope(self.process.name, lambda error: self.host.crashed(self.process, error))
        self._scope.start(self._start(), "main")

    async def _start(self) -> None:
        await self.core.start()
        self.host.loop.call_in(self.host.loop.outside, self.up.set_value, None)

    def _worker_ended(self, worker: Worker, reason: ExitReason) -> None:
        self.core.worker_ended(worker, reason)

    async def end_jobs(self) -> None:
        """End every job, with its detached actors."""
        ended: Completion[None] = Completion()

        async def end() -> None:
            for job in self.core.jobs.all():
                await self.core.end_job(job.job_id, with_detached=True)
            self.host.loop.call_in(self.host.loop.outside, ended.set_value, None)

        self.host.loop.call_in(self.process, lambda: self._scope.start(end(), "end jobs"))
        await ended

    def stop(self) -> None:
        """Begin to stop, as a signal would have it; `ended` completes."""
        self.host.loop.call_in(self.process, lambda: self._scope.start(self._close(), "close"))

    async def _close(self) -> None:
        await self.core.close()
        self.host.store.exchange.close()
        self.host.loop.call_in(self.host.loop.outside, self.ended.set_value, None)
        self.process.crash()

    def forget(self) -> None:
        """Drop what the node had. Called when the run is over."""
        self.workers.forget()
        del self.core
