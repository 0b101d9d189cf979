"""Pure: the nodes on which actors of this one can run, as far as this node knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.policy.node_placement import OnNode
from actorrt.errors import PlacementError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, short
from actorrt.protocol.cluster.members import Member


class Nodes:
    """The nodes of the cluster; none but this one, until the node has entered a cluster.

    Attributes:
        own: this node; None if it is in no cluster.
        members: returns the members that have not ended, this node too.
    """

    def __init__(self) -> None:
        self.own: NodeId | None = None
        self.members: Callable[[], Sequence[Member]] = tuple

    def host_of(self, record: ActorRecord) -> PeerAddress | None:
        """Return the daemon of the node where an actor is to run; None for this node.

        Raises:
            PlacementError: no node fits.
        """
        placement = record.options.placement
        if not isinstance(placement, OnNode):
            return None
        fitting = [member for member in self.members() if member.node.hex().startswith(placement.node)]
        if len(fitting) != 1:
            nodes = ", ".join(sorted(short(member.node) for member in self.members())) or "this one alone"
            what = "names several nodes" if fitting else "names no node of the cluster"
            raise PlacementError(
                f"{record.label} did not start: placement=art.node({placement.node!r}) {what}; the nodes are {nodes}"
            )
        return None if fitting[0].node == self.own else daemon_of(fitting[0])

    def cpu_count(self, host: PeerAddress) -> int:
        """Return how many CPUs another node has, and at least 1."""
        found = next((member for member in self.members() if member.incarnation == host.peer), None)
        return 1 if found is None else max(1, int(found.resources.get("cpus", 1)))


def daemon_of(member: Member) -> PeerAddress:
    """Return the endpoint of a member's daemon."""
    return PeerAddress(member.incarnation, str(NodeAddress(member.node, member.incarnation)))
