"""Pure: the objects that a process made in memory on loan, and that it has not reported to the store yet.

Only this process knows them, so making, reading and dropping them needs no request. One message reports them all,
before any other message about one of them or after a while; from then on they are objects like any other.

Memory is used from the start of the loan to its end. The memory of an object that is dropped unreported is reused at
once, while it is warm: at the end of the used part for any object, before it for a large object of a similar length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actorrt.config import KIB
from actorrt.ids import ObjectId
from actorrt.store.memory.arena import align
from actorrt.store.memory.pool import Place
from actorrt.store.wire.protocol import HELD, SEALED

MAX_UNREPORTED_COUNT: Final = 256
_REUSED_BYTES: Final = 64 * KIB  # below, the copy is so short that looking for warm memory is not worth it
_REUSED_COUNT: Final = 4

Report = tuple[int, list[list[int | bytes | str]]]
"""The offset up to which a loan is used, and the objects on it; see `UnreportedObjects.report`."""


@dataclass(slots=True, eq=False)
class _Unreported:
    """One object.

    Attributes:
        span_bytes: the distance to the next object.
        index: its position among the others.
        serial: the number of objects made before it.
    """

    object_id: ObjectId
    offset: int
    length_bytes: int
    line: str
    is_sealed: bool
    span_bytes: int
    index: int
    serial: int
    is_held: bool = True
    pins_count: int = 0
    is_gone: bool = False


class UnreportedObjects:
    """The loan of one process, and the unreported objects on it.

    Attributes:
        objects: the unreported objects, to be read only.
    """

    def __init__(self) -> None:
        self._segment_id = 0
        self._at = 0
        self._end = 0
        self.objects: dict[ObjectId, _Unreported] = {}
        self._in_order: list[_Unreported] = []
        self._gaps: list[int] = []
        """The positions of large objects that are gone, the newest at the end; outdated positions are skipped."""
        self._made_count = 0
        self._old_count = 0

    def __len__(self) -> int:
        return len(self.objects)

    def borrow(self, loan: Place | None) -> None:
        """Use another loan from now on, or none; all objects have been reported."""
        assert not self._in_order, "everything is reported before the next loan"
        self._segment_id, self._at, self._end = (
            (0, 0, 0) if loan is None else (loan.segment_id, loan.offset, loan.offset + loan.length_bytes)
        )

    def clear(self) -> None:
        """Forget the loan and every object on it: the memory is gone, and no report will be sent."""
        self._at = self._end = 0
        self.objects.clear()
        self._in_order.clear()
        self._gaps.clear()

    def create(self, object_id: ObjectId, length_bytes: int, line: str) -> Place | None:
        """Begin an object, or return None if it does not fit into the rest of the loan."""
        offset = self.add(object_id, length_bytes, line, is_sealed=False)
        return None if offset < 0 else Place(self._segment_id, offset, length_bytes)

    def add(self, object_id: ObjectId, length_bytes: int, line: str = "", *, is_sealed: bool = True) -> int:
        """Begin an object, or note one that is written at once; return its offset, or -1 if it does not fit."""
        need = align(length_bytes)
        gap = self._take_gap(need) if need >= _REUSED_BYTES and self._gaps else None
        if gap is not None:
            offset, room, index = gap.offset, gap.span_bytes, gap.index
        else:
            offset, room, index = self._at, need, len(self._in_order)
            if offset + need > self._end or index >= MAX_UNREPORTED_COUNT:
                return -1
            self._at = offset + need
        made = _Unreported(object_id, offset, length_bytes, line, is_sealed, room, index, self._made_count)
        self._made_count += 1
        self.objects[object_id] = made
        if gap is None:
            self._in_order.append(made)
        else:
            self._in_order[index] = made
        return offset

    def _take_gap(self, need: int) -> _Unreported | None:
        """Return an object that is gone, in whose place one of a similar length can be made."""
        for index in self._gaps[: -_REUSED_COUNT - 1 : -1]:
            gone = self._in_order[index] if index < len(self._in_order) else None
            if gone is not None and gone.is_gone and need <= gone.span_bytes <= 2 * need:
                self._gaps.remove(index)
                return gone
        return None

    def seal(self, object_id: ObjectId) -> bool:
        """Finish an object; False if it is not one of these."""
        made = self.objects.get(object_id)
        if made is not None:
            made.is_sealed = True
        return made is not None

    def abort(self, object_id: ObjectId) -> bool:
        """Give up an object that is being written; False if it is not one of these."""
        made = self.objects.get(object_id)
        if made is not None:
            self._drop(made)
        return made is not None

    def release(self, object_id: ObjectId) -> bool:
        """End the hold of an object; False if it is not one of these."""
        made = self.objects.get(object_id)
        if made is None:
            return False
        made.is_held = False
        if made.is_sealed and not made.pins_count:
            self._drop(made)
        return True

    def pin(self, object_id: ObjectId) -> Place | None:
        """Pin a sealed object and return its place; None if it is not one of these."""
        made = self.objects.get(object_id)
        if made is None or not made.is_sealed:
            return None
        made.pins_count += 1
        return Place(self._segment_id, made.offset, made.length_bytes)

    def unpin(self, object_id: ObjectId) -> bool:
        """End one pin; False if the object is not one of these."""
        made = self.objects.get(object_id)
        if made is None:
            return False
        made.pins_count -= 1
        if made.is_sealed and not made.is_held and not made.pins_count:
            self._drop(made)
        return True

    def _drop(self, made: _Unreported) -> None:
        del self.objects[made.object_id]
        made.is_gone = True
        if self._in_order[-1] is not made:
            if made.span_bytes >= _REUSED_BYTES:
                self._gaps.append(made.index)
            return
        while self._in_order and self._in_order[-1].is_gone:
            self._at = self._in_order.pop().offset

    def report(self, *, only_old: bool = False) -> Report | None:
        """Return the report to the store, and forget the reported objects; None if there is nothing to report.

        Args:
            only_old: leave out the objects that were made since the last report, and all objects behind them, because
                they may be dropped soon.

        Returns:
            The offset up to which the loan is used, and for each object in order its id, offset, length, flags, pins
            and the line that made it.
        """
        old_count, self._old_count = self._old_count, self._made_count
        told, rest = self._in_order, []
        if only_old:
            is_young = (made.serial >= old_count and not made.is_gone for made in self._in_order)
            cut = next((index for index, young in enumerate(is_young) if young), len(told))
            told, rest = told[:cut], told[cut:]
        living = [made for made in told if not made.is_gone]
        if not told or (only_old and not living):
            return None
        self._keep(rest)
        end = rest[0].offset if rest else self._at
        for made in living:
            del self.objects[made.object_id]
        return end, [
            [made.object_id, made.offset, made.length_bytes, _flags(made), made.pins_count, made.line]
            for made in living
        ]

    def _keep(self, rest: list[_Unreported]) -> None:
        """Keep only these objects."""
        self._in_order = rest
        for index, made in enumerate(rest):
            made.index = index
        self._gaps = [made.index for made in rest if made.is_gone and made.span_bytes >= _REUSED_BYTES]


def _flags(made: _Unreported) -> int:
    return SEALED * made.is_sealed | HELD * made.is_held
