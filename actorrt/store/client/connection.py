"""One process's conversation with its store: requests, what is told later, and the segments in view.

Thread-safe; one request at a time. Holds and pins are given back in batches: finalizers may run at any moment, also
in the middle of a request, so `give_back` does no more than append to a queue. That queue, and what the store has
not been told of small objects (see `fresh`), go along with the next message, or are sent by the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any, Final, TypeVar

from actorrt import forks
from actorrt.config import MIB
from actorrt.errors import ActorRtError, ObjectLostError, RuntimeStateError
from actorrt.ids import ObjectId, short
from actorrt.store.client.undoing import undo
from actorrt.store.client.unreported import UnreportedObjects
from actorrt.store.memory.lending import max_object_bytes
from actorrt.store.memory.mappings import Pin, SegmentMaps
from actorrt.store.memory.pool import Place
from actorrt.store.memory.views import pinned_view
from actorrt.store.memory.warming import Warmer
from actorrt.store.values.errors import decode
from actorrt.store.wire.channel import Channel, OnEvent, StoreReply
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op, Status, Wait

_WARMED_APART_BYTES: Final = 1 * MIB
_FRESH_UNTOLD_S: Final = 0.05
"""How often the store is told of what was made on loan and has lived as long. Told at once, the loop's thread would
take the interpreter from the thread that is putting, and what is put and dropped would move on through cold memory; it
counts as lent either way."""
_LINGER_S: Final = 0.005
_LINGERING_COUNT: Final = 64
_GIVEN_BACK_S: Final = 0.05
_GIVEN_BACK_BESIDE_COUNT: Final = 512
"""How much is given back after a read, so that the store does it while what was read is looked at."""
_MAKING: Final = (Op.CREATE, Op.RESERVE, Op.TAKE_ALLOCATION)

T = TypeVar("T")


class NotReadyError(RuntimeStateError):
    """The object is not sealed yet: wait for its ref."""


class StoreConnection:
    """A lock around a channel, and what belongs to it.

    Args:
        channel: the way to the store.

    Attributes:
        maps: the segments that this process has mapped.
        warmer: makes those warm that it will write.
    """

    def __init__(self, channel: Channel) -> None:
        self.maps = SegmentMaps()
        self.warmer = Warmer(self.maps)
        self._channel = channel
        self._lock = threading.Lock()
        self._given_back: deque[tuple[bool, ObjectId]] = deque()
        self._unsaid: deque[tuple[bool, ObjectId]] = deque()  # of those, what the store is to be told
        self._arrived: deque[tuple[ObjectId, bytes]] = deque()
        self._settled: deque[bytes] = deque()
        self._lingering: dict[ObjectId, object] = {}
        self._shown: dict[ObjectId, memoryview] = {}
        self._fresh = UnreportedObjects()
        self._max_fresh_bytes = max_object_bytes(channel.capacity_bytes)
        self._is_broken = False
        self._loan_start = 0
        self._loan_views = (memoryview(b""), memoryview(b""))
        self._loan_pause_count = 0
        self._loan_refusals_count = 0
        self._is_flush_due = False
        self._delays_due: set[float] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._unusable: tuple[type[ActorRtError], str] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that hears the store's events."""
        return self._loop

    @property
    def is_on_own_loop(self) -> bool:
        """Whether this thread runs the loop that hears the store's events."""
        return self._loop is not None and self._loop_thread == get_ident()

    @property
    def is_apart(self) -> bool:
        """Whether the store is another process."""
        return self._channel.is_apart

    @property
    def is_usable(self) -> bool:
        return self._unusable is None

    @property
    def grace_s(self) -> float:
        """How long others may take to hear that memory is short, and to give back what they have let go of."""
        return _GIVEN_BACK_S if self._channel.is_apart else 0.0

    @property
    def given_back_count(self) -> int:
        """How many holds and pins wait to be given back."""
        return len(self._given_back) + len(self._unsaid)

    def attach(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_lost: Callable[[], None]) -> None:
        """Have events told on `loop`, which is running this."""
        self.check()
        self._channel.listen(loop, on_event, on_lost)
        self._loop, self._loop_thread = loop, get_ident()

    def end(self, kind: type[ActorRtError], why: str) -> None:
        """Close; from now on requests raise `kind(why)`. Views stay readable. Idempotent."""
        if self._unusable is not None:
            return
        self._unusable = kind, why
        self._loop = None
        self._lingering.clear()
        self._shown.clear()
        self._channel.stop_listening()
        with self._lock:
            self._channel.close()
            self._loan_views = (memoryview(b""), memoryview(b""))
        self.maps.clear()

    def abandon_after_fork(self) -> None:
        """Disable the copy in a forked child; the parent's goes on undisturbed."""
        self._unusable = RuntimeStateError, forks.REFUSAL
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._loop = None
        self._channel.abandon_after_fork()

    def check(self) -> None:
        """Raise what requests raise after the end."""
        if self._unusable is not None:
            kind, why = self._unusable
            raise kind(why)  # a new one each time: an error refers to the frames it went through

    # Speaking

    def request(self, op: Op, *arguments: Any) -> Any:
        """Ask and return the result; a segment that comes with it is mapped.

        Where room is asked for and is still to be made, the result is a `Wait`.

        Raises:
            NotReadyError: the object asked for is not sealed yet.
            ObjectLostError: the store is gone.
            What the store answers.
        """
        self.check()
        with self._lock:
            if op is Op.GET:
                self._sort_given_back()
                self._tell()
            else:
                self._flush()
            reply = self._ask(op, *arguments)
            if op is Op.GET and self._unsaid:
                self._give_back_some(_GIVEN_BACK_BESIDE_COUNT)
        if reply.status is Status.ERROR:
            raise decode(reply.result)
        if reply.status is Status.PENDING:
            raise NotReadyError(f"object {short(arguments[0])} is not sealed yet")
        return Wait(reply.result) if reply.status is Status.WAIT else reply.result

    def _ask(self, op: Op, *arguments: Any) -> StoreReply:
        """Ask, and keep the mappings as the answer says. The lock is held."""
        try:
            reply = self._channel.request(op, *arguments)
        except ObjectLostError:
            self._is_broken = True  # the loop hears of it later; nothing is made meanwhile that nobody will hear of
            raise
        self._map(op, reply)
        for asked, its_arguments, answer in self._channel.take_stale():
            self._map(asked, answer)
            undo(self._channel, asked, its_arguments, answer)
        return reply

    def post(self, op: Op, *arguments: Any) -> None:
        """Say something that has no answer, after what was made here: it may be about that.

        Raises:
            ObjectLostError: the store is gone.
        """
        self.check()
        with self._lock:
            self._sort_given_back()
            self._tell()
            self._channel.post(op, *arguments)
            if len(self._unsaid) > MAX_BATCH_COUNT:
                self._flush()

    def wait(self, op: Op, *arguments: Any, timeout_s: float | None) -> bool:
        """Wait in this thread for the one event that answers a message; False where it did not come in time."""
        self.check()
        return self._channel.wait(op, *arguments, timeout_s=timeout_s) is not None

    # Objects

    def create_fresh(self, object_id: ObjectId, length_bytes: int, line: str) -> memoryview | None:
        """Begin an object in memory on loan and return its bytes; None where it is too long, or memory is short."""
        self.check()
        if length_bytes > self._max_fresh_bytes or self._is_broken:
            return None
        with self._lock:
            place = self._find_fresh(object_id, length_bytes, line)
            target = None if place is None else self._loan_view(place, writable=True)
        if place is not None and length_bytes >= _WARMED_APART_BYTES // 4:
            self.maps.warm(place.segment_id, place.offset, length_bytes)
        return target

    def put_fresh(self, object_id: ObjectId, data: bytes) -> bool:
        """Make and seal a small object in memory on loan; False where memory is short."""
        if self._unusable is not None:
            self.check()
        if self._is_broken:
            return False
        length = len(data)
        with self._lock:
            self._make_way()
            offset = self._fresh.add(object_id, length)
            if offset < 0:
                place = self._find_fresh(object_id, length, "")
                if place is None:
                    return False
                self._fresh.seal(object_id)
                offset = place.offset
            start = offset - self._loan_start
            self._loan_views[True][start : start + length] = data
        if _FRESH_UNTOLD_S not in self._delays_due:
            self._flush_after(_FRESH_UNTOLD_S)
        return True

    def _find_fresh(self, object_id: ObjectId, length_bytes: int, line: str) -> Place | None:
        """Return where an object on loan begins; None where memory is short. The lock is held."""
        self._make_way()
        place = self._fresh.create(object_id, length_bytes, line)
        return self._create_on_new_loan(object_id, length_bytes, line) if place is None else place

    def _make_way(self) -> None:
        """Let what was dropped make way for what is made next. The lock is held."""
        if self._given_back:
            self._sort_given_back()
            if len(self._unsaid) > MAX_BATCH_COUNT:
                self._flush()

    def _loan_view(self, place: Place, *, writable: bool) -> memoryview:
        """Return bytes of the loan in use."""
        start = place.offset - self._loan_start
        return self._loan_views[writable][start : start + place.length_bytes]

    def _use_loan(self, loan: Place) -> None:
        self._loan_start = loan.offset
        self._loan_views = (
            self.maps.view(loan.segment_id, loan.offset, loan.length_bytes, writable=False),
            self.maps.view(loan.segment_id, loan.offset, loan.length_bytes, writable=True, is_warmed=False),
        )
        if loan.length_bytes >= _WARMED_APART_BYTES:
            self.warmer.warm(loan.segment_id, loan.offset, loan.length_bytes)
        self._fresh.borrow(loan)

    def _create_on_new_loan(self, object_id: ObjectId, length_bytes: int, line: str) -> Place | None:
        """Borrow memory, unless that was refused a moment ago. The lock is held."""
        if self._loan_pause_count:
            self._loan_pause_count -= 1
            return None
        self._flush()
        place = self._fresh.create(object_id, length_bytes, line)  # there may have been too many, and not too little
        if place is not None:
            return place
        self._fresh.borrow(None)
        result = self._ask(Op.BORROW, length_bytes).result
        self._loan_refusals_count = 0 if isinstance(result, list) else min(8, self._loan_refusals_count + 1)
        if not isinstance(result, list):
            self._loan_pause_count = 2**self._loan_refusals_count
            return None
        self._use_loan(Place(*result))
        return self._fresh.create(object_id, length_bytes, line)

    def let_go(self) -> None:
        """Give memory back that the store is short of: what lingers, and the loan."""
        self._lingering.clear()
        self._shown.clear()
        if self._unusable is None:
            with self._lock, suppress(ObjectLostError):
                self._flush()
                self._fresh.borrow(None)
                self._loan_views = (memoryview(b""), memoryview(b""))
                self._channel.post(Op.BORROW, 0)

    def linger(self, object_id: ObjectId, ref: object) -> None:
        """Keep a ref that arrived for a moment: messages with the same ref often follow each other."""
        if self._channel.is_apart and self._loop is not None and len(self._lingering) < _LINGERING_COUNT:
            self._lingering[object_id] = ref
            if _LINGER_S not in self._delays_due:
                self._flush_after(_LINGER_S)

    def arrived(self, object_id: ObjectId, token: bytes) -> None:
        """Say, sooner or later, that a transit ended at a ref which this process has."""
        self.check()
        self._arrived.append((object_id, token))
        self._tell_late()

    def settle(self, tokens: Sequence[bytes]) -> None:
        """Say, sooner or later, that transits are over; a store that is gone keeps nothing for them."""
        if self._unusable is None:
            self._settled.extend(tokens)
            self._tell_late()

    def _tell_late(self) -> None:
        if self._loop is None:
            self.flush()
        elif _LINGER_S not in self._delays_due:
            self._flush_after(_LINGER_S)

    def seal(self, object_id: ObjectId) -> None:
        """Finish an object that this process made."""
        self.check()
        with self._lock:
            is_fresh = self._fresh.seal(object_id)
            if not is_fresh:
                self._flush()
                self._channel.post(Op.SEAL, object_id)
        if is_fresh and _FRESH_UNTOLD_S not in self._delays_due:
            self._flush_after(_FRESH_UNTOLD_S)

    def abort(self, object_id: ObjectId) -> None:
        """Give up an object that this process was making."""
        self.check()
        with self._lock:
            if not self._fresh.abort(object_id):
                self._flush()
                self._channel.post(Op.ABORT, object_id)

    def pinned(
        self, object_id: ObjectId, others: Sequence[ObjectId] = (), *, waits_for_disk: bool = True
    ) -> tuple[memoryview, Iterator[tuple[ObjectId, memoryview]]]:
        """Return the bytes of a sealed object; its pin is given back when the last view of them goes.

        Args:
            object_id: the object.
            others: those that are likely to be asked for next.
            waits_for_disk: else what comes from disk, and is not checked yet, is not ready.

        Returns:
            The bytes, and those of others, as far as the store showed them unasked.
        """
        shown = self._shown.pop(object_id, None) if self._shown else None
        if shown is not None:
            return shown, iter(())
        with self._lock:
            place = self._fresh.pin(object_id)
            view = None if place is None else self._loan_view(place, writable=False)
        if view is None:
            *place, shown = self.request(Op.GET, object_id, others, waits_for_disk)
            beside = ((ObjectId(other), self.view_pinned(ObjectId(other), at)) for other, *at in shown)
            return self.view_pinned(object_id, place), beside
        return self._pinned_view(object_id, view), iter(())

    def show(self, object_id: ObjectId, place: list[int]) -> None:
        """Take in where an object lies that the store has pinned unasked: whoever waited for it reads it next.

        It is kept for a moment only, since it may be that nobody reads it.
        """
        is_of_use = self._channel.is_apart and self._loop is not None and len(self._shown) < _LINGERING_COUNT
        if not (is_of_use and self.can_view(place)):
            self.give_back(object_id, is_pin=True)
            return
        self._shown[object_id] = self.view_pinned(object_id, place)
        if _LINGER_S not in self._delays_due:
            self._flush_after(_LINGER_S)

    def hide(self, object_id: ObjectId) -> None:
        """Let go of what was shown unasked and nobody has read."""
        self._shown.pop(object_id, None)

    def can_view(self, place: list[int]) -> bool:
        """Whether this process has a segment; the answer that brings it may be under way to another thread."""
        return self.maps.has(place[0])

    def view_pinned(self, object_id: ObjectId, place: list[int]) -> memoryview:
        """Return a view of bytes that are pinned for this process."""
        return self._pinned_view(object_id, self.maps.view(*place, writable=False))

    def _pinned_view(self, object_id: ObjectId, view: memoryview) -> memoryview:
        return pinned_view(view, Pin(object_id, lambda: self.give_back(object_id, is_pin=True)))

    def _map(self, op: Op, reply: StoreReply) -> None:
        """Keep the mappings as an answer says. The lock is held."""
        self.maps.forget(reply.retired)
        if reply.fd is not None:
            self.maps.add(reply.result[0], reply.fd, writable=op in (*_MAKING, Op.BORROW))
            if op in _MAKING and reply.result[2] >= _WARMED_APART_BYTES:
                self.warmer.warm(reply.result[0])  # more of that size may follow

    # Giving back

    def give_back(self, object_id: ObjectId, *, is_pin: bool) -> None:
        """Queue the end of a hold or of a pin; takes no lock and makes no request."""
        if self._unusable is not None:
            return
        self._given_back.append((is_pin, object_id))
        # What is fresh is told of late: until then the next put takes its memory again.
        if not self._is_flush_due and object_id not in self._fresh.objects:
            self._flush_soon()

    def flush(self) -> None:
        """Tell what is to be told, now. Raises ObjectLostError where the store is gone."""
        self.check()
        with self._lock:
            self._flush()

    def _flush_soon(self) -> None:
        """Have the loop tell what is to be told; without one, the next message does."""
        loop = self._loop
        if loop is not None and not self._is_flush_due:
            self._is_flush_due = True
            with suppress(RuntimeError):  # the loop is closed: its owner forgot to close this first
                loop.call_soon_threadsafe(self._flush_on_loop)

    def _flush_after(self, delay_s: float) -> None:
        """Have the loop tell, after a while, what nobody waits for, and let go of what lingers."""
        loop = self._loop
        if loop is not None:
            self._delays_due.add(delay_s)
            with suppress(RuntimeError):  # as above
                loop.call_soon_threadsafe(loop.call_later, delay_s, self._flush_late, delay_s)

    def _flush_late(self, delay_s: float) -> None:
        self._delays_due.discard(delay_s)
        self._is_flush_due = True  # what ends with those that linger needs no other turn
        self._lingering.clear()
        self._shown.clear()
        self._flush_on_loop(tells_old=delay_s == _FRESH_UNTOLD_S)
        if delay_s == _FRESH_UNTOLD_S and len(self._fresh) and delay_s not in self._delays_due:
            self._flush_after(delay_s)

    def _flush_on_loop(self, *, tells_old: bool = False) -> None:
        """Give back what is queued. What was made a moment ago stays untold: told, it could not be dropped untold."""
        self._is_flush_due = False
        if self._unusable is None:
            with self._lock, suppress(ObjectLostError):  # nobody is left to give back to; the loop hears of it
                self._sort_given_back()
                if tells_old:
                    self._tell(only_old=True)
                self._give_back_all()

    def _sort_given_back(self) -> None:
        """Give back what the store knows nothing of, and keep the rest for it. The lock is held."""
        while self._given_back:
            is_pin, object_id = self._given_back.popleft()
            if not (self._fresh.unpin(object_id) if is_pin else self._fresh.release(object_id)):
                self._unsaid.append((is_pin, object_id))

    def _tell(self, *, only_old: bool = False) -> None:
        """Tell of what was made. The lock is held."""
        report = self._fresh.report(only_old=only_old)
        if report is not None:
            self._channel.post(Op.REPORT, *report)

    def _flush(self) -> None:
        """Tell of what was made, and give back what is queued. The lock is held."""
        self._sort_given_back()
        self._tell()
        self._give_back_all()

    def _give_back_all(self) -> None:
        """Give back what is queued, of which the store knows. The lock is held."""
        while self._arrived:
            self._channel.post(Op.ARRIVE, _batch(self._arrived))
        while self._settled:
            self._channel.post(Op.SETTLE, _batch(self._settled))
        while self._unsaid:
            self._give_back_some(MAX_BATCH_COUNT)

    def _give_back_some(self, count: int) -> None:
        """Give back what is queued, up to a number. The lock is held."""
        released: list[ObjectId] = []
        unpinned: list[ObjectId] = []
        for _ in range(min(len(self._unsaid), count)):
            is_pin, object_id = self._unsaid.popleft()
            (unpinned if is_pin else released).append(object_id)
        self._channel.post(Op.RELEASE, released, unpinned)


def _batch(queue: deque[T]) -> list[T]:
    """Take as many as a message may have."""
    return [queue.popleft() for _ in range(min(len(queue), MAX_BATCH_COUNT))]
