"""One process's connection with its store: requests, and views of the objects that the store has pinned for it.

Thread-safe; one request at a time. It is built from these modules: `conversation` is the channel and its lock,
`backlog` sends messages later, and `loan` is the memory in which this process makes objects without asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from actorrt.errors import ActorRtError, RuntimeStateError
from actorrt.ids import ObjectId, short
from actorrt.machine.threads import Threads
from actorrt.store.connection.backlog import Backlog
from actorrt.store.connection.conversation import Conversation
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.connection.kept import MAX_KEPT_COUNT, Kept
from actorrt.store.connection.loan import Loan
from actorrt.store.connection.unreported import UnreportedObjects
from actorrt.store.memory.mappings import Pin
from actorrt.store.memory.views import pinned_view
from actorrt.store.values.errors import decode
from actorrt.store.wire.channel import Channel, OnEvent
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op, Status, Wait

_RELEASED_BESIDE_COUNT: Final = 512
"""How many releases follow a read: the store handles them while the process works on the value that it has read."""


class NotReadyError(RuntimeStateError):
    """The object is not sealed yet: wait for its ref."""


class StoreConnection:
    """Requests to the store, in order with the backlog.

    Args:
        channel: the way to the store.
        threads: warm memory.

    Attributes:
        events_loop: the loop that hears the store's events.
        conversation: the channel with its lock and the mappings.
        backlog: messages that are sent later.
        loan: memory for objects that are made without asking.
    """

    def __init__(self, channel: Channel, threads: Threads) -> None:
        self.events_loop = EventsLoop()
        self.conversation = Conversation(channel, threads)
        self._kept = Kept()
        unreported = UnreportedObjects()
        self.backlog = Backlog(self.conversation, self.events_loop, unreported, self._kept)
        self.loan = Loan(self.conversation, self.backlog, unreported)
        self._unreported = unreported.objects
        self._queue_release = self.backlog.queue_release
        self._maps = self.conversation.maps
        self._lock = self.conversation.lock
        self._channel = channel

    def attach(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Have events told on `loop`, which is running this."""
        self.conversation.check()
        self._channel.listen(loop, on_event, on_lost)
        self.events_loop.attach(loop)

    def end(self, kind: type[ActorRtError], why: str) -> None:
        """Close the connection; from now on requests raise `kind(why)`. Views stay readable. Idempotent."""
        if not self.conversation.has_ended:
            self.events_loop.detach()
            self.conversation.end(kind, why)
            self._kept.clear()
            self.loan.end()

    def abandon_after_fork(self) -> None:
        """Disable the copy in a forked child; the parent's connection is not disturbed."""
        self.events_loop.detach()
        self.conversation.abandon_after_fork()

    # Speaking

    def request(self, op: Op, *arguments: Any) -> Any:
        """Ask and return the result; a segment that comes with it is mapped.

        If an allocation must wait, the result is a `Wait`.

        Raises:
            NotReadyError: the object asked for is not sealed yet.
            ObjectLostError: the store is gone.
            The error that the store answers with.
        """
        self.conversation.check()
        with self._lock:
            self.backlog.report_locked()
            if op is not Op.GET:
                self.backlog.release_all_locked()
            reply = self.conversation.ask(op, *arguments)
            if op is Op.GET and self.backlog.store_releases:
                self.backlog.release_some_locked(_RELEASED_BESIDE_COUNT)
                self._channel.flush()
        if reply.status is Status.ERROR:
            raise decode(reply.result)
        if reply.status is Status.PENDING:
            raise NotReadyError(f"object {short(arguments[0])} is not sealed yet")
        return Wait(reply.result) if reply.status is Status.WAIT else reply.result

    def post(self, op: Op, *arguments: Any) -> None:
        """Send a message that has no answer, after a report of the objects made here, which it may mention.

        Raises:
            ObjectLostError: the store is gone.
        """
        self.conversation.check()
        with self._lock:
            self.backlog.report_locked()
            self._channel.queue(op, *arguments)
            if self.backlog.store_releases:
                self.backlog.release_some_locked(MAX_BATCH_COUNT)
            self._channel.flush()

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> bool:
        """Wait in this thread for the one event that answers a message; False if it did not come in time."""
        self.conversation.check()
        return self._channel.wait(op, *arguments, timeout_s=timeout_s) is not None

    # Views

    def pinned(
        self, object_id: ObjectId, others: Sequence[ObjectId] = (), *, waits_for_disk: bool = True
    ) -> tuple[memoryview, Iterator[tuple[ObjectId, memoryview]]]:
        """Return the bytes of a sealed object; its pin ends when the last view of them goes.

        Args:
            object_id: the object.
            others: objects that are likely to be asked for next.
            waits_for_disk: if False, an object on disk that is not verified yet is not ready.

        Returns:
            The bytes, and those of the others that the store pinned too.
        """
        kept = self._kept.views.pop(object_id, None) if self._kept.views else None
        if kept is not None:
            return kept, iter(())
        view = self.loan.pin(object_id) if object_id in self._unreported else None
        if view is None:
            *place, beside = self.request(Op.GET, object_id, others, waits_for_disk)
            more = ((ObjectId(other), self.view_pinned(ObjectId(other), at)) for other, *at in beside)
            return self.view_pinned(object_id, place), more
        return self._pinned_view(object_id, view), iter(())

    def can_view(self, place: list[int]) -> bool:
        """Whether this process has mapped a segment; another thread may be receiving the descriptor of it."""
        return self._maps.has(place[0])

    def view_pinned(self, object_id: ObjectId, place: list[int]) -> memoryview:
        """Return a view of bytes that are pinned for this process."""
        return self._pinned_view(object_id, self._maps.view(*place, writable=False))

    def _pinned_view(self, object_id: ObjectId, view: memoryview) -> memoryview:
        return pinned_view(view, Pin(object_id, lambda: self._queue_release(object_id, is_pin=True)))

    # Refs and views that are kept for a few milliseconds

    def keep_view(self, object_id: ObjectId, place: list[int]) -> None:
        """Keep a view of an object that the store pinned ahead of a request, or unpin the object."""
        if self._may_keep(self._kept.views) and self.can_view(place):
            self._kept.views[object_id] = self.view_pinned(object_id, place)
            self.backlog.flush_later()
        else:
            self.backlog.queue_release(object_id, is_pin=True)

    def drop_view(self, object_id: ObjectId) -> None:
        """Unpin an object that was pinned ahead of a request and not read."""
        self._kept.views.pop(object_id, None)

    def release_later(self, object_id: ObjectId, ref: object) -> None:
        """Keep a ref that arrived: messages with the same ref often follow each other."""
        if self._may_keep(self._kept.refs):
            self._kept.refs[object_id] = ref
            self.backlog.flush_later()

    def _may_keep(self, kept: dict[ObjectId, Any]) -> bool:
        return self._channel.is_apart and self.events_loop.loop is not None and len(kept) < MAX_KEPT_COUNT

    def release_spare(self) -> None:
        """Release the refs and views that are only cached, and the loan: the store is short of memory."""
        self._kept.clear()
        self.loan.give_back()
