"""What an entry node does for a node that joins: it writes the row of the new member, and tells it who is there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgpack

from actorrt.cluster.control.store import ControlStore
from actorrt.cluster.joining.entrance import Joiner
from actorrt.cluster.membership.cluster_member import members_of, packed
from actorrt.cluster.security.card import Role
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.ids import IdSource, NodeId
from actorrt.node.clustering.driver_entry import DriverEntry
from actorrt.node.clustering.member_directory import key_of
from actorrt.protocol.cluster.control import MEMBERS, Change, Write
from actorrt.protocol.cluster.members import Member, MemberStatus
from actorrt.protocol.verb import Record


class Introduction(Record):
    """What a node is told when it joins.

    Attributes:
        store_node: the node that has the control store; None if it is in a database.
        database: the URL of that database, in which a password may be.
        members: the members, the new one too.
    """

    store_node: NodeId | None
    database: str | None
    members: list[Member]

    def packed(self) -> bytes:
        """Return it as bytes."""
        data: bytes = msgpack.packb(self.pack())
        return data

    @classmethod
    def from_packed(cls, data: bytes) -> Introduction:
        """Return the introduction in bytes that `packed` returned.

        Raises:
            ValueError: the bytes are none.
        """
        try:
            return cls.unpack(msgpack.unpackb(data, strict_map_key=False))
        except (msgpack.UnpackException, TypeError) as error:
            raise ValueError("not the introduction of a node") from error


class Enrolment:
    """Enrols nodes that join by this one.

    Args:
        own: this node.
        store: the control store.
        drivers: enrols the nodes of drivers.
        store_node: the node that has it, if one has.
        database: the URL of the database that has it, if one has.
        ids: the source of nonces.
    """

    def __init__(
        self,
        own: NodeId,
        store: ControlStore,
        drivers: DriverEntry,
        store_node: NodeId | None,
        database: str | None,
        ids: IdSource,
    ) -> None:
        self._own = own
        self._drivers = drivers
        self._store = store
        self._introduce = partial(Introduction, store_node=store_node, database=database)
        self._ids = ids

    async def enrol(self, joiner: Joiner) -> bytes:
        """Write the row of a node that joins; return its introduction.

        The node of a driver gets a row of its own kind, and asks the control store through this node.

        From then on its connections are accepted. It counts as a member when it has made itself alive.

        Raises:
            RefusedError: what it says of itself does not fit its card.
            ControlUnavailableError: the control store does not answer.
        """
        member = self._member_of(joiner)
        if joiner.role is Role.DRIVER:
            await self._drivers.enrol(member.replaced(status=MemberStatus.ALIVE))
            known = members_of((await self._store.since(0, [MEMBERS])).rows)
            return Introduction(store_node=self._own, database=None, members=known).packed()
        while True:
            news = await self._store.since(0, [MEMBERS])
            others = [other for other in members_of(news.rows) if other.node != member.node]
            change = Change(MEMBERS, member.node, packed(member))
            if (await self._store.write(Write([change], self._ids.peer(), news.view))).is_committed:
                return self._introduce(members=[*others, member]).packed()

    def _member_of(self, joiner: Joiner) -> Member:
        try:
            member = Member.unpack(msgpack.unpackb(joiner.about, strict_map_key=False))
            fits = (member.node, key_of(member)) == (joiner.node, joiner.key)
        except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
            raise RefusedError(
                Reason.MALFORMED, f"what the joining node says of itself can't be read: {error}"
            ) from error
        if not fits:
            raise RefusedError(Reason.MALFORMED, "the joining node names another node or key than its card")
        return member.replaced(status=MemberStatus.JOINING, suspicions=[], ended_s=None)


def tls_addresses(members: Sequence[Member]) -> list[str]:
    """Return the addresses at which nodes can join by these members, each `host:port`."""
    return [a.removeprefix("tls://") for member in members for a in member.addresses if a.startswith("tls://")]
