"""Pure: the spill files of one store, and which objects lie in them.

A file is written once, for several objects, and is dropped with the last of them. To readers it is a segment like any
other, with an id from the same sequence.
"""

from __future__ import annotations

from collections.abc import Iterable

from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place


class SpillFiles:
    """The objects on disk."""

    def __init__(self) -> None:
        self._objects: dict[int, dict[int, ObjectId]] = {}
        self._verified: set[ObjectId] = set()
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """The bytes of all objects on disk."""
        return self._used_bytes

    def __contains__(self, segment_id: int) -> bool:
        return segment_id in self._objects

    def add(self, file_id: int, objects: Iterable[tuple[ObjectId, Place]]) -> bool:
        """Note the objects that were moved into a file; False if there are none, so that the file can be dropped."""
        by_offset = {place.offset: (object_id, place.length_bytes) for object_id, place in objects}
        if not by_offset:
            return False
        self._objects[file_id] = {offset: object_id for offset, (object_id, _) in by_offset.items()}
        self._used_bytes += sum(length_bytes for _, length_bytes in by_offset.values())
        return True

    def free(self, place: Place) -> bool:
        """Forget one object; True if it was the last one of its file, which can be dropped."""
        objects = self._objects[place.segment_id]
        self._verified.discard(objects.pop(place.offset))
        self._used_bytes -= place.length_bytes
        if objects:
            return False
        del self._objects[place.segment_id]
        return True

    def note_verified(self, object_id: ObjectId) -> None:
        """Remember that an object's bytes were found unchanged."""
        self._verified.add(object_id)

    def is_verified(self, object_id: ObjectId) -> bool:
        return object_id in self._verified
