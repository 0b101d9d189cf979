"""Memory that the store has lent to this process: small objects are made there without asking the store.

The store hears of such an object later; see `unreported`. A loan that is used up is replaced by another one, and a
process whose loan was refused asks again only after some more objects.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId
from actorrt.store.connection.backlog import Backlog
from actorrt.store.connection.conversation import WARMED_APART_BYTES, Conversation
from actorrt.store.connection.unreported import UnreportedObjects
from actorrt.store.memory.lending import max_object_bytes
from actorrt.store.memory.pool import Place
from actorrt.store.wire.protocol import Op

_MAX_REFUSALS_COUNT: Final = 8
_NO_VIEWS: Final = (memoryview(b""), memoryview(b""))


class Loan:
    """Makes objects on the loan of one process, and seals or aborts any object of the process. Thread-safe.

    Args:
        conversation: the way to the store.
        backlog: reports to the store the objects that were made.
        unreported: the objects of which the store has not been told.
    """

    def __init__(self, conversation: Conversation, backlog: Backlog, unreported: UnreportedObjects) -> None:
        self._conversation = conversation
        self._lock = conversation.lock
        self._backlog = backlog
        self._to_release = backlog.to_release
        self._unreported = unreported
        self._max_bytes = max_object_bytes(conversation.channel.capacity_bytes)
        self._start = 0
        self._views = _NO_VIEWS  # to be read, and to be written
        self._pause_count = 0
        self._refusals_count = 0

    def put(self, object_id: ObjectId, data: bytes) -> bool:
        """Make and seal a small object; False if the store lends nothing."""
        if not self._conversation.is_open:
            self._conversation.check()
            return False
        length = len(data)
        with self._lock:
            if self._to_release:
                self._backlog.free_space_locked()
            offset = self._unreported.add(object_id, length)
            if offset < 0:
                place = self._create_on_new_loan(object_id, length, "")
                if place is None:
                    return False
                self._unreported.seal(object_id)
                offset = place.offset
            start = offset - self._start
            self._views[True][start : start + length] = data
        if not self._backlog.is_report_due:
            self._backlog.report_later()
        return True

    def create(self, object_id: ObjectId, length_bytes: int, line: str) -> memoryview | None:
        """Begin an object and return its bytes; None if it is too long for a loan, or the store lends nothing."""
        if not self._conversation.is_open:
            self._conversation.check()
            return None
        if length_bytes > self._max_bytes:
            return None
        with self._lock:
            if self._to_release:
                self._backlog.free_space_locked()
            place = self._unreported.create(object_id, length_bytes, line)
            if place is None:
                place = self._create_on_new_loan(object_id, length_bytes, line)
            target = None if place is None else self._view(place, writable=True)
        if place is not None and length_bytes >= WARMED_APART_BYTES // 4:
            self._conversation.maps.warm(place.segment_id, place.offset, length_bytes)
        return target

    def seal(self, object_id: ObjectId) -> None:
        """Finish an object that this process made, on loan or not."""
        if not self._conversation.is_open:
            self._conversation.check()
        with self._lock:
            is_unreported = self._unreported.seal(object_id)
            if not is_unreported:
                self._backlog.flush_locked()
                self._conversation.channel.post(Op.SEAL, object_id)
        if is_unreported and not self._backlog.is_report_due:
            self._backlog.report_later()

    def abort(self, object_id: ObjectId) -> None:
        """Give up an object that this process was making, on loan or not."""
        if not self._conversation.is_open:
            self._conversation.check()
        with self._lock:
            if not self._unreported.abort(object_id):
                self._backlog.flush_locked()
                self._conversation.channel.post(Op.ABORT, object_id)

    def pin(self, object_id: ObjectId) -> memoryview | None:
        """Pin a sealed unreported object and return its bytes; None if the object is not sealed or not unreported."""
        if not self._conversation.is_open:
            self._conversation.check()
        with self._lock:
            place = self._unreported.pin(object_id)
            return None if place is None else self._view(place, writable=False)

    def give_back(self) -> None:
        """Return the loan to the store, which is short of memory. Without effect if the store is gone."""
        if not self._conversation.has_ended:
            with self._lock, suppress(ObjectLostError):
                self._backlog.flush_locked()
                self._unreported.borrow(None)
                self._views = _NO_VIEWS
                self._conversation.channel.post(Op.BORROW, 0)

    def end(self) -> None:
        """Release the mapping after the conversation has ended.

        A thread that waits for the lock since before the end finds no loan and no object then.
        """
        with self._lock:
            self._unreported.clear()
            self._views = _NO_VIEWS

    def _create_on_new_loan(self, object_id: ObjectId, length_bytes: int, line: str) -> Place | None:
        """Borrow memory and begin an object there; None while the store lends nothing. The lock is held."""
        if self._pause_count:
            self._pause_count -= 1
            return None
        self._backlog.flush_locked()
        # The loan may have had too many objects, and not too few bytes.
        place = self._unreported.create(object_id, length_bytes, line)
        if place is not None:
            return place
        self._unreported.borrow(None)
        result = self._conversation.ask(Op.BORROW, length_bytes).result
        if not isinstance(result, list):
            self._refusals_count = min(_MAX_REFUSALS_COUNT, self._refusals_count + 1)
            self._pause_count = 2**self._refusals_count
            return None
        self._refusals_count = 0
        self._use(Place(*result))
        return self._unreported.create(object_id, length_bytes, line)

    def _use(self, loan: Place) -> None:
        maps, where = self._conversation.maps, (loan.segment_id, loan.offset, loan.length_bytes)
        self._start = loan.offset
        self._views = maps.view(*where, writable=False), maps.view(*where, writable=True, is_warmed=False)
        if loan.length_bytes >= WARMED_APART_BYTES:
            self._conversation.warmer.warm(*where)
        self._unreported.borrow(loan)

    def _view(self, place: Place, *, writable: bool) -> memoryview:
        start = place.offset - self._start
        return self._views[writable][start : start + place.length_bytes]
