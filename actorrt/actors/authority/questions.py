"""The answers of an authority about its actors: where they run, whether they run again, how they ended.

An answer changes nothing. An answer that depends on a decision waits for the decision.
"""

from __future__ import annotations

from collections.abc import Mapping

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.names import Names
from actorrt.actors.authority.record import WILL_RUN_AGAIN, ActorRecord, RecordState
from actorrt.actors.authority.tombstones import Tombstones
from actorrt.errors import RuntimeStateError
from actorrt.ids import ActorId
from actorrt.machine.clock import Clock
from actorrt.protocol.authorities import ActorCard, DownReport, Sighting


class Questions:
    """Answers for one registry.

    Args:
        records: the live actors.
        children, names, tombstones: of the registry.
        clock: tells how long a restart still waits.
    """

    def __init__(
        self,
        records: Mapping[ActorId, ActorRecord],
        children: Children,
        names: Names,
        tombstones: Tombstones,
        clock: Clock,
    ) -> None:
        self._records = records
        self._children = children
        self._names = names
        self._tombstones = tombstones
        self._clock = clock

    def live(self, actor_id: ActorId) -> ActorRecord:
        """Return the record of a live actor.

        Raises:
            ActorDiedError: the actor is gone.
        """
        record = self._records.get(actor_id)
        if record is None:
            raise self._tombstones.error(actor_id)
        if record.state is RecordState.ENDING:
            raise record.tombstone().error()
        return record

    def is_alive(self, actor_id: ActorId) -> bool:
        """Whether the actor runs or will run again."""
        record = self._records.get(actor_id)
        return record is not None and not record.is_administrative and record.state is not RecordState.ENDING

    async def resolve(self, actor_id: ActorId, after: int) -> Sighting:
        """Return where an incarnation newer than `after` runs, as soon as one does.

        Raises:
            ActorDiedError: the actor is gone.
        """
        while True:
            record = self.live(actor_id)
            if record.state is RecordState.RUNNING and record.incarnation > after:
                seen = record.sighting()
                assert seen is not None
                return seen
            await record.next_change()

    async def fate(self, actor_id: ActorId, after: int) -> float:
        """Wait until it is decided that the actor runs again after the end of incarnation `after`.

        Returns:
            The seconds until its next start; 0.0 if that does not wait for a time.

        Raises:
            ActorDiedError: the actor does not run again.
        """
        while True:
            record = self.live(actor_id)
            if record.incarnation > after or record.state is RecordState.RESTARTING:
                return 0.0 if record.restarts_at is None else max(0.0, record.restarts_at - self._clock.now())
            await record.next_change()

    async def down(self, actor_id: ActorId, since: int | None) -> DownReport:
        """Return how an actor ended, when it is gone for good or when an incarnation has ended.

        Args:
            actor_id: the actor.
            since: wait for the end of this incarnation or a later one, 0 for the present one; None: for the last end.
        """
        record = self._records.get(actor_id)
        if record is not None and since == 0:
            since = record.incarnation
        while record is not None and self._records.get(actor_id) is record:
            if since is not None and record.last_incarnation >= since and record.state in WILL_RUN_AGAIN:
                return record.down_report()
            await record.next_change()
        return self._tombstones.down_report(actor_id)

    def sibling(self, actor_id: ActorId, id: str) -> ActorCard:
        """Return the card of another child of an actor's supervisor.

        Raises:
            ActorDiedError: the actor is gone.
            RuntimeStateError: the actor is no child of a supervisor.
            ValueError: no child of that id has been started, or it has ended.
        """
        record = self.live(actor_id)
        if record.order.child_id is None or record.parent is None:
            raise RuntimeStateError(f"{record.label} is no child of a supervisor, so it has no siblings")
        children = {child.order.child_id: child for child in self._children.in_order(record.parent)}
        child = children.get(id)
        if child is None or child.state is RecordState.ENDING:
            started = ", ".join(name for name in children if name is not None)
            raise ValueError(f"{record.label} has no sibling {id!r}; those that have been started: {started}")
        return child.card()

    async def look_up(self, namespace: str, name: str, timeout_s: float) -> ActorCard:
        """Return the card of the named actor, waiting for the name up to `timeout_s` seconds.

        Raises:
            NameNotFoundError: no live actor has the name by then.
        """
        return await self._names.look_up(namespace, name, timeout_s)
