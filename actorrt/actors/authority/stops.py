"""The orders to end actors: by request, with the parent, and when a spawn is withdrawn.

An order reaches the actor's host through `Hosting`; the exit that follows is taken in by the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from actorrt.actors.authority.child_events import ChildEvents
from actorrt.actors.authority.children import Children
from actorrt.actors.authority.hosting import Hosting
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.ids import ActorId
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope, parts_of

STEP_COUNT: Final = 200
"""How many actors are started or stopped before others on the loop have their turn."""


class Stops:
    """The orders of one registry.

    Args:
        records: the live actors.
        asked: those whose start has not begun.
        children: of the registry.
        hosting: takes the orders.
        child_events: tells supervisors of children that are to end and do not run.
        scope: owns the orders that a parent's end causes.
        gone: called with an actor that has no incarnation to end, so that it is gone at once, and with the reason.
    """

    def __init__(
        self,
        records: Mapping[ActorId, ActorRecord],
        asked: Mapping[ActorId, ActorRecord],
        children: Children,
        hosting: Hosting,
        child_events: ChildEvents,
        scope: Scope,
        gone: Callable[[ActorRecord, ExitReason], None],
    ) -> None:
        self._records = records
        self._asked = asked
        self._children = children
        self._hosting = hosting
        self._child_events = child_events
        self._scope = scope
        self._gone = gone

    async def stop(self, actor_ids: Sequence[ActorId], reason: str, *, kill: bool = False) -> None:
        """End actors by order, side by side, and return when all are gone. Without effect on those that are gone."""
        records: list[ActorRecord] = []
        async for part in parts_of(actor_ids, STEP_COUNT):
            records += [record for actor_id in part if (record := self._records.get(actor_id)) is not None]
        await self.stop_each(records, reason, kill=kill)

    async def stop_all(self, records: Sequence[ActorRecord], reason: str) -> None:
        """Stop actors side by side, children through their parents, and return when all are gone."""
        tops: list[ActorRecord] = []
        async for part in parts_of(records[::-1], STEP_COUNT):
            tops += [r for r in part if r.parent is None or r.parent not in self._records]
        await self.stop_each(tops, reason)
        await self._all_ended(records)

    async def stop_each(self, records: Sequence[ActorRecord], reason: str, *, kill: bool = False) -> None:
        """Stop each of these actors, side by side, and return when all are gone."""
        await self._begin_each(records, reason, kill=kill)
        await self._all_ended(records)

    async def _begin_each(self, records: Sequence[ActorRecord], reason: str, *, kill: bool = False) -> None:
        async for part in parts_of(records, STEP_COUNT):
            self.begin([r for r in part if self._records.get(r.actor_id) is r], reason, kill=kill)

    async def _all_ended(self, records: Sequence[ActorRecord]) -> None:
        async for part in parts_of(records, STEP_COUNT):
            for record in part:
                await self.ended(record.actor_id)

    async def ended(self, actor_id: ActorId) -> None:
        """Return when the actor is gone."""
        while (record := self._records.get(actor_id) or self._asked.get(actor_id)) is not None:
            await record.next_change()

    def begin(self, records: Sequence[ActorRecord], reason: str, *, kill: bool) -> None:
        """End live actors for good, side by side; nobody restarts them."""
        incarnate = []
        for record in records:
            record.end_for_good()
            if record.peer_address is not None or record.is_start_under_way:
                incarnate.append(record)
            elif record.state is RecordState.ENDING or not self._child_events.withdrawn(record):
                self._gone(record, ExitReason(ExitKind.SHUTDOWN, reason))
        self.end_incarnations(incarnate, reason, kill=kill)

    def end_incarnations(self, records: Sequence[ActorRecord], reason: str, *, kill: bool) -> None:
        """End the incarnations that run or are being started; decide nothing about later ones."""
        ordered = [record for record in records if record.begin_end() or kill]
        if ordered and kill:
            self._hosting.kill(ordered)
        elif ordered:
            self._hosting.stop(ordered, reason)

    def stop_child(self, actor_id: ActorId, reason: str, *, kill: bool, manner: Manner = Manner.ORDERLY) -> None:
        """End the incarnation of a supervisor's child, as its supervisor decided; the exit is reported to it.

        A child whose start has not begun does not start: that is the answer to its spawn.
        """
        record = self._records.get(actor_id)
        if record is not None:
            record.plan_stop(manner)
            self.end_incarnations([record], reason, kill=kill)
        elif (asked := self._asked.get(actor_id)) is not None:
            self.withdraw(asked)

    def stop_children(self, parent: ActorId) -> None:
        """Stop what the parent spawned, last first, since its incarnation ended."""
        children = self._children.of(parent)
        for child in children:
            child.parent_has_ended()
        if children:
            self._scope.start(self._begin_each(children, "its parent ended"), "stop children")

    def withdraw(self, record: ActorRecord) -> None:
        """End an actor at once, since its spawn was withdrawn: nobody has a ref to it."""
        record.withdraw()
        if record.is_start_under_way:
            self._hosting.break_off(record)
        elif self._records.get(record.actor_id) is record:
            self.begin([record], "its spawn was withdrawn", kill=True)
        record.changed()
