"""Pure: decides which node reads an object from which other node, when many nodes want the object.

The nodes form a tree. The origin serves `WIDTH` nodes at a time. Later nodes read from nodes that joined before them,
even while those are still reading. The origin decides, because every node asks the origin first. A node that has read
everything stays a source. A node that was lost is no source any more, and its readers ask for another source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actorrt.ids import PeerId

WIDTH: Final = 2
"""How many readers a node serves at a time."""


@dataclass(slots=True)
class _TreeNode:
    source: PeerId | None
    """The node that it reads from; None for the origin, and for a node that has read everything."""
    readers: set[PeerId] = field(default_factory=set)


class Fanout:
    """The tree of one object.

    Args:
        origin: the node that made the object.
    """

    def __init__(self, origin: PeerId) -> None:
        self._origin = origin
        # In the order in which nodes joined: earlier nodes have read more.
        self._nodes: dict[PeerId, _TreeNode] = {origin: _TreeNode(None)}

    def __len__(self) -> int:
        return len(self._nodes) - 1

    @property
    def is_idle(self) -> bool:
        """Whether no node is reading."""
        return all(node.source is None for node in self._nodes.values())

    def join(self, reader: PeerId) -> PeerId:
        """Give a node a source, which replaces an earlier one; return the source."""
        self._leave_source(reader)
        below = self._below(reader)
        source = next(peer for peer, node in self._nodes.items() if len(node.readers) < WIDTH and peer not in below)
        self._nodes.setdefault(reader, _TreeNode(None)).source = source
        self._nodes[source].readers.add(reader)
        return source

    def _below(self, reader: PeerId) -> set[PeerId]:
        """Return a node and all nodes that read from it, directly or not: none of them can be its source."""
        below, new = {reader}, [reader]
        while new:
            readers = self._nodes[peer].readers if (peer := new.pop()) in self._nodes else set()
            new += readers - below
            below |= readers
        return below

    def _leave_source(self, reader: PeerId) -> None:
        node = self._nodes.get(reader)
        if node is not None and node.source is not None:
            if node.source in self._nodes:
                self._nodes[node.source].readers.discard(reader)
            node.source = None

    def finished(self, reader: PeerId) -> None:
        """Called when a node has read everything. Its source has room again, and the node itself stays a source."""
        self._leave_source(reader)

    def lost(self, peer: PeerId) -> None:
        """Called when a node is gone or no longer has the object. Its readers join again. The origin is never lost."""
        if peer != self._origin:
            self._leave_source(peer)
            self._nodes.pop(peer, None)
