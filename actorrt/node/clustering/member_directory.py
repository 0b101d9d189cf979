"""The members of the cluster, for those parts of the daemon that look for a node or the owner of a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from actorrt.cluster.membership.cluster_member import ClusterMember
from actorrt.cluster.membership.view import BELONGS
from actorrt.cluster.peers.members import Member as PlacedMember
from actorrt.completion import Completion
from actorrt.errors import ActorRtError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.protocol.cluster.members import Member
from actorrt.scopes import Scope
from actorrt.transport.zeromq.security import split_address

T = TypeVar("T")


class MemberDirectory:
    """The members that a node knows of: those that it was told when it joined, and then those of its view."""

    def __init__(self) -> None:
        self._told: Sequence[Member] = ()
        self._own: tuple[ClusterMember, Scope] | None = None

    def tell(self, members: Sequence[Member]) -> None:
        """Take the members that the entry node has told."""
        self._told = members

    def follow(self, own: ClusterMember, scope: Scope) -> None:
        """Take the members from this node's membership from now on; `scope` owns further reads."""
        self._own = own, scope

    def members(self) -> list[Member]:
        """Return the members that have not ended."""
        known = self._told if self._own is None else self._own[0].members
        return [member for member in known if member.status in BELONGS]

    def incarnation(self, peer: PeerId) -> Member | None:
        """Return the member with this incarnation, if it is known and has not ended."""
        return next((member for member in self.members() if member.incarnation == peer), None)

    async def read(self) -> None:
        """Read the members now.

        Raises:
            ControlUnavailableError: the control store does not answer.
        """
        if self._own is not None:
            await self._own[0].read()

    def find(self, node: NodeId) -> Completion[PlacedMember | None]:
        """Return where the daemon of a node is reached, to come; see `Members`."""
        return self._looked_up(lambda member: member.node == node, placed)

    def owner_of(self, key: bytes) -> Completion[NodeId | None]:
        """Return the node that has a CURVE key, to come; see `Members`."""
        return self._looked_up(lambda member: key_of(member) == key, lambda member: member.node)

    def _looked_up(self, fits: Callable[[Member], bool], made: Callable[[Member], T]) -> Completion[T | None]:
        """Look among the members; read the control store once if none of them fits."""
        found: Completion[T | None] = Completion()
        known = next(filter(fits, self.members()), None)
        if known is not None or self._own is None or self._own[1].is_closed:
            found.set_value(None if known is None else made(known))
        else:
            own, scope = self._own
            scope.start(self._look_again(own, fits, made, found), "find a member")
        return found

    async def _look_again(
        self,
        own: ClusterMember,
        fits: Callable[[Member], bool],
        made: Callable[[Member], T],
        found: Completion[T | None],
    ) -> None:
        try:
            await own.read()
        except ActorRtError as error:
            found.set_error(error)
            return
        known = next(filter(fits, self.members()), None)
        found.set_value(None if known is None else made(known))


def placed(member: Member) -> PlacedMember:
    """Return where the daemon of a member is reached."""
    daemon = PeerAddress(member.incarnation, str(NodeAddress(member.node, member.incarnation)))
    return PlacedMember(daemon, member.addresses[0])


def key_of(member: Member) -> bytes | None:
    """Return the CURVE key of a member."""
    return split_address(member.addresses[0])[1]
