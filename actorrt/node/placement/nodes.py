"""Pure: the nodes on which actors of this one can run, as far as this node knows them.

What is free on another node is known from what the node last told, less what this one has asked of it since. Both may
be old, which costs a refusal and never more, since each node grants its own resources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId, NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.node_choice import CPUS, NodeView
from actorrt.node.placement.resources import GPUS, Resources
from actorrt.protocol.cluster.members import Member


class Nodes:
    """The nodes of the cluster; none but this one, until the node has entered a cluster.

    Args:
        resources: of this node.
        workers: returns the workers that have not ended, those on other nodes too.

    Attributes:
        own: this node; None if it is in no cluster.
        entry: the node through which this one has joined; None if it has begun the cluster.
        members: returns the members that have not ended, this node too.
        drivers: returns the nodes of drivers, which run no actors, and are told what is free.
    """

    def __init__(self, resources: Resources, workers: Callable[[], Iterable[Worker]]) -> None:
        self.own: NodeId | None = None
        self.entry: NodeId | None = None
        self.members: Callable[[], Sequence[Member]] = tuple
        self.drivers: Callable[[], Sequence[Member]] = tuple
        self._resources = resources
        self._workers = workers
        self._free: dict[PeerId, Mapping[str, float]] = {}

    def told(self, daemon: PeerId, free: Mapping[str, float]) -> None:
        """Take what another node says of its free resources."""
        self._free[daemon] = free

    def ended(self, daemon: PeerId) -> None:
        """Forget a node that has ended."""
        self._free.pop(daemon, None)

    def views(self, record: ActorRecord, refused: Collection[PeerAddress] = ()) -> list[NodeView]:
        """Return what is known of all nodes, this one first, for the choice of one for an actor.

        Args:
            record: the actor. Others of its job are counted, and what it has reserved here counts as free.
            refused: the nodes that had no room for it just now.
        """
        counts: Counter[PeerAddress | None] = Counter()
        pending: dict[PeerAddress, Counter[str]] = {}
        for worker in self._workers():
            if worker.job.job_id == record.job:
                counts[worker.host] += len(worker.actors)
            if worker.host is not None and worker.reserved and not worker.ready.done():
                pending.setdefault(worker.host, Counter()).update(worker.reserved)
        members = self.members()
        own = next((member for member in members if member.node == self.own), None)
        views = [self._own_view(own, counts[None], record.actor_id)]
        for member in members:
            if member.node != self.own:
                daemon = daemon_of(member)
                view = self._view_of(member, daemon, counts[daemon], pending.get(daemon, {}))
                views.append(view._replace(free={}) if daemon in refused else view)
        return views

    def _own_view(self, member: Member | None, actors_count: int, actor: ActorId) -> NodeView:
        total, reserved = self._resources.total, self._resources.reserved_by(actor)
        free = {
            name: amount - self._resources.reserved(name) + reserved.get(name, 0.0) for name, amount in total.items()
        }
        if not self._resources.may_exceed and not self._resources.devices.fits(1.0, actor):
            free[GPUS] = min(free[GPUS], self._resources.devices.largest_part(actor))
        return NodeView(
            daemon=None,
            node=self.own,
            labels={} if member is None else member.labels,
            total=total,
            free=free,
            actors_count=actors_count,
            may_exceed=self._resources.may_exceed,
        )

    def _view_of(
        self, member: Member, daemon: PeerAddress, actors_count: int, pending: Mapping[str, float]
    ) -> NodeView:
        free = self._free.get(member.incarnation, member.resources)
        return NodeView(
            daemon=daemon,
            node=member.node,
            labels=member.labels,
            total=member.resources,
            free={name: amount - pending.get(name, 0.0) for name, amount in free.items()},
            actors_count=actors_count,
            is_entry=member.node == self.entry,
        )

    def cpu_count(self, host: PeerAddress) -> int:
        """Return how many CPUs another node has, and at least 1."""
        found = next((member for member in self.members() if member.incarnation == host.peer), None)
        return 1 if found is None else max(1, int(found.resources.get(CPUS, 1)))


def daemon_of(member: Member) -> PeerAddress:
    """Return the endpoint of a member's daemon."""
    return PeerAddress(member.incarnation, str(NodeAddress(member.node, member.incarnation)))
