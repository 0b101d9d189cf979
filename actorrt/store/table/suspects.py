"""Pure: the objects that nobody may refer to any more, until a sweep looks at them.

When the last known hold of an object ends, another process may have sent a new hold already: its message waits on
another connection. So the caller begins a sweep, reads every message that has arrived, and then ends the sweep, which
looks only at objects that were suspects at its beginning and that no message has mentioned since.

The objects are kept in order, so that the same messages have the same consequences in the same order in every process.
"""

from __future__ import annotations

from collections.abc import Iterator

from actorrt.ids import ObjectId


class Suspects:
    """The objects that the next sweeps look at."""

    def __init__(self) -> None:
        self._young: dict[ObjectId, None] = {}
        self._ripe: dict[ObjectId, None] | None = None  # None: no sweep has begun

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._young or object_id in (self._ripe or ())

    def __bool__(self) -> bool:
        return bool(self._young or self._ripe)

    def add(self, object_id: ObjectId) -> None:
        """Have the next sweep look at an object; a sweep that has begun leaves it out."""
        self._young[object_id] = None

    def begin(self) -> None:
        """Begin a sweep of the present suspects."""
        self._ripe = (self._ripe or {}) | self._young
        self._young = {}

    def take(self) -> Iterator[ObjectId]:
        """End a sweep and yield its objects; if none was begun, yield all, including those that are added meanwhile."""
        ripe, self._ripe = self._ripe, None
        if ripe is not None:
            yield from [object_id for object_id in ripe if object_id not in self._young]
            return
        while self._young:
            yield self._young.popitem()[0]
