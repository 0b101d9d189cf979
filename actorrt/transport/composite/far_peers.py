"""Pure: the peers of other nodes that a process has links with, by node, and the nodes whose peers have changed.

Levels and not events are told: all peers on a node that has changed. So a telling that is repeated or left out does no
harm once a later one has arrived.
"""

from __future__ import annotations

from actorrt.ids import NodeId, PeerId


class FarPeers:
    """The linked peers of other nodes."""

    def __init__(self) -> None:
        self._nodes: dict[PeerId, NodeId] = {}
        self._by_node: dict[NodeId, dict[PeerId, None]] = {}  # dicts, so that a simulation repeats their order
        self._changed: dict[NodeId, None] = {}

    def node_of(self, peer: PeerId) -> NodeId | None:
        """Return the node of a linked peer."""
        return self._nodes.get(peer)

    def on(self, node: NodeId) -> list[PeerId]:
        """Return the linked peers on a node."""
        return list(self._by_node.get(node, ()))

    def linked(self, peer: PeerId, node: NodeId) -> bool:
        """Note that there is a link, in either direction; return whether a telling is due now, and was not before."""
        if peer in self._nodes:
            return False
        self._nodes[peer] = node
        self._by_node.setdefault(node, {})[peer] = None
        return self._note_change(node)

    def unlinked(self, peer: PeerId) -> bool:
        """Note that there is no link any more; return as `linked`."""
        node = self._nodes.pop(peer, None)
        if node is None:
            return False
        peers = self._by_node[node]
        del peers[peer]
        if not peers:
            del self._by_node[node]
        return self._note_change(node)

    def _note_change(self, node: NodeId) -> bool:
        was_due = bool(self._changed)
        self._changed[node] = None
        return not was_due

    def take_changes(self) -> dict[NodeId, list[PeerId]]:
        """Return the linked peers on each node where they have changed since the last call."""
        changed, self._changed = self._changed, {}
        return {node: self.on(node) for node in changed}

    def check_invariants(self) -> None:
        """Raise AssertionError if the two views of the peers contradict each other."""
        assert self._nodes == {peer: node for node, peers in self._by_node.items() for peer in peers}
        assert all(self._by_node.values()), "a node without linked peers is listed"
