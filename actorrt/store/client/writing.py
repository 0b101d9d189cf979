"""Makes the objects of a process: one, several at once, or in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import Any, Final
from weakref import ReferenceType
from weakref import ref as weak

from actorrt.config import KIB
from actorrt.errors import ActorRtError
from actorrt.ids import IdSource, ObjectId
from actorrt.machine.threads import Threads
from actorrt.store.client.buffer import AllocatedBuffer, AllocatedBuffers, Layout
from actorrt.store.client.deferred_puts import DeferredPuts
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.user_line import user_line
from actorrt.store.connection.loan import Loan
from actorrt.store.connection.reservations import LoopCannotWaitError, Reservation, Reservations
from actorrt.store.memory.arena import align
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.encoding import Encoded, encode, encode_pickled
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, MAX_PUBLISHED_BYTES, Op

_LINE_NOTED_BYTES: Final = 64 * KIB
_IDS_COUNT: Final = 64


class WritingClient(ABC):
    """The part of a client that makes objects.

    Args:
        loan: memory for objects that are made without asking.
        reservations: memory for the others.
        post: sends a message to the store.
        writable: returns the memory of a place, to be written.
        ids: makes object ids.
        threads: put later what finds no memory now.
    """

    def __init__(
        self,
        loan: Loan,
        reservations: Reservations,
        post: Callable[..., None],
        writable: Callable[..., memoryview],
        ids: IdSource,
        threads: Threads,
    ) -> None:
        self._loan = loan
        self._reservations = reservations
        self._post = post
        self._writable = writable
        self._ids = ids
        self._unused_ids: list[ObjectId] = []  # a forked child has the same ids, and may not use them
        self._deferred = DeferredPuts(threads)

    @property
    def has_deferred(self) -> bool:
        """Whether a value that was put here waits for memory, so that its object is not sealed yet."""
        return self._deferred.are_waiting

    def _new_id(self) -> ObjectId:
        try:
            return self._unused_ids.pop()
        except IndexError:
            self._unused_ids += self._ids.objects(_IDS_COUNT)
            return self._ids.object()

    @abstractmethod
    def ref(self, object_id: ObjectId, token: bytes | None = None) -> ObjectRef[Any]:
        """Register this process as a holder of an object."""

    @abstractmethod
    def _sealed(self, object_id: ObjectId, memory: memoryview | bytes | None = None) -> ObjectRef[Any]:
        """Return the ref of an object that is sealed, and held by this process."""

    @abstractmethod
    def declare(self, object_id: ObjectId | None = None) -> ObjectRef[Any]:
        """Promise an object that some process will put."""

    @abstractmethod
    def fail(self, object_id: ObjectId, error: BaseException) -> None:
        """Fail an object."""

    @abstractmethod
    def _carrier(self) -> Carrier:
        """Return a carrier for the refs inside an object."""

    def put(self, value: Any, *, object_id: ObjectId | None = None, timeout_s: float | None = None) -> ObjectRef[Any]:
        """Seal a value and return a ref to it.

        The call blocks while other objects are moved to disk to free memory. The thread of the attached loop does not
        block: there the value is copied, the ref can be read and sent at once, and a thread puts the copy later; see
        `deferred_puts`.

        Args:
            value: numpy arrays, Arrow data and bytes are stored as they are; other values are pickled.
            object_id: the object that `declare` promised; an object that is sealed already stays as it is.
            timeout_s: seconds to wait for memory; None does not wait until other objects are released.

        Raises:
            SerializationError: the value can't be stored; the message names the path of the part at fault.
            ObjectStoreFullError: there was no room in time; the message names the largest holders.
            ObjectLostError: the promised object was given up, or the store is gone.
        """
        carrier = self._carrier()
        return self._put_or_defer(encode(value, carrier), carrier, object_id, timeout_s)

    def _put_or_pack(self, value: Any, timeout_s: float | None) -> ObjectRef[Any] | bytes:
        """Seal a value as `put` does, or return the bytes of the object if it is small and contains no refs."""
        carrier = self._carrier()
        encoded = encode(value, carrier)
        holds_others = any(isinstance(ref, ObjectRef) for ref in carrier.refs)
        if encoded.length_bytes <= MAX_PUBLISHED_BYTES and not holds_others:
            return encoded.to_bytes()
        return self._put(encoded, carrier, None, timeout_s)

    async def put_async(
        self, value: Any, *, object_id: ObjectId | None = None, timeout_s: float | None = None
    ) -> ObjectRef[Any]:
        """Seal a value as `put` does, but wait without blocking the loop. The value must not change meanwhile."""
        carrier = self._carrier()
        encoded = encode(value, carrier)
        is_promised = object_id is not None
        object_id = self._new_id() if object_id is None else object_id
        target = self._begin_here(encoded, carrier, object_id, is_promised=is_promised)
        if isinstance(target, ObjectRef):
            return target
        if target is None:
            wanted = _wanted(object_id, encoded.length_bytes, is_promised=is_promised, line=_line(encoded))
            place = await self._reservations.reserve_async(wanted, timeout_s)
            if place is None:
                return self.ref(object_id)
            target = self._writable(*place)
        return self._write(encoded, carrier, object_id, target)

    def put_parts(
        self,
        data: bytes,
        buffers: Sequence[memoryview] = (),
        *,
        contained: Sequence[ObjectRef[Any]] = (),
        object_id: ObjectId | None = None,
        timeout_s: float | None = None,
    ) -> ObjectRef[Any]:
        """Seal the result of `dumps` as `put` does. Its carrier had `copies_count=0` and gathered `contained`."""
        carrier = self._carrier()
        carrier.refs.extend(contained)
        return self._put_or_defer(encode_pickled(data, buffers), carrier, object_id, timeout_s)

    def _put_or_defer(
        self, encoded: Encoded, carrier: Carrier, object_id: ObjectId | None, timeout_s: float | None
    ) -> ObjectRef[Any]:
        """Seal a value; later and from a copy, if this thread can't wait for memory."""
        try:
            return self._put(encoded, carrier, object_id, timeout_s)
        except LoopCannotWaitError:
            copy = self._deferred.copy(encoded)
            if copy is None:
                raise
        ref = self.declare(object_id)
        ref.keep(copy)
        ref.set_value(None)
        self._deferred.start(copy, partial(self._put_deferred, weak(ref), copy, carrier, ref.id, timeout_s))
        return ref

    def _put_deferred(
        self,
        weakly: ReferenceType[ObjectRef[Any]],
        copy: memoryview,
        carrier: Carrier,
        object_id: ObjectId,
        timeout_s: float | None,
    ) -> None:
        try:
            self._put(Encoded.of_bytes(copy), carrier, object_id, timeout_s)
        except ActorRtError as error:
            with suppress(ActorRtError):  # the store is gone, and its end fails the waiters
                self.fail(object_id, error)
            return
        ref = weakly()
        if ref is not None:
            ref.keep(None)  # from now on it is read from the store

    def _put(
        self, encoded: Encoded, carrier: Carrier, object_id: ObjectId | None, timeout_s: float | None
    ) -> ObjectRef[Any]:
        is_promised = object_id is not None
        object_id = self._new_id() if object_id is None else object_id
        target = self._begin_here(encoded, carrier, object_id, is_promised=is_promised)
        if isinstance(target, ObjectRef):
            return target
        if target is None:
            line = _line(encoded)
            target = self.create(object_id, encoded.length_bytes, timeout_s, is_promised=is_promised, line=line)
        return self.ref(object_id) if target is None else self._write(encoded, carrier, object_id, target)

    def _begin_here(
        self, encoded: Encoded, carrier: Carrier, object_id: ObjectId, *, is_promised: bool
    ) -> ObjectRef[Any] | memoryview | None:
        """Make a small object in memory on loan, or begin it there; None if that is not possible."""
        if is_promised:
            return None
        if encoded.is_plain and self._loan.put(object_id, encoded.head):
            return self._sealed(object_id, encoded.head)
        if carrier.refs:
            return None
        return self._loan.create(object_id, encoded.length_bytes, _line(encoded))

    def _write(self, encoded: Encoded, carrier: Carrier, object_id: ObjectId, target: memoryview) -> ObjectRef[Any]:
        """Write an object that was begun, and seal it."""
        try:
            encoded.write(target)
        except BaseException:
            self._loan.abort(object_id)
            raise
        if carrier.refs:
            self._contain(object_id, carrier)
        return self.seal(object_id)

    def _contain(self, object_id: ObjectId, carrier: Carrier) -> None:
        """Let an object that is not sealed yet hold the objects whose refs it contains."""
        contained = [ref.id for ref in carrier.refs if isinstance(ref, ObjectRef)]
        for start in range(0, len(contained), MAX_BATCH_COUNT):
            self._post(Op.CONTAIN, object_id, contained[start : start + MAX_BATCH_COUNT])

    def put_many(self, values: Sequence[Any], *, timeout_s: float | None = None) -> list[ObjectRef[Any]]:
        """Seal several values, all or none of them: memory for all is reserved before the first is written.

        Raises:
            SerializationError: a value can't be stored; the message names the path.
            ObjectStoreFullError: there was no room for all of them in time.
        """
        carriers = [self._carrier() for _ in values]
        encoded = [encode(value, carrier) for value, carrier in zip(values, carriers, strict=True)]
        refs: dict[int, ObjectRef[Any]] = {}
        for number, form in enumerate(encoded):
            if form.is_plain and self._loan.put(object_id := self._new_id(), form.head):
                refs[number] = self._sealed(object_id, form.head)
        rest = [number for number in range(len(values)) if number not in refs]
        for start in range(0, len(rest), MAX_BATCH_COUNT):
            refs.update(self._put_together(rest[start : start + MAX_BATCH_COUNT], encoded, carriers, timeout_s))
        return [refs[number] for number in range(len(values))]

    def _put_together(
        self, numbers: Sequence[int], encoded: Sequence[Encoded], carriers: Sequence[Carrier], timeout_s: float | None
    ) -> dict[int, ObjectRef[Any]]:
        made = self.reserve([encoded[number].length_bytes for number in numbers], timeout_s, line=user_line())
        unsealed = [object_id for object_id, _ in made]
        try:
            for number, (object_id, target) in zip(numbers, made, strict=True):
                encoded[number].write(target)
                self._contain(object_id, carriers[number])
            return {number: self.seal(unsealed.pop(0)) for number in numbers}
        except BaseException:
            for object_id in unsealed:
                self._loan.abort(object_id)
            raise

    def create(
        self,
        object_id: ObjectId,
        length_bytes: int,
        timeout_s: float | None,
        *,
        is_promised: bool = False,
        line: str = "",
    ) -> memoryview | None:
        """Begin an object and return its memory, to be written and sealed, or None if it is sealed already.

        Raises:
            ObjectStoreFullError: there was no room in time.
            ObjectLostError: the promised object was given up.
        """
        wanted = _wanted(object_id, length_bytes, is_promised=is_promised, line=line)
        place = self._reservations.reserve(wanted, timeout_s)
        return None if place is None else self._writable(*place)

    def reserve(
        self, lengths_bytes: Sequence[int], timeout_s: float | None, *, line: str = ""
    ) -> list[tuple[ObjectId, memoryview]]:
        """Begin several objects, all or none of them, and return the id and the memory of each.

        Raises:
            ObjectStoreFullError: there was no room for all of them in time; none is begun.
        """
        ids = [self._new_id() for _ in lengths_bytes]
        lengths = [align(length) for length in lengths_bytes]
        wanted = Reservation(Op.RESERVE, (list(zip(ids, lengths, strict=True)), line), ids)
        place = self._reservations.reserve(wanted, timeout_s)
        assert place is not None, "new ids"
        target = self._writable(*place)
        ends = list(accumulate(lengths))
        return [(i, target[end - length : end]) for i, end, length in zip(ids, ends, lengths, strict=True)]

    def seal(self, object_id: ObjectId) -> ObjectRef[Any]:
        """Finish an object that this process created; its ref takes over the hold that `create` gave."""
        self._loan.seal(object_id)
        return self._sealed(object_id)

    def abort(self, object_id: ObjectId) -> None:
        """Give up an object that this process created."""
        self._loan.abort(object_id)

    def allocate(self, shape: int | tuple[int, ...], dtype: Any, *, timeout_s: float | None = None) -> AllocatedBuffer:
        """Return a context manager with an array in shared memory, to be written in place and sealed.

        Raises:
            ObjectStoreFullError: there was no room in time.
            TypeError: elements of this dtype can't be written in place.
        """
        return self.allocate_many([(shape, dtype)], timeout_s=timeout_s)[0]

    def allocate_many(
        self, forms: Sequence[tuple[int | tuple[int, ...], Any]], *, timeout_s: float | None = None
    ) -> AllocatedBuffers:
        """Return a buffer for each form, a shape and a dtype; memory for all is reserved at once.

        Raises:
            ObjectStoreFullError, TypeError: as in `allocate`; nothing is reserved.
        """
        layouts = [Layout(shape, dtype) for shape, dtype in forms]
        made = self.reserve([layout.length_bytes for layout in layouts], timeout_s, line=user_line())
        return AllocatedBuffers(
            AllocatedBuffer(object_id, layout, target, seal=self.seal, abort=self.abort)
            for (object_id, target), layout in zip(made, layouts, strict=True)
        )


def _wanted(object_id: ObjectId, length_bytes: int, *, is_promised: bool, line: str) -> Reservation:
    return Reservation(Op.CREATE, (object_id, length_bytes, is_promised, line), (object_id,))


def _line(encoded: Encoded) -> str:
    """Return the line of the user's code that makes an object, if the object is large enough to be listed."""
    return user_line() if encoded.length_bytes > _LINE_NOTED_BYTES else ""
