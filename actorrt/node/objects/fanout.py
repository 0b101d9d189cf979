"""Pure: who reads one object from whom, when many nodes want it.

Its origin serves few at a time; the others read from those who are before them, while these are still reading: a tree.
Its origin decides, because everybody asks there first. A node that has read everything stays a source; one that was
lost is nobody's source any more, and its readers come back for another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actorrt.ids import PeerId

WIDTH: Final = 2
"""Readers that each node serves at a time."""


@dataclass(slots=True)
class _TreeNode:
    source: PeerId | None
    """Whom it reads from; None for the origin, and for who has read everything."""
    readers: set[PeerId] = field(default_factory=set)


class Fanout:
    """The tree of one object.

    Args:
        origin: who has it.
    """

    def __init__(self, origin: PeerId) -> None:
        self._origin = origin
        # In the order in which nodes joined, which is that of their progress.
        self._nodes: dict[PeerId, _TreeNode] = {origin: _TreeNode(None)}

    def __len__(self) -> int:
        return len(self._nodes) - 1

    @property
    def is_idle(self) -> bool:
        """Whether nobody is reading."""
        return all(node.source is None for node in self._nodes.values())

    def join(self, reader: PeerId) -> PeerId:
        """Return whom a node is to read from; it reads from nobody else from now on."""
        self._leave_source(reader)
        below = self._below(reader)
        source = next(peer for peer, node in self._nodes.items() if len(node.readers) < WIDTH and peer not in below)
        self._nodes.setdefault(reader, _TreeNode(None)).source = source
        self._nodes[source].readers.add(reader)
        return source

    def _below(self, reader: PeerId) -> set[PeerId]:
        """Return a node and all that read from it, directly or not: they can't be its source."""
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
        """A node has read everything: it makes room at its source, and is a source itself."""
        self._leave_source(reader)

    def lost(self, peer: PeerId) -> None:
        """A node is gone, or has the object no longer. Its readers are to join again. The origin is never lost."""
        if peer != self._origin:
            self._leave_source(peer)
            self._nodes.pop(peer, None)
