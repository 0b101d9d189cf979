"""The members of the cluster, for those parts of the daemon that look for a node or the owner of a key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from actorrt.cluster.membership.view import BELONGS
from actorrt.cluster.peers.members import Member as PlacedMember
from actorrt.completion import Completion
from actorrt.errors import ActorRtError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, PeerId
from actorrt.protocol.cluster.members import Member
from actorrt.scopes import Scope
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.zeromq.security import split_address

T = TypeVar("T")


class MemberDirectory:
    """The members that a node knows of: those that it was told when it joined, and then those of its view.

    Others may speak to a node that joins before it has been told who they are: what is looked up before waits for that.

    Attributes:
        drivers: returns the nodes of drivers, which are no members, and are found as members are.
    """

    def __init__(self) -> None:
        self._known: Callable[[], Sequence[Member]] = tuple
        self._reader: tuple[Callable[[], Coroutine[Any, Any, None]], Scope] | None = None
        self._is_told = False
        self._waiting: list[Callable[[], None]] = []
        self.drivers: Callable[[], Sequence[Member]] = tuple

    def tell(self, members: Sequence[Member]) -> None:
        """Take the members that the entry node has told."""
        self._known = lambda: members
        self._look_for_all()

    def follow(
        self, known: Callable[[], Sequence[Member]], read: Callable[[], Coroutine[Any, Any, None]], scope: Scope
    ) -> None:
        """Take the members from a view from now on.

        Args:
            known: returns the members of the view, ended ones too.
            read: reads the view now; it raises ControlUnavailableError if the control store does not answer.
            scope: owns further reads.
        """
        self._known, self._reader = known, (read, scope)
        self._look_for_all()

    def _look_for_all(self) -> None:
        self._is_told = True
        waiting, self._waiting = self._waiting, []
        for look in waiting:
            look()

    def members(self) -> list[Member]:
        """Return the members that have not ended."""
        return [member for member in self._known() if member.status in BELONGS]

    def everyone(self) -> list[Member]:
        """Return the members that have not ended, and the nodes of drivers."""
        return [*self.members(), *self.drivers()]

    def incarnation(self, peer: PeerId) -> Member | None:
        """Return the member or driver's node with this incarnation, if it is known and has not ended."""
        return next((member for member in self.everyone() if member.incarnation == peer), None)

    async def read(self) -> None:
        """Read the members now.

        Raises:
            ControlUnavailableError: the control store does not answer.
        """
        if self._reader is not None:
            await self._reader[0]()

    def find(self, node: NodeId) -> Completion[PlacedMember | None]:
        """Return where the daemon of a node is reached, to come; see `Members`."""
        return self._looked_up(lambda member: member.node == node, placed)

    def owner_of(self, key: bytes) -> Completion[NodeId | None]:
        """Return the node that has a CURVE key, to come; see `Members`."""
        return self._looked_up(lambda member: key_of(member) == key, lambda member: member.node)

    def _looked_up(self, fits: Callable[[Member], bool], made: Callable[[Member], T]) -> Completion[T | None]:
        """Look among the members; read the control store once if none of them fits."""
        found: Completion[T | None] = Completion()
        if self._is_told:
            self._look(fits, made, found)
        else:
            self._waiting.append(lambda: self._look(fits, made, found))
        return found

    def _look(self, fits: Callable[[Member], bool], made: Callable[[Member], T], found: Completion[T | None]) -> None:
        known = next(filter(fits, self.everyone()), None)
        if known is not None or self._reader is None or self._reader[1].is_closed:
            found.set_value(None if known is None else made(known))
        else:
            read, scope = self._reader
            scope.start(self._look_again(read, fits, made, found), "find a member")

    async def _look_again(
        self,
        read: Callable[[], Coroutine[Any, Any, None]],
        fits: Callable[[Member], bool],
        made: Callable[[Member], T],
        found: Completion[T | None],
    ) -> None:
        try:
            await read()
        except ActorRtError as error:
            found.set_error(error)
            return
        known = next(filter(fits, self.everyone()), None)
        found.set_value(None if known is None else made(known))


def placed(member: Member) -> PlacedMember:
    """Return where the daemon of a member is reached."""
    daemon = PeerAddress(member.incarnation, str(NodeAddress(member.node, member.incarnation)))
    return PlacedMember(daemon, member.addresses[0])


def key_of(member: Member) -> bytes | None:
    """Return the CURVE key of a member."""
    return split_address(member.addresses[0])[1]


def accept_keys(transport: CompositeTransport, members: Sequence[Member]) -> None:
    """Accept connections under the keys of members."""
    for member in members:
        key = key_of(member)
        if key is not None:
            transport.keys.accept(key, member.node)
