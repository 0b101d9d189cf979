"""Pure: the memory lent to connections, in which they make objects without asking.

A connection has at most one range on loan. It reports its objects there later, in order of offset: each object becomes
an allocation of its own, the gaps between objects are freed, and the rest stays on loan. A loan ends when its
connection asks for another range or ends; objects that were never reported end with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorrt.config import KIB, SEGMENT_BYTES
from actorrt.store.memory.arena import ALIGNMENT_BYTES, align
from actorrt.store.memory.pool import Growth, Place, Pool

_MIN_BYTES: Final = 256 * KIB
_MAX_BYTES: Final = SEGMENT_BYTES
_SHARES_COUNT: Final = 128
_OBJECTS_COUNT: Final = 4  # an object of more than a quarter of a loan is not made there


def max_loan_bytes(capacity_bytes: int) -> int:
    """Return the length of the longest loan of a store."""
    return max(_MIN_BYTES // 4, min(_MAX_BYTES, align(capacity_bytes // _SHARES_COUNT)))


def max_object_bytes(capacity_bytes: int) -> int:
    """Return the length of the longest object that is made on loan."""
    return max_loan_bytes(capacity_bytes) // _OBJECTS_COUNT


class Lending:
    """The loans of one store. The first of a connection is small; each further one is twice as long, up to a bound.

    Args:
        pool: the segments.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._max_bytes = max_loan_bytes(pool.capacity_bytes)
        self._loans: dict[int, Place] = {}
        self._next_bytes: dict[int, int] = {}

    @property
    def unused_bytes(self) -> int:
        """The bytes on loan that hold no reported object."""
        return sum(loan.length_bytes for loan in self._loans.values())

    def lend(self, connection: int, object_bytes: int) -> Place | Growth | None:
        """Lend a range that holds `object_bytes` several times; it replaces the connection's earlier loan.

        Returns:
            The range; or the growth that is needed first; or None if the object is too long, or memory is short.
        """
        self.take_back(connection)
        if object_bytes > max_object_bytes(self._pool.capacity_bytes):
            return None
        wanted = max(
            self._next_bytes.get(connection, min(_MIN_BYTES, self._max_bytes)), _OBJECTS_COUNT * align(object_bytes)
        )
        found = self._pool.lend(min(align(wanted), self._max_bytes))
        if isinstance(found, Place):
            self._loans[connection] = found
            self._next_bytes[connection] = min(self._max_bytes, 2 * wanted)
        return found

    def settle(self, connection: int, end: int, ranges: Sequence[tuple[int, int]]) -> list[Place]:
        """Allocate the reported objects' ranges of a loan.

        Args:
            connection: the borrower.
            end: the offset up to which the loan is used; the rest stays on loan.
            ranges: offsets and lengths of the objects, in order.

        Raises:
            ValueError: the ranges are not in order within the loan; nothing has changed.
        """
        loan = self._loans.get(connection)
        if loan is None or not _fits(loan, end, ranges):
            raise ValueError(f"objects at {ranges!r} up to {end} are not within the loan: {loan}")
        places, at = [], loan.offset
        for offset, length in ranges:
            at = self._free(loan, at, offset)
            places.append(Place(loan.segment_id, offset, length))
            at = self._cut(loan, at, offset + align(length))
        at = self._free(loan, at, end)
        left_bytes = loan.offset + loan.length_bytes - at
        if left_bytes:
            self._loans[connection] = Place(loan.segment_id, at, left_bytes)
        else:
            del self._loans[connection]
        return places

    def _cut(self, loan: Place, start: int, end: int) -> int:
        if end < loan.offset + loan.length_bytes:
            self._pool.split(Place(loan.segment_id, start, end - start))
        return end

    def _free(self, loan: Place, start: int, end: int) -> int:
        if end > start:
            self._cut(loan, start, end)
            self._pool.free(Place(loan.segment_id, start, end - start))
        return end

    def take_back(self, connection: int) -> None:
        """End a connection's loan. Idempotent."""
        loan = self._loans.pop(connection, None)
        if loan is not None:
            self._pool.free(loan)

    def forget(self, connection: int) -> None:
        """Called when a connection ended: its loan ends."""
        self.take_back(connection)
        self._next_bytes.pop(connection, None)


def _fits(loan: Place, end: int, ranges: Sequence[tuple[int, int]]) -> bool:
    at = loan.offset
    for offset, length in ranges:
        if offset < at or offset % ALIGNMENT_BYTES or length <= 0:
            return False
        at = offset + align(length)
    return at <= end <= loan.offset + loan.length_bytes and end % ALIGNMENT_BYTES == 0
