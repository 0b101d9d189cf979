"""Pure: the members of a cluster as one node has last read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actorrt.cluster.membership.constants import VOTE_S
from actorrt.ids import NodeId, PeerId
from actorrt.protocol.cluster.members import Member, MemberStatus

BELONGS = (MemberStatus.JOINING, MemberStatus.ALIVE)


class View:
    """The newest rows of the members that a node has read.

    Attributes:
        version: the version of the newest write to the members that is in the view.
        members: the newest incarnation of each node, dead ones too.
        counted: the members that count in halves, in order.
    """

    def __init__(self) -> None:
        self.version = 0
        self.members: dict[NodeId, Member] = {}
        self.counted: tuple[NodeId, ...] = ()
        self._lag_s = 0.0

    def update(
        self, version: int, changed: Iterable[Member], gone: Iterable[NodeId], *, is_whole: bool, lag_s: float
    ) -> list[Member]:
        """Take over rows that were read.

        Args:
            version: of the view that was read. An older one changes nothing.
            changed, gone: the rows that are new, and the nodes whose rows have been deleted.
            is_whole: whether `changed` is all rows.
            lag_s: the wall clock of the control store, less the clock of this node.

        Returns:
            The members that have ended: those that belonged to the cluster before, and do no more.
        """
        self._lag_s = lag_s
        if version < self.version:
            return []
        before = self.members
        self.members = {} if is_whole else dict(before)
        self.members.update((member.node, member) for member in changed)
        for node in gone:
            self.members.pop(node, None)
        self.version = version
        self.counted = tuple(sorted(node for node, m in self.members.items() if m.status is MemberStatus.ALIVE))
        return [member for node, member in before.items() if self._has_ended(node, member)]

    def _has_ended(self, node: NodeId, before: Member) -> bool:
        now = self.members.get(node)
        if before.status not in BELONGS:
            return False
        return now is None or now.status not in BELONGS or now.incarnation != before.incarnation

    def belongs(self, node: NodeId, incarnation: PeerId | None = None) -> bool:
        """Return whether a node is a member that is not dead; with an incarnation, whether that one is."""
        member = self.members.get(node)
        return member is not None and member.status in BELONGS and incarnation in (None, member.incarnation)

    def others(self, node: NodeId) -> list[NodeId]:
        """Return the other members that are not dead, those that come after the node in the order of ids first."""
        ids = sorted(other for other, member in self.members.items() if member.status in BELONGS and other != node)
        after = [other for other in ids if other > node]
        return after + ids[: len(ids) - len(after)]

    def votes(self, node: NodeId, now: float) -> list[NodeId]:
        """Return who has voted, and renewed it in time, that a member is dead. Votes of dead nodes are void."""
        member = self.members.get(node)
        if member is None or member.status not in BELONGS:
            return []
        wall = self.wall_s(now)
        return [s.prober for s in member.suspicions if wall - s.renewed_s < VOTE_S and self.belongs(s.prober)]

    def needed_votes(self, node: NodeId) -> int:
        """Return how many votes end a member: two, or one if only one other member lives."""
        return min(2, sum(1 for other in self.counted if other != node))

    def suspects_since_s(self, prober: NodeId, node: NodeId) -> float | None:
        """Return since when one node has voted that another is dead, by the store's clock; None if it has not."""
        member = self.members.get(node)
        found = () if member is None else (s.since_s for s in member.suspicions if s.prober == prober)
        return next(iter(found), None)

    def wall_s(self, now: float) -> float:
        """Return the time by the wall clock of the control store."""
        return now + self._lag_s

    def check_invariants(self) -> None:
        """Raise AssertionError if the view contradicts itself."""
        for node, member in self.members.items():
            assert node == member.node, f"{member} stands under another node"
            voters = [suspicion.prober for suspicion in member.suspicions]
            assert len(set(voters)) == len(voters), f"{member} has two votes of one node"
            assert node not in voters, f"{member} has voted against itself"


def is_half(of: Sequence[NodeId], those: Iterable[NodeId]) -> bool:
    """Return whether these are at least half of the members that count."""
    return 2 * len(set(of).intersection(those)) >= len(of)


def is_more_than_half(of: Sequence[NodeId], those: Iterable[NodeId]) -> bool:
    """Return whether these are more than half of the members that count."""
    return 2 * len(set(of).intersection(those)) > len(of)
