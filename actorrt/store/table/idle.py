"""Pure: the sealed objects in memory that no process has in view, and which of them leave memory first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place
from actorrt.store.table.objects import ObjectEntry, State


class IdleObjects(OrderedDict[ObjectId, ObjectEntry]):
    """Idle objects by id, the least recently used first.

    A mapping rather than a class around one: `pop` is called for each read, and this way costs one call.
    """

    _may_have_copies = False

    def note(self, entry: ObjectEntry) -> None:
        """Add an object if it is idle now."""
        if entry.is_idle:
            self[entry.object_id] = entry
            self._may_have_copies |= entry.origin is not None

    def least_recently_used(self, wanted_bytes: int) -> list[tuple[ObjectId, Place]]:
        """Return the least recently used objects with their places, until they have `wanted_bytes` together."""
        return _first(self.values(), wanted_bytes)

    def evict_copies(self, wanted_bytes: int) -> list[Place]:
        """Evict copies of other nodes' objects: the least recently used first, at least one, until they are enough.

        An evicted object is REMOTE again: its holders can have it fetched again.

        Returns:
            The places of the copies, whose bytes are free now.
        """
        if not self._may_have_copies:
            return []
        evicted = _first((entry for entry in self.values() if entry.origin is not None), wanted_bytes)
        for object_id, _ in evicted:
            entry = self.pop(object_id)
            entry.state, entry.place = State.REMOTE, None
        self._may_have_copies = bool(evicted)
        return [place for _, place in evicted]


def _first(entries: Iterable[ObjectEntry], wanted_bytes: int) -> list[tuple[ObjectId, Place]]:
    """Return the first entries with their places, until they have `wanted_bytes` together."""
    chosen = []
    for entry in entries:
        assert entry.place is not None, "a sealed object has a place"
        chosen.append((entry.object_id, entry.place))
        wanted_bytes -= entry.place.length_bytes
        if wanted_bytes <= 0:
            break
    return chosen
