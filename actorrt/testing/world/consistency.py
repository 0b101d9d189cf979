"""What must be true of a world between any two callbacks, and when it has ended."""

from __future__ import annotations

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.consistency import check_endpoint
from actorrt.ids import ActorId
from actorrt.node.placement.jobs import WorkerKind
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.world.findings import BrokenPromiseError
from actorrt.testing.world.hosts import Hosts


def check_process(hosts: Hosts, process: SimulatedProcess) -> None:
    """Check the tables of a process that has just run: those of the node and its store, or those of an endpoint.

    Raises:
        BrokenInvariantError: a table contradicts itself or another one.
        BrokenPromiseError: a process has outlived its actor.
    """
    endpoint, node = hosts.endpoint(process), hosts.nodes[process.host]
    if process is node.process and node.up.done() and process.is_alive:
        node.core.check_invariants()
        _check_workers(node)
    elif endpoint is not None and not endpoint.is_closed:
        check_endpoint(endpoint)


def _check_workers(node: SimulatedNode) -> None:
    for worker in node.core.workers.all():
        if worker.kind is WorkerKind.OWN and worker.is_usable and not worker.actors and not worker.burials_count:
            raise BrokenPromiseError(f"the process of {worker.label} has no actor, and is not told to leave")


def check_incarnations(hosts: Hosts) -> None:
    """Check that no actor runs in two processes.

    Raises:
        BrokenPromiseError: one does.
    """
    running: dict[ActorId, str] = {}
    for process, endpoint in hosts.endpoints():
        for cell in endpoint.population.by_id.values():
            if cell.state is CellState.RUNNING:
                other = running.setdefault(cell.actor_id, process.name)
                if other != process.name:
                    raise BrokenPromiseError(f"{cell.label} runs in {other} and in {process.name}")


def what_is_left(node: SimulatedNode) -> list[str]:
    """Return what is left of a node that has ended, in words."""
    host = node.host
    host.store.sweep()
    left = [f"the process {process.name}" for process in host.processes.values()]
    left += [f"a reservation of {actor_id.hex()}" for actor_id in node.core.resources.reserving()]
    stats = host.store.stats()
    of = f" of {host.name}" if host.name else ""
    left += [f"{name}={stats[name]} of the object store{of}" for name in ("objects_count", "used_bytes") if stats[name]]
    return left
