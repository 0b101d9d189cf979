"""Pure: the promises of one node, to acknowledge others only as dead."""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.cluster.membership.constants import FRESH_S, PROMISE_S
from actorrt.cluster.membership.view import View
from actorrt.ids import NodeId
from actorrt.protocol.cluster.members import Promise


class Promises:
    """The promises that one node has given.

    Args:
        me: the node, which never calls itself dead.
    """

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._given: dict[NodeId, tuple[int, float]] = {}  # the view, and when it was given

    @property
    def condemned(self) -> list[NodeId]:
        """The nodes that are acknowledged only as dead."""
        return list(self._given)

    def ask(self, nodes: Sequence[NodeId], view: int, own: View, read: float, now: float) -> Promise | None:
        """Give a promise, or refuse it; see `PromiseDeath`.

        Args:
            view: the version of the members that the asker knows.
            own, read: the view of this node, and when its newest own read of the store was sent.

        Returns:
            None if the store has to be read first.
        """
        if now - read >= FRESH_S:
            return None
        if own.version != view or self._me in nodes:
            return Promise(is_given=False, view=own.version)
        for node in nodes:
            if own.belongs(node):
                self._given[node] = (view, now)
        return Promise(is_given=True, view=own.version)

    def viewed(self, view: View) -> None:
        """The node has read the members again. A promise lapses in a later view in which its node lives, or is gone."""
        self._given = {
            node: given for node, given in self._given.items() if given[0] == view.version and view.belongs(node)
        }

    def have_aged(self, now: float) -> bool:
        """Return whether a promise is so old that its holder writes a view in which it lapses."""
        return any(now - when >= PROMISE_S for _, when in self._given.values())
