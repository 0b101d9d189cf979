"""Deadlines of actors that were told to end.

One timer watches all actors that got one order. The timer is cancelled when the last of them is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId
from actorrt.scopes import Scope

TURN_S: Final = 0.0001
"""Seconds that each awaited actor adds to a new deadline, because a process handles one order after the other."""


class Deadlines:
    """Deadlines for the ends of incarnations. A new deadline of an actor replaces the one before.

    Args:
        scope: owns the timers.
        late: called with the actors of one order that have not ended in time.
    """

    def __init__(self, scope: Scope, late: Callable[[Sequence[ActorRecord]], None]) -> None:
        self._scope = scope
        self._late = late
        self._batches: dict[ActorId, _StopBatch] = {}

    def begin(self, records: Sequence[ActorRecord], delay_s: float) -> None:
        """Watch incarnations that were told to end. They get `delay_s` seconds, and `TURN_S` per awaited actor."""
        for record in records:
            self.forget(record.actor_id)
        batch = _StopBatch({record.actor_id: (record, record.incarnation) for record in records})
        self._batches.update(dict.fromkeys(batch.left, batch))
        batch.cancel = self._scope.after(delay_s + TURN_S * len(self._batches), lambda: self._due(batch))

    def _due(self, batch: _StopBatch) -> None:
        late = [record for record, incarnation in batch.left.values() if record.has_incarnation(incarnation)]
        for actor_id in batch.left:
            del self._batches[actor_id]
        if late:
            self._late(late)

    def forget(self, actor_id: ActorId) -> None:
        """Remove the deadline of an actor. Idempotent."""
        batch = self._batches.pop(actor_id, None)
        if batch is not None:
            del batch.left[actor_id]
            if not batch.left:
                batch.cancel()

    def actors(self) -> Collection[ActorId]:
        """Return the actors that have a deadline."""
        return self._batches.keys()


class _StopBatch:
    """Incarnations that were told to end together."""

    def __init__(self, left: dict[ActorId, tuple[ActorRecord, int]]) -> None:
        self.left = left
        self.cancel: Callable[[], None] = lambda: None
