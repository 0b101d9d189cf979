"""Pure: the nodes of which nobody can say whether they live, as the daemon of this node has told.

Calls to their actors fail at once. Nothing else is concluded: monitors and supervisors hear nothing, and when such a
node is heard again its actors are called as before.
"""

from __future__ import annotations

from actorrt.errors import ActorUnavailableError
from actorrt.ids import NODE_SCHEME, NodeAddress, NodeId, PeerAddress


class UndecidedNodes:
    """The undecided nodes, each with the error of calls that never leave."""

    def __init__(self) -> None:
        self._errors: dict[NodeId, ActorUnavailableError] = {}

    def begin(self, node: NodeId, why: str) -> ActorUnavailableError | None:
        """Take a node; return the error of calls to its actors, or None if the node was taken before."""
        if node in self._errors:
            return None
        text = (
            f"{why}, so it is undecided whether it lives; calls to its actors fail until it is heard again or is dead"
        )
        error = self._errors[node] = ActorUnavailableError(text, executed="no")
        return error

    def end(self, node: NodeId) -> ActorUnavailableError | None:
        """Forget a node; return what `begin` returned, or None if the node was not taken."""
        return self._errors.pop(node, None)

    def error_at(self, place: PeerAddress) -> ActorUnavailableError | None:
        """Return the error of calls to an endpoint; None if its node is none of these."""
        return self._errors.get(node_of(place)) if self._errors else None


def node_of(place: PeerAddress | None) -> NodeId:
    """Return the node of an endpoint; empty if its address names none, as on a node without a cluster."""
    if place is None or not place.address.startswith(NODE_SCHEME):
        return NodeId(b"")
    return NodeAddress.parse(place.address).node
