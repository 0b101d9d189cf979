"""Pure: the objects that nobody may refer to any more, until a sweep looks at them.

A hold may be under way while the last one ends: the receiver of a message sent `acquire` before the sender said that
the message has arrived, but on another connection. So the caller begins a sweep, then reads everything that has
arrived, and then the sweep looks only at objects that were suspect at its beginning and not mentioned since.
"""

from __future__ import annotations

from collections.abc import Iterator

from actorrt.ids import ObjectId


class Suspects:
    """The objects that the next sweeps look at."""

    def __init__(self) -> None:
        self._young: set[ObjectId] = set()
        self._ripe: set[ObjectId] | None = None  # None: no sweep has begun

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._young or object_id in (self._ripe or ())

    def __bool__(self) -> bool:
        return bool(self._young or self._ripe)

    def add(self, object_id: ObjectId) -> None:
        """Have the next sweep look at an object, not one that has begun."""
        self._young.add(object_id)

    def begin(self) -> None:
        """Begin a sweep of the present suspects."""
        self._ripe = (self._ripe or set()) | self._young
        self._young = set()

    def take(self) -> Iterator[ObjectId]:
        """End a sweep and yield its objects; if none was begun, yield all, including those that are added meanwhile."""
        ripe, self._ripe = self._ripe, None
        if ripe is not None:
            yield from ripe - self._young
            return
        while self._young:
            yield self._young.pop()
