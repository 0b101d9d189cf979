"""Pure: the objects that a process made in memory on loan, and that the store has not been told of yet.

They are known to this process alone, so making, reading and dropping them asks nobody. Before anything is said of
one to the store, or after a while, the store is told of all of them in one message; from then on they are objects
like any other.

Memory is used from the start of the loan to its end; what is dropped untold at the end of what is used is used
again at once, while it is warm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actorrt.ids import ObjectId
from actorrt.store.arena import align
from actorrt.store.pool import Place

MAX_FRESH_COUNT: Final = 256
SEALED, HELD = 1, 2
"""What the store is told of an object, in one number."""


@dataclass(slots=True)
class _Fresh:
    object_id: ObjectId
    offset: int
    length_bytes: int
    line: str
    is_sealed: bool = False
    is_held: bool = True
    pins_count: int = 0
    is_gone: bool = False


class FreshObjects:
    """What one process has on loan, and what it made there.

    Attributes:
        objects: what the store has not been told of, to be read only.
    """

    def __init__(self) -> None:
        self._segment_id = 0
        self._at = 0
        self._end = 0
        self.objects: dict[ObjectId, _Fresh] = {}
        self._in_order: list[_Fresh] = []

    def __len__(self) -> int:
        return len(self.objects)

    def borrow(self, loan: Place | None) -> None:
        """Use another loan from now on, or none; the store has just been told of everything."""
        assert not self._in_order, "the store is told of all before it lends again"
        self._segment_id, self._at, self._end = (
            (0, 0, 0) if loan is None else (loan.segment_id, loan.offset, loan.offset + loan.length_bytes)
        )

    def create(self, object_id: ObjectId, length_bytes: int, line: str) -> Place | None:
        """Begin an object, or return None where it does not fit into what is left of the loan."""
        offset = self.add(object_id, length_bytes, line, is_sealed=False)
        return None if offset < 0 else Place(self._segment_id, offset, length_bytes)

    def add(self, object_id: ObjectId, length_bytes: int, line: str = "", *, is_sealed: bool = True) -> int:
        """Begin an object, or note one that is written at once; return its offset, or -1 where it does not fit."""
        offset = self._at
        end = offset + align(length_bytes)
        if end > self._end or len(self._in_order) >= MAX_FRESH_COUNT:
            return -1
        self.objects[object_id] = made = _Fresh(object_id, offset, length_bytes, line, is_sealed)
        self._in_order.append(made)
        self._at = end
        return offset

    def seal(self, object_id: ObjectId) -> bool:
        """Finish an object; False where it is not of these."""
        made = self.objects.get(object_id)
        if made is not None:
            made.is_sealed = True
        return made is not None

    def abort(self, object_id: ObjectId) -> bool:
        """Give up an object that is being written; False where it is not of these."""
        made = self.objects.get(object_id)
        if made is not None:
            self._drop(made)
        return made is not None

    def release(self, object_id: ObjectId) -> bool:
        """End the hold of an object; False where it is not of these."""
        made = self.objects.get(object_id)
        if made is None:
            return False
        made.is_held = False
        if made.is_sealed and not made.pins_count:
            self._drop(made)
        return True

    def pin(self, object_id: ObjectId) -> Place | None:
        """Keep a sealed object's bytes in place and return where they are; None where it is not of these."""
        made = self.objects.get(object_id)
        if made is None or not made.is_sealed:
            return None
        made.pins_count += 1
        return Place(self._segment_id, made.offset, made.length_bytes)

    def unpin(self, object_id: ObjectId) -> bool:
        """End one pin; False where the object is not of these."""
        made = self.objects.get(object_id)
        if made is None:
            return False
        made.pins_count -= 1
        if made.is_sealed and not made.is_held and not made.pins_count:
            self._drop(made)
        return True

    def _drop(self, made: _Fresh) -> None:
        del self.objects[made.object_id]
        made.is_gone = True
        while self._in_order and self._in_order[-1].is_gone:
            self._at = self._in_order.pop().offset

    def report(self) -> tuple[int, list[list[int | bytes | str]]] | None:
        """Return what the store is to be told, and forget these objects; None where there is nothing.

        Returns:
            The offset up to which the loan is used, and for each object in order its id, offset, length, flags, pins
            and the line that made it.
        """
        if not self._in_order:
            return None
        told: list[list[int | bytes | str]] = [
            [made.object_id, made.offset, made.length_bytes, _flags(made), made.pins_count, made.line]
            for made in self._in_order
            if not made.is_gone
        ]
        self.objects.clear()
        self._in_order.clear()
        return self._at, told


def _flags(made: _Fresh) -> int:
    return SEALED * made.is_sealed | HELD * made.is_held
