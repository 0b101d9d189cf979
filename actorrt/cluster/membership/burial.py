"""Pure: one attempt to write members dead: promises by half of the members, then one write that compares the view."""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.cluster.membership.constants import FRESH_S
from actorrt.cluster.membership.view import is_half
from actorrt.ids import NodeId
from actorrt.protocol.cluster.members import Promise


class Burial:
    """One attempt of one node.

    Args:
        me: the node, which has given the promise itself.
        condemned: the nodes to write dead.
        view, counted: the version of the members, and those that count.
        began: the time.
    """

    def __init__(
        self, me: NodeId, condemned: Sequence[NodeId], view: int, counted: Sequence[NodeId], began: float
    ) -> None:
        self.condemned = tuple(condemned)
        self.view = view
        self.asked = [node for node in counted if node != me and node not in condemned]
        self._counted = counted
        self._promised = {me}
        self._began = began
        self._is_writing = False

    def promised(self, by: NodeId, promise: Promise) -> None:
        """An answer has arrived."""
        if promise.is_given and promise.view == self.view:
            self._promised.add(by)

    def may_write(self) -> bool:
        """Return, once, whether enough promises are there."""
        if self._is_writing or not is_half(self._counted, self._promised):
            return False
        self._is_writing = True
        return True

    def is_over(self, now: float) -> bool:
        """Return whether the attempt has taken so long that another one is due."""
        return now - self._began >= FRESH_S
