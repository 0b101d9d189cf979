"""What a member does for the nodes of drivers: it enrols them, hears them, and deletes the rows of those that ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgpack

from actorrt.actors.wire.control import Control
from actorrt.background import in_background
from actorrt.cluster.control.store import ControlStore
from actorrt.cluster.joining.dialling import is_open
from actorrt.cluster.membership.driver_watch import DriverWatch
from actorrt.errors import ActorRtError
from actorrt.ids import IdSource, NodeId, PeerId, short
from actorrt.machine.clock import Clock
from actorrt.protocol.cluster.control import Change, Row, Write
from actorrt.protocol.cluster.drivers import DRIVERS, DriverAlive, DriverRow
from actorrt.protocol.cluster.members import Member
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

TICK_S: Final = 1.0


class DriverEntry:
    """The nodes of drivers, as one member of the cluster sees them.

    Args:
        own: this member.
        store: the control store.
        control: answers the nodes of drivers.
        scope: owns the work.
        clock: for silences.
        ids: the source of nonces.
        members: returns the members that have not ended.
        on_ended: called with each incarnation of a driver's node that has ended.
        on_changed: called when there are other nodes of drivers than before.
    """

    def __init__(
        self,
        own: NodeId,
        store: ControlStore,
        control: Control,
        scope: Scope,
        clock: Clock,
        ids: IdSource,
        members: Callable[[], Sequence[Member]],
        on_ended: Callable[[Member], None],
        on_changed: Callable[[], None],
    ) -> None:
        self._own = own
        self._store = store
        self._scope = scope
        self._clock = clock
        self._ids = ids
        self._members = members
        self._on_ended = on_ended
        self._on_changed = on_changed
        self.watch = DriverWatch(own)
        control.handle(DriverAlive.by(self._alive))
        in_background(scope.after, TICK_S, self._tick)

    def read(self, rows: Sequence[Row]) -> None:
        """Take rows of the control store as they arrive."""
        before = [row.member.incarnation for row in self.watch.rows()]
        for row in self.watch.read(rows):
            self._on_ended(row.member)
        if before != [row.member.incarnation for row in self.watch.rows()]:
            self._on_changed()

    async def enrol(self, member: Member) -> None:
        """Write the row of a driver's node that joins here.

        Raises:
            ControlUnavailableError: the control store does not answer.
        """
        await self._write(DriverRow(member=member, entry=self._own))
        self.watch.heard(member.incarnation, self._clock.now())

    async def _write(self, row: DriverRow) -> None:
        change = Change(DRIVERS, row.member.node, msgpack.packb(row.pack()))
        outcome = await self._store.write(Write([change], self._ids.peer()))
        self.read([Row(DRIVERS, row.member.node, change.value, outcome.version)])  # known here before it speaks

    async def _alive(self, peer: PeerId, asked: DriverAlive) -> bool:
        """Called when the node of a driver says that it lives."""
        row = self.watch.row(asked.member.node)
        if row is None or row.member.incarnation != peer:
            found = await self._store.read(DRIVERS, asked.member.node)
            if found is None:
                return False
            self.read([found])
            row = self.watch.row(asked.member.node)
            if row is None or row.member.incarnation != peer:
                return False
        self.watch.heard(peer, self._clock.now())
        if row.entry != self._own:
            logger.info("the node of a driver, %s, has this one as its entry node now", short(asked.member.node))
            await self._write(DriverRow(member=row.member, entry=self._own))
        return True

    # Ends

    def _tick(self) -> None:
        to_look, ended = self.watch.due([member.node for member in self._members()], self._clock.now())
        for row in to_look:
            in_background(self._scope.start, self._look(row), "look for a driver's node")
        for row in ended:
            in_background(self._scope.start, self._end(row, "it was silent for a minute"), "end a driver's node")
        if not self._scope.is_closed:
            in_background(self._scope.after, TICK_S, self._tick)

    async def _look(self, row: DriverRow) -> None:
        """Try to connect to a driver's node that is silent: if nobody listens, it has ended."""
        address = row.member.addresses[0].partition("#")[0].removeprefix("tcp://")
        if not await is_open(address):
            await self._end(row, "nothing listens at its address any more")

    async def _end(self, row: DriverRow, why: str) -> None:
        """Delete the row of a driver's node, unless it has changed meanwhile."""
        node = row.member.node
        if self.watch.row(node) is not row:
            return
        logger.warning("the node of a driver, %s, has ended: %s", short(node), why)
        change = Change(DRIVERS, node, None, self.watch.version(node))
        try:
            outcome = await self._store.write(Write([change], self._ids.peer()))
        except ActorRtError as error:
            logger.debug("the row of a driver's node stays for now: %s", error)
            return
        if outcome.is_committed:
            self.read([Row(DRIVERS, node, None, outcome.version)])
        else:
            self.read(outcome.rows)
