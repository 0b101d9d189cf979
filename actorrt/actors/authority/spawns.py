"""Requests to start an actor, or a group of actors by one order.

A request takes the name of its actor, holds the objects of its spec, and makes its record. When the start fails or is
withdrawn, or the parent ends, all of these are released, and then the requester is told. The states of a request:

    asked ──name taken──▶ starting ──▶ answered            its actor runs
      └────────────────────┴─────────▶ refused             nothing is left of its actor
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.authority.children import Children
from actorrt.actors.authority.hosting import Hosting
from actorrt.actors.authority.names import Names
from actorrt.actors.authority.order import Order
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.sightings import Sightings
from actorrt.actors.authority.start_errors import parent_ended, stopped_early
from actorrt.actors.authority.stops import STEP_COUNT, Stops
from actorrt.completion import Completion
from actorrt.ids import ActorId
from actorrt.protocol.authorities import ActorCard, GroupPlaces
from actorrt.scopes import Scope, parts_of

if TYPE_CHECKING:
    from actorrt.actors.authority.registry import Registry

UNDER_WAY_COUNT: Final = 1_000
"""The most starts of a group that wait for their answers at once: each is an envelope in a queue."""


class SpawnRequests:
    """The requests that one registry serves.

    Args:
        registry: starts the actors.
        asked: the requested actors whose start has not begun; filled here.
        stops: ends the started actors of a spawn that failed or was withdrawn.
        hosting: holds the objects of their specs.
        names, children: of the registry.
        scope: owns the starts of groups.
    """

    def __init__(
        self,
        registry: Registry,
        asked: dict[ActorId, ActorRecord],
        stops: Stops,
        hosting: Hosting,
        names: Names,
        children: Children,
        scope: Scope,
    ) -> None:
        self._registry = registry
        self._stops = stops
        self._hosting = hosting
        self._names = names
        self._children = children
        self._scope = scope
        self._asked = asked
        self._groups: dict[ActorId, _Group] = {}

    def asked(self) -> list[ActorRecord]:
        """Return the actors that have no record in the registry yet."""
        return list(self._asked.values())

    def spawn(self, record: ActorRecord) -> Coroutine[Any, Any, ActorCard]:
        """Start an actor; see `Registry.spawn`. The request takes what it needs before the coroutine runs."""
        self._take(record)
        return self._spawn(record)

    async def _spawn(self, record: ActorRecord) -> ActorCard:
        try:
            card = await self._names.take(record)
            if card is None and record.order.is_withdrawn:
                raise parent_ended(record) if record.supervisor is None else stopped_early(record)
        except BaseException:
            self._refuse(record)
            raise
        if card is not None:
            self._refuse(record)
            return card
        error = await self._start(record)
        if error is not None:
            await self._stops.ended(record.actor_id)
            raise error
        return record.card()

    def _refuse(self, record: ActorRecord) -> None:
        """Release everything that a request took: its actor will not be started."""
        del self._asked[record.actor_id]
        self._names.free(record)
        self._hosting.release(record.objects)
        self._children.remove(record)
        record.changed()

    async def _start(self, record: ActorRecord) -> errors.ActorStartError | None:
        """Carry out the first start; return its error if it failed."""
        if not self._start_at_once(record):
            await self._registry.start(record)
        return record.start_error

    def _start_at_once(self, record: ActorRecord) -> bool:
        """Enter the record in the registry and start it, if that never waits; return whether it did not wait."""
        del self._asked[record.actor_id]
        self._registry.enter(record)
        return self._registry.start_at_once(record)

    def spawn_many(self, order: Order, actor_ids: Sequence[ActorId]) -> Coroutine[Any, Any, GroupPlaces]:
        """Start actors without names by one order, side by side; see `Registry.spawn_many`."""
        first = ActorRecord(actor_ids[0], order)
        self._take(first)
        group = self._groups[first.actor_id] = _Group(first, len(actor_ids))
        return self._spawn_many(group, actor_ids)

    async def _spawn_many(self, group: _Group, actor_ids: Sequence[ActorId]) -> GroupPlaces:
        try:
            await self._start_all(group, actor_ids)
            if not group.is_withdrawn:
                await group.over
            if group.is_withdrawn:
                raise parent_ended(group.first)
            if group.failed is not None:
                raise group.error()
        except BaseException:
            await self._end_all(group)
            raise
        finally:
            del self._groups[group.first.actor_id]
        sightings = Sightings()
        async for part in parts_of(group.records, STEP_COUNT):
            for record in part:
                sightings.add(record)
        return sightings.places()

    async def _start_all(self, group: _Group, actor_ids: Sequence[ActorId]) -> None:
        """Begin the start of each, until one has failed or the group is withdrawn."""
        async for part in parts_of(actor_ids, STEP_COUNT):
            for actor_id in part:
                if group.over.done() or group.is_withdrawn:
                    return
                record = group.first
                if group.records:
                    record = self._next_record(group, actor_id)
                group.records.append(record)
                if self._start_at_once(record):
                    group.started(record, record.start_error)
                else:
                    self._scope.start(self._start_one(group, record), f"start {record.label}")
            while group.under_way_count > UNDER_WAY_COUNT and not group.over.done():
                await group.next_end()

    def _next_record(self, group: _Group, actor_id: ActorId) -> ActorRecord:
        record = ActorRecord(actor_id, group.first.order)
        self._take(record)
        return record

    def _take(self, record: ActorRecord) -> None:
        """Hold the objects of a request, and list its actor as requested."""
        self._hosting.hold(record.objects, record.order.tokens)
        self._children.add(record)
        self._asked[record.actor_id] = record

    async def _start_one(self, group: _Group, record: ActorRecord) -> None:
        await self._registry.start(record)
        group.started(record, record.start_error)

    async def _end_all(self, group: _Group) -> None:
        """Stop the started actors of a group, side by side, and return when all are gone."""
        if not group.records:
            self._refuse(group.first)
        await self._stops.stop_each(group.records, "another of its group did not start")

    def withdraw(self, actor_id: ActorId) -> None:
        """End a spawn at once, since its requester waits no more: nobody has a ref to the started actors.

        Args:
            actor_id: the actor, or the first one of a group. An actor that is gone, or was never made, is no error.
        """
        group = self._groups.get(actor_id)
        records = [self._asked.get(actor_id) or self._registry.record(actor_id)] if group is None else group.records
        for record in records:
            if record is not None:
                self._stops.withdraw(record)
        if group is not None:
            group.first.order.is_withdrawn = True
            group.over.set_value(None)


class _Group:
    """The starts of one `spawn_many`.

    Attributes:
        first: the first of its actors, which stands for the group while no other has a record.
        records: the actors whose starts were begun.
        failed: the first one that did not start, with its error.
        over: ends when all run, one has failed, or the group is withdrawn.
    """

    def __init__(self, first: ActorRecord, count: int) -> None:
        self.first = first
        self.records: list[ActorRecord] = []
        self.failed: tuple[ActorRecord, errors.ActorStartError] | None = None
        self.over: Completion[None] = Completion()
        self._count = count
        self._ended_count = 0
        self._next_end: Completion[None] = Completion()

    @property
    def is_withdrawn(self) -> bool:
        """Whether nobody waits for the group any more."""
        return self.first.order.is_withdrawn

    @property
    def under_way_count(self) -> int:
        """How many starts were begun and have not ended."""
        return len(self.records) - self._ended_count

    def next_end(self) -> Completion[None]:
        """Return a completion that ends when the next of the starts has ended."""
        return self._next_end

    def started(self, record: ActorRecord, error: errors.ActorStartError | None) -> None:
        """Called when a start has ended; `error` is None if the actor runs."""
        self._ended_count += 1
        ended, self._next_end = self._next_end, Completion()
        if error is not None and self.failed is None:
            self.failed = record, error
        if error is not None or self._ended_count == self._count:
            self.over.set_value(None)
        ended.set_value(None)

    def error(self) -> errors.ActorStartError:
        """Make the error that names the actor which did not start."""
        assert self.failed is not None
        record, error = self.failed
        place = self.records.index(record) + 1
        text = f"number {place} of {self._count} failed, so the others were stopped: {error}"
        group_error = type(error)(text, reason=error.reason)
        for note in getattr(error, "__notes__", ()):
            group_error.add_note(note)
        return group_error
