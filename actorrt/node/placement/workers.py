"""The workers of a node, from before their processes exist to after their ends.

A `WorkerFactory` makes the process of a worker, or a `FarMaker` has another node make it; `WorkerChoice` decides which
actors a worker hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from actorrt.actors.cells.crash_notes import Notes
from actorrt.actors.wire.control import Control
from actorrt.ids import IdSource, NodeAddress, PeerAddress, PeerId
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.protocol.processes import Leave
from actorrt.scopes import Scope

LEAVE_GRACE_S: Final = 0.5
"""How long a worker that was told to leave may take before it is killed."""


class WorkerMaker(Protocol):
    """Makes and ends workers, on this node or on another one."""

    async def launch(self, worker: Worker) -> None:
        """Make the worker's process. That it is ready, and its end, are reported to the node.

        Raises:
            ActorStartError: the worker got no process.
        """

    def kill(self, worker: Worker) -> None:
        """End the worker at once."""


class WorkerFactory(WorkerMaker, Protocol):
    """Makes and ends the workers of this node."""

    def new_peer_address(self, ids: IdSource) -> PeerAddress:
        """Return the endpoint of a new worker."""

    def preload(self, modules: Sequence[str], job: Job, *, apart: bool = False) -> None:
        """Import modules before later workers are launched, if that is possible; apart: for workers that need them."""

    def notes(self, worker: Worker) -> Notes:
        """Return what a worker notes of what it has in hand."""


class FarMaker(WorkerMaker, Protocol):
    """Has other nodes make workers for actors of this one."""

    def leave(self, worker: Worker, grace_s: float) -> None:
        """Have a worker that listens and has no actors send its last messages and end; it is killed if it does not."""


class Workers:
    """The table of the workers that a node has made, and of those that others have made for it.

    Args:
        factory: makes and ends the processes of this node.
        control: carries the order to leave.
        scope: owns launches and timers.
        ids: identities for new workers.

    Attributes:
        far: has other nodes make workers; None: there are none.
    """

    def __init__(self, factory: WorkerFactory, control: Control, scope: Scope, ids: IdSource) -> None:
        self._factory = factory
        self._control = control
        self._scope = scope
        self._ids = ids
        self.far: FarMaker | None = None
        self._known: dict[PeerId, Worker] = {}
        self._one_ended = asyncio.Event()

    def find(self, peer: PeerId) -> Worker | None:
        """Return the worker with this id, or None."""
        return self._known.get(peer)

    def all(self) -> list[Worker]:
        """Return every worker that has not ended."""
        return list(self._known.values())

    def here(self) -> list[Worker]:
        """Return the workers that run on this node."""
        return [worker for worker in self._known.values() if worker.host is None]

    def launch(self, kind: WorkerKind, job: Job, label: str, env_vars: dict[str, str]) -> Worker:
        """Return a new worker, whose process is made in the background."""
        return self.begin(Worker(self._factory.new_peer_address(self._ids), kind, job, label, env_vars))

    def launch_at(self, host: PeerAddress, kind: WorkerKind, job: Job, label: str, env_vars: dict[str, str]) -> Worker:
        """Return a new worker, whose process is made by another node in the background; `host` is its daemon."""
        peer = self._ids.peer()
        address = PeerAddress(peer, str(NodeAddress(NodeAddress.parse(host.address).node, peer)))
        worker = Worker(address, kind, job, label, env_vars)
        worker.host = host
        return self.begin(worker)

    def begin(self, worker: Worker) -> Worker:
        """Take a new worker, and have its process made in the background. The worker is known at once."""
        self._scope.start(self._launch(worker), f"launch {worker.label}")
        self._known[worker.peer] = worker
        return worker

    def _maker_of(self, worker: Worker) -> WorkerMaker:
        if worker.host is None:
            return self._factory
        assert self.far is not None, "workers are made elsewhere in a cluster alone"
        return self.far

    async def _launch(self, worker: Worker) -> None:
        """Make the worker's process. This does not end with one start, because other starts may wait for the worker."""
        try:
            await self._maker_of(worker).launch(worker)
        except BaseException as error:
            self.remove(worker)  # so that no task waits for its end
            if not isinstance(error, Exception):
                raise
            worker.failed_to_launch(error)

    def remove(self, worker: Worker) -> bool:
        """Forget a worker that has ended; return whether it was known."""
        is_known = self._known.pop(worker.peer, None) is not None
        self._one_ended.set()
        return is_known

    async def ended(self, workers: Sequence[Worker]) -> None:
        """Return when none of these workers is left."""
        while any(worker.peer in self._known for worker in workers):
            self._one_ended.clear()
            await self._one_ended.wait()

    def dismiss(self, worker: Worker, grace_s: float | None = None) -> None:
        """Tell a worker without actors to send its last messages and end; kill it if it does not end.

        Args:
            worker: the worker.
            grace_s: how long it may take; None: `LEAVE_GRACE_S`.
        """
        if worker.exit_reason is not None:
            return
        worker.is_leaving = True
        grace_s = LEAVE_GRACE_S if grace_s is None else grace_s
        if worker.is_up and worker.host is not None and self.far is not None:
            self.far.leave(worker, grace_s)
        elif worker.is_up:
            self._control.notify(worker.peer_address, Leave())
            self._scope.after(grace_s, lambda: self.kill(worker) if worker.exit_reason is None else None)
        else:
            self.kill(worker)

    def end(self, worker: Worker) -> None:
        """End a worker at once, with all its actors. Its end is expected from now on."""
        worker.is_leaving = True
        self.kill(worker)

    def kill(self, worker: Worker) -> None:
        """End a worker's process at once."""
        self._maker_of(worker).kill(worker)

    def notes(self, worker: Worker) -> Notes:
        """Return what a worker notes of what it has in hand."""
        return self._factory.notes(worker)
