"""The members of a cluster that has one node."""

from __future__ import annotations

from actorrt.cluster.peers.members import Member
from actorrt.completion import Completion
from actorrt.ids import NodeId


class SingleNode:
    """The view of a node that no other node has joined. The node itself is found without a view."""

    def find(self, node: NodeId) -> Completion[Member | None]:
        """Return None, since no other node is alive; see `Members.find`."""
        found = Completion[Member | None]()
        found.set_value(None)
        return found

    def owner_of(self, key: bytes) -> Completion[NodeId | None]:
        """Return None; see `Members.owner_of`. The node's own key is known to its processes."""
        found = Completion[NodeId | None]()
        found.set_value(None)
        return found
