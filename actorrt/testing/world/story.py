"""Who waits for what in a world: the text of `Stuck`, and of a run that took too long."""

from __future__ import annotations

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.testing.virtual.waits import waiting_tasks
from actorrt.testing.world.hosts import Hosts, state_of


def who_waits(hosts: Hosts) -> str:
    """Return what is wrong with the hosts, and what user code, actors and calls wait for, a line each."""
    lines = state_of(hosts)
    for process in hosts.loop.processes:
        if process.is_alive:
            if process.is_frozen:
                lines.append(f"{process.name}: it is frozen")
            lines += waiting_tasks(process)
            endpoint = hosts.endpoint(process)
            if endpoint is not None:
                lines += (f"{process.name}: {line}" for line in _waits_of(endpoint))
    return "\n  ".join(lines) or "nothing waits"


def _waits_of(endpoint: ActorEndpoint) -> list[str]:
    lines = []
    for cell in endpoint.population.cells():
        in_hand = [] if cell.execution is None else [message.method for message in cell.execution.running]
        queued = 0 if cell.mailbox is None else len(cell.mailbox)
        if in_hand or queued:
            lines.append(f"{cell.label} handles {', '.join(in_hand) or 'nothing'}, and {queued} messages wait")
    for call in endpoint.pending.up_to(endpoint.pending.newest_id):
        by = "code of no actor" if call.parent is None else f"{call.parent.cell.label}.{call.parent.method}()"
        where = "not sent" if call.peer is None else "sent"
        lines.append(f"{by} waits for {call.label}.{call.method}(), which is {where}")
    return lines
