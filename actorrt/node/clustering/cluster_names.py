"""The names that the nodes of a cluster share: rows of the control store that say which node's actor has each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgpack

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.policy.options import IfExists
from actorrt.actors.wire.control import Control
from actorrt.cluster.control.store import ControlStore
from actorrt.errors import ActorDiedError, ActorRtError, NameNotFoundError, NameTakenError, RuntimeStateError
from actorrt.ids import ActorId, ActorIds, IdSource, NodeId, PeerAddress, PeerId, short
from actorrt.node.clustering.member_directory import MemberDirectory, placed
from actorrt.protocol.authorities import ActorCard, Stop
from actorrt.protocol.cluster.control import MISSING, Change, Row, Write
from actorrt.protocol.cluster.names import HasName
from actorrt.protocol.nodes import LookUp
from actorrt.protocol.verb import Record
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

NAMES: Final = "names"
START_TIMEOUT_S: Final = 10.0
"""How long a spawn that gets the actor of another node waits for the start of that actor."""
AGAIN_S: Final = 0.5
"""How long a name waits until it is given back again, while the control store does not answer."""


class NameRow(Record):
    """Who has a name.

    Attributes:
        namespace, name: the name.
        actor: the actor.
        node, incarnation: its home. When that incarnation of the node has ended, the name is free.
    """

    namespace: str
    name: str
    actor: ActorId
    node: NodeId
    incarnation: PeerId

    def packed(self) -> bytes:
        """Return the row as bytes."""
        data: bytes = msgpack.packb(self.pack())
        return data


class ClusterNames:
    """The names of one node's actors in the control store; see `SharedNames`.

    Args:
        store: the control store.
        members: the nodes.
        node, incarnation: this node.
        control: asks other nodes.
        scope: owns the work that gives names back.
        ids: the source of nonces.
    """

    def __init__(
        self,
        store: ControlStore,
        members: MemberDirectory,
        node: NodeId,
        incarnation: PeerId,
        control: Control,
        scope: Scope,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._members = members
        self._node = node
        self._incarnation = incarnation
        self._control = control
        self._scope = scope
        self._ids = ids
        self._claimed: dict[ActorId, NameRow] = {}
        control.handle(HasName.by(lambda _, asked: self._has_name(asked)))

    async def claim(self, record: ActorRecord) -> ActorCard | None:
        """Write the row of a name, if nobody else has it; see `SharedNames`."""
        name = record.options.name
        assert name is not None, "only names are claimed"
        row = NameRow(
            namespace=record.order.namespace,
            name=name,
            actor=record.actor_id,
            node=self._node,
            incarnation=self._incarnation,
        )
        self._claimed[record.actor_id] = row  # from here on it is given back, also if the store is lost meanwhile
        expected = MISSING
        while not record.order.is_withdrawn:
            change = Change(NAMES, _key(row.namespace, name), row.packed(), expected)
            outcome = await self._store.write(Write([change], self._ids.peer()))
            if outcome.is_committed:
                return None
            expected = MISSING
            for found in outcome.rows:
                card = await self._decided(found, record)
                if card is not None:
                    return card
                expected = found.version
        return None

    async def _decided(self, found: Row, record: ActorRecord) -> ActorCard | None:
        """Decide about the holder of a taken name: return its card to use it, or None to take its place."""
        holder = _read(found)
        home = await self._home(holder)
        if home is None or not await self._still_has(home, holder):
            return None  # its node has ended, or it has itself
        if record.options.if_exists is IfExists.FAIL:
            raise NameTakenError(
                f"the name {holder.name!r} is taken by a live actor of node {short(holder.node)}; stop it first, or "
                "spawn with if_exists='get' or 'replace'"
            )
        if record.options.if_exists is IfExists.REPLACE:
            await self._control.request(home, Stop(actors=ActorIds(holder.actor), reason="replaced", kill=False))
            return None
        card = await self._card_at(home, holder, START_TIMEOUT_S)
        if card is None and await self._store.read(NAMES, found.key) == found:
            raise NameTakenError(f"the actor {holder.name!r} of node {short(holder.node)} is still being started")
        return card

    def release(self, record: ActorRecord) -> None:
        """Delete the row of a name, as soon as the control store answers."""
        row = self._claimed.pop(record.actor_id, None)
        if row is not None and not self._scope.is_closed:
            self._scope.start(self._give_back(row), f"give back {row.name!r}")

    async def _give_back(self, row: NameRow) -> None:
        try:
            found = await self._store.read(NAMES, _key(row.namespace, row.name))
            if found is None or _read(found) != row:
                return
            change = Change(NAMES, found.key, None, found.version)
            if (await self._store.write(Write([change], self._ids.peer()))).is_committed:
                return
        except ActorRtError as error:
            logger.debug("the name %r is not given back yet: %s", row.name, error)
        if not self._scope.is_closed:
            self._scope.after(AGAIN_S, lambda: self._again(row))

    def _again(self, row: NameRow) -> None:
        self._scope.start(self._give_back(row), f"give back {row.name!r}")

    async def forget_ended(self, rows: Sequence[Row]) -> None:
        """Delete those of these rows whose node has ended: for the node that has the control store."""
        for row in rows:
            if await self._home(_read(row)) is None:
                await self._store.write(Write([Change(NAMES, row.key, None, row.version)], self._ids.peer()))

    async def find(self, namespace: str, name: str) -> ActorCard | None:
        """Ask the home of the actor that has a name for its card; see `SharedNames`."""
        found = await self._store.read(NAMES, _key(namespace, name))
        holder = None if found is None else _read(found)
        home = None if holder is None else await self._home(holder)
        if holder is None or home is None or holder.node == self._node:
            return None
        return await self._card_at(home, holder, 0.0)

    async def _card_at(self, home: PeerAddress, holder: NameRow, timeout_s: float) -> ActorCard | None:
        try:
            asked = LookUp(namespace=holder.namespace, name=holder.name, timeout_s=timeout_s)
            card = await self._control.request(home, asked)
        except (NameNotFoundError, ActorDiedError):
            return None  # the actor has ended, or its node has
        return card.replaced(home=card.home or home)

    async def _still_has(self, home: PeerAddress, holder: NameRow) -> bool:
        asked = HasName(actor=holder.actor, namespace=holder.namespace, name=holder.name)
        try:
            return await self._control.request(home, asked)
        except ActorDiedError:
            return False

    def _has_name(self, asked: HasName) -> bool:
        row = self._claimed.get(asked.actor)
        return row is not None and (row.namespace, row.name) == (asked.namespace, asked.name)

    async def _home(self, holder: NameRow) -> PeerAddress | None:
        """Return the daemon of the node whose actor has a name; None if that incarnation of it has ended.

        A node that is in no view yet is looked for in the control store: it had a row before the name had one.
        """
        known = self._members.incarnation(holder.incarnation)
        if known is None:
            await self._members.read()
            known = self._members.incarnation(holder.incarnation)
        return None if known is None else placed(known).daemon


def _key(namespace: str, name: str) -> bytes:
    key: bytes = msgpack.packb([namespace, name])
    return key


def _read(row: Row) -> NameRow:
    """Return the contents of a row.

    Raises:
        RuntimeStateError: a version of actorrt wrote it that this one does not understand.
    """
    try:
        return NameRow.unpack(msgpack.unpackb(row.value or b""))
    except (ValueError, msgpack.UnpackException) as error:
        raise RuntimeStateError(f"the row of a name is of a version that this one can't read: {error}") from error
