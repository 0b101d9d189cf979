"""The messages that the store is sent later: reports of objects, releases, and what becomes of transits.

Finalizers may run at any moment, also in the middle of a request, so `queue_release` does no more than append to a
queue. The backlog is sent with the next message, or by the loop. `Conversation.lock` guards it; methods whose name
ends with `_locked` are called by the thread that holds the lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.connection.conversation import Conversation
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.connection.kept import Kept
from actorrt.store.connection.unreported import Report, UnreportedObjects
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op

_REPORT_S: Final = 0.05
"""The pause between two reports of objects that were made on loan. Reporting them at once would take the interpreter
from the thread that is putting, and each new object would lie in cold memory in place of the memory of one that was
dropped. The memory of unreported objects counts as lent."""
_FLUSH_S: Final = 0.005

T = TypeVar("T")


class Backlog:
    """The queues of one process.

    Args:
        conversation: the way to the store.
        events_loop: sends the backlog if no other message does.
        unreported: the objects of which the store has not been told.
        kept: refs and views that the loop releases when it flushes after a delay.

    Attributes:
        to_release: the holds and pins that have ended, in order; finalizers append to it without the lock.
        store_releases: those of objects that the store knows, taken out of `to_release`; guarded by the lock.
        is_report_due: whether the loop will report the objects that were made on loan; to be read only.
    """

    def __init__(
        self, conversation: Conversation, events_loop: EventsLoop, unreported: UnreportedObjects, kept: Kept
    ) -> None:
        self.to_release: deque[tuple[bool, ObjectId]] = deque()
        self.store_releases: deque[tuple[bool, ObjectId]] = deque()
        self.is_report_due = False
        self._conversation = conversation
        self._channel = conversation.channel
        self._lock = conversation.lock
        self._events_loop = events_loop
        self._unreported = unreported
        self._unreported_objects = unreported.objects
        self._kept = kept
        self._kept_here: deque[ObjectId] = deque()
        self._arrived: deque[tuple[ObjectId, bytes]] = deque()
        self._addressed: deque[tuple[bytes, PeerId, bool]] = deque()
        self._settled: deque[bytes] = deque()
        self._is_flush_due = False
        self._is_late_flush_due = False

    @property
    def to_release_count(self) -> int:
        """The number of holds and pins that have ended, and whose end the store has not heard of."""
        return len(self.to_release) + len(self.store_releases)

    # Queueing

    def queue_release(self, object_id: ObjectId, *, is_pin: bool) -> None:
        """Queue the end of a hold or of a pin; takes no lock and sends nothing."""
        if self._conversation.has_ended:
            return
        self.to_release.append((is_pin, object_id))
        # The release of an unreported object needs no flush: the next put reuses its memory.
        if not self._is_flush_due and object_id not in self._unreported_objects:
            self._flush_soon()

    def arrived(self, object_id: ObjectId, token: bytes) -> None:
        """Queue the end of a transit whose object this process holds already."""
        self._conversation.check()
        self._arrived.append((object_id, token))
        self._flush_or_schedule()

    def address(self, addressed: Sequence[tuple[bytes, PeerId, bool]]) -> None:
        """Queue the nodes that transits have left for; without effect after the end."""
        if not self._conversation.has_ended:
            self._addressed.extend(addressed)
            self._flush_or_schedule()

    def settle(self, tokens: Sequence[bytes]) -> None:
        """Queue the end of transits; without effect after the end, since a store that is gone keeps nothing."""
        if not self._conversation.has_ended:
            self._settled.extend(tokens)
            self._flush_or_schedule()

    def keep(self, object_id: ObjectId) -> None:
        """Queue the notice that this process can make an object again."""
        if not self._conversation.has_ended:
            self._kept_here.append(object_id)
            if not self._is_flush_due:
                self._flush_soon()

    def _flush_or_schedule(self) -> None:
        if self._events_loop.loop is None:
            self.flush()
        else:
            self.flush_later()

    # Scheduling

    def _flush_soon(self) -> None:
        """Have the loop flush; without a loop, the next message does."""
        if self._events_loop.loop is not None:
            self._is_flush_due = True
            self._schedule(0.0, self._flush_on_loop)

    def flush_later(self) -> None:
        """Have the loop release the kept refs and views in some milliseconds, and flush."""
        if self._events_loop.loop is not None and not self._is_late_flush_due:
            self._is_late_flush_due = True
            self._schedule(_FLUSH_S, self._flush_late)

    def report_later(self) -> None:
        """Have the loop report, after a pause, the objects on loan that still exist then."""
        if self._events_loop.loop is not None:
            self.is_report_due = True
            self._schedule(_REPORT_S, self._report_late)

    def _schedule(self, delay_s: float, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: its owner did not close the client first
            if delay_s:
                self._events_loop.call_later(delay_s, callback)
            else:
                self._events_loop.call_soon(callback)

    def _flush_late(self) -> None:
        self._is_late_flush_due = False
        self._is_flush_due = True  # the flush below sends the releases that `clear` queues
        self._kept.clear()
        self._flush_on_loop()

    def _report_late(self) -> None:
        self.is_report_due = False
        self._is_flush_due = True  # the flush below sends the releases that `clear` queues
        self._kept.clear()
        self._flush_on_loop(reports_old=True)
        if len(self._unreported) and not self.is_report_due:
            self.report_later()

    def _flush_on_loop(self, *, reports_old: bool = False) -> None:
        """Send the queues. Young objects stay unreported, so that their memory can be reused when they are dropped."""
        self._is_flush_due = False
        if not self._conversation.has_ended:
            with self._lock, suppress(ObjectLostError):  # the store is gone: `on_lost` is called later
                self._sort_releases()
                if reports_old:
                    self._send(self._unreported.report(only_old=True))
                self.release_all_locked()
                self._channel.flush()

    # Sending

    def flush(self) -> None:
        """Send everything now.

        Raises:
            ObjectLostError: the store is gone.
        """
        self._conversation.check()
        with self._lock:
            self.flush_locked()

    def flush_locked(self) -> None:
        """Send everything."""
        self.report_locked()
        self.release_all_locked()
        self._channel.flush()

    def report_locked(self) -> None:
        """Report every object that was made on loan, with the next message, and leave the releases for later."""
        if self.to_release:
            self._sort_releases()
        report = self._unreported.report()
        if report is not None:
            self._send(report)

    def free_space_locked(self) -> None:
        """Make the memory of unreported objects that were dropped available to the next one."""
        self._sort_releases()
        if len(self.store_releases) > MAX_BATCH_COUNT:
            self.flush_locked()

    def _sort_releases(self) -> None:
        """End holds and pins of unreported objects here, and keep the others for the store. The lock is held."""
        while self.to_release:
            is_pin, object_id = self.to_release.popleft()
            if not (self._unreported.unpin(object_id) if is_pin else self._unreported.release(object_id)):
                self.store_releases.append((is_pin, object_id))

    def _send(self, report: Report | None) -> None:
        """Tell the store of objects that were made on loan, with the next message. The lock is held."""
        if report is not None:
            self._channel.queue(Op.REPORT, *report)

    def release_all_locked(self) -> None:
        """Release everything that is queued, with the next message."""
        while self._kept_here:
            self._channel.queue(Op.KEEP, _batch(self._kept_here))
        while self._arrived:
            self._channel.queue(Op.ARRIVE, _batch(self._arrived))
        while self._addressed:
            self._channel.queue(Op.ADDRESS, _batch(self._addressed))
        while self._settled:
            self._channel.queue(Op.SETTLE, _batch(self._settled))
        while self.store_releases:
            self.release_some_locked(MAX_BATCH_COUNT)

    def release_some_locked(self, count: int) -> None:
        """Release at most `count`, of at least one that is queued, with the next message."""
        released: list[ObjectId] = []
        unpinned: list[ObjectId] = []
        for is_pin, object_id in _batch(self.store_releases, count):
            (unpinned if is_pin else released).append(object_id)
        self._channel.queue(Op.RELEASE, released, unpinned)


def _batch(queue: deque[T], count: int = MAX_BATCH_COUNT) -> list[T]:
    """Take as many as a message may have."""
    return [queue.popleft() for _ in range(min(len(queue), count))]
