"""Pure: the objects that may have nobody who refers to them, until a sweep looks at them.

A hold may be on its way while the last one ends: a receiver said `acquire` before its caller said that the message has
arrived, but on another connection. So a sweep is begun, then all is read that has arrived by then, and only what was
suspect at the beginning, and nothing was said of meanwhile, is looked at.
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
        """Have a sweep look at an object; one that has begun leaves it to the next."""
        self._young.add(object_id)

    def begin(self) -> None:
        """Begin a sweep of what is suspect now."""
        self._ripe = (self._ripe or set()) | self._young
        self._young = set()

    def take(self) -> Iterator[ObjectId]:
        """End a sweep and yield what it is to look at; where none was begun, all, and what is added meanwhile."""
        ripe, self._ripe = self._ripe, None
        if ripe is not None:
            yield from ripe - self._young
            return
        while self._young:
            yield self._young.pop()
