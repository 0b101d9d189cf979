"""Pure: a node's lease: until when it may be sure that nobody has started its actors elsewhere.

A lease counts from the sending of the question that vouches for it, so that an answer that was long on its way, or a
process that slept meanwhile, never makes it longer. Three things vouch:

* the node's own read of the control store, in which it lives;
* an acknowledgement of a probe by a node that has read, so and so long ago, that it lives;
* without the store: acknowledgements by more than half of the members, itself counted, that they have no newer read
  either. To write a node dead takes promises by at least half of the members, and a node that has promised answers
  otherwise. Two such parts of one view always share a node.
"""

from __future__ import annotations

from collections.abc import Sequence

from actorrt.cluster.membership.constants import FENCE_S, READ_S, STORE_AWAY_S
from actorrt.cluster.membership.view import is_more_than_half
from actorrt.ids import NodeId
from actorrt.protocol.cluster.members import Acknowledged


class Lease:
    """The lease of one node.

    Attributes:
        until: when it ends, by the clock that is handed in.
        newest_read: when the newest read of the control store was sent that this node knows of, in which nothing was
            newer than this node's view.
    """

    def __init__(self) -> None:
        self.until = float("-inf")
        self.newest_read = float("-inf")
        self._round: _Round | None = None

    def read(self, sent: float) -> None:
        """The node has read that it lives; the question was sent then."""
        self.newest_read = max(self.newest_read, sent)
        self._extend(sent)

    def acknowledged(self, by: NodeId, sent: float, answer: Acknowledged, counted: Sequence[NodeId], view: int) -> None:
        """A probe that was sent then has been acknowledged.

        Args:
            by: the answerer.
            counted, view: the members that count in this node's view, and its version.
        """
        if answer.is_prober_condemned:
            self.end(sent)
            return
        if answer.is_prober_alive:
            self._extend(sent - answer.age_s)
            if answer.view <= view:  # a later view may have ended members that live in this node's
                self.newest_read = max(self.newest_read, sent - answer.age_s)
        if self._round is not None and self._round.acknowledged(by, sent, answer, counted, view):
            self._extend(self._round.began)

    def end(self, sent: float) -> None:
        """Somebody calls this node dead, in answer to a question that was sent then: no older question vouches."""
        self.until = min(self.until, sent)
        self._round = None

    def asks_all(self, me: NodeId, now: float) -> bool:
        """Return whether it is time to probe all members, since no recent read of the store is known of."""
        if now - self.newest_read < STORE_AWAY_S:
            self._round = None
            return False
        if self._round is not None and now - self._round.began < READ_S:
            return False
        self._round = _Round(me, now)
        return True

    def without_others(self, me: NodeId, counted: Sequence[NodeId], now: float) -> None:
        """Renew the lease of a node that is more than half by itself."""
        if is_more_than_half(counted, [me]):
            self._extend(now)

    def _extend(self, sent: float) -> None:
        self.until = max(self.until, sent + FENCE_S)


class _Round:
    """One probe of all members, while nobody knows of a recent read of the store.

    Attributes:
        began: when its probes were sent.
    """

    def __init__(self, me: NodeId, began: float) -> None:
        self.began = began
        self._without_store = {me}
        self._condemned: set[NodeId] = set()
        self._counted: tuple[int, Sequence[NodeId]] = (-1, ())

    def acknowledged(self, by: NodeId, sent: float, answer: Acknowledged, counted: Sequence[NodeId], view: int) -> bool:
        """Take an answer; return whether more than half of the newest view that is known of is without the store."""
        if sent < self.began:
            return False
        if answer.view >= view and answer.counted:
            counted, view = answer.counted, answer.view
        if view > self._counted[0]:
            self._counted = (view, counted)
        self._condemned.update(answer.condemned)
        if answer.age_s >= STORE_AWAY_S:
            self._without_store.add(by)
        return is_more_than_half(self._counted[1], self._without_store - self._condemned)
