"""`ObjectRef`: a hold on one object of the store, and the way to its value."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.ids import ObjectId, PeerAddress, short
from actorrt.store.connection.connection import NotReadyError
from actorrt.store.values.carrier import current_carrier

T = TypeVar("T")


class RefClient(Protocol):
    """The part of a client that its refs use."""

    @property
    def is_attached(self) -> bool:
        """Whether a loop hears the store's events."""

    def look(self, ref: ObjectRef[Any], *, waits_for_disk: bool = True) -> None:
        """Complete a ref whose object is sealed or lost already."""

    def ask(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed, sooner or later."""

    def watch(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed by the store's events."""

    def once_more(self, ref: ObjectRef[Any]) -> ObjectRef[Any]:
        """Return another ref to a ref's object, which is not done yet."""

    def wait_apart(self, ref: ObjectRef[Any], timeout_s: float | None) -> None:
        """Wait for a ref in this thread."""

    def read(self, ref: ObjectRef[Any]) -> Any:
        """Return the value of a ref's object."""

    def view(self, ref: ObjectRef[Any]) -> memoryview:
        """Return the bytes of a ref's object."""

    def forget(self, object_id: ObjectId) -> None:
        """End the hold of a ref."""

    def cancel_task(self, object_id: ObjectId, maker: PeerAddress, *, force: bool) -> Any:
        """Have a process cancel the task that makes an object; return what ends with whether it made a difference."""

    def new_token(self) -> bytes:
        """Return a name for one transit."""

    def begin_transits(self, departed: Sequence[tuple[ObjectId, bytes, int]]) -> None:
        """Keep objects, each with its token and number of copies."""


class ObjectRef(Completion[T]):
    """Keeps one immutable object alive, and gives its value when it is sealed.

    A ref can be awaited on any loop, any number of times. It is done when the object is sealed or lost. It may travel
    in messages and inside objects; its receiver holds the object too. The object is deleted when the last ref in any
    process is dropped; views of its value keep their memory as long as they live.

    Attributes:
        id: names the object.
        maker: the packed address of the process that has submitted the task which makes the object; None if no task
            does. It travels with the ref.
    """

    __slots__ = ("_client", "_hold", "_memory", "id", "maker")

    _subject: ClassVar[str] = "the object"

    def __init__(self, client: RefClient, object_id: ObjectId) -> None:
        super().__init__()
        self.id = object_id
        self._client = client
        self._hold = _Hold(client, object_id)
        self._memory: memoryview | bytes | None = None
        self.maker: bytes | None = None

    def get(self, timeout_s: float | None = None) -> T:
        """Return the value, waiting for it in plain code.

        Large buffers of the value are read-only views on shared memory.

        Args:
            timeout_s: seconds to wait at the most; None waits until the object is sealed or lost.

        Raises:
            CallTimeoutError: the object was not sealed in time; the ref still holds it.
            ObjectLostError: the object is lost.
            ObjectNotFoundError: it was freed.
            RuntimeStateError: this thread's loop does the runtime's work, so that blocking it would hang.
            The error of the call that was to make the object.
        """
        if not self._is_done:
            self._client.look(self)
            if not self._is_done:
                return self.result(timeout_s)
        try:
            return self.value()
        except NotReadyError:
            again: ObjectRef[T] = self.once_more()
            return again.result(timeout_s)

    def result(self, timeout_s: float | None = None) -> T:
        try:
            return super().result(timeout_s)
        except NotReadyError:
            again: ObjectRef[T] = self.once_more()
            return again.result(timeout_s)

    def done(self) -> bool:
        """Whether the object is sealed, or known to be lost.

        A ref that has just arrived returns False until the store has answered; this call asks it.
        """
        if not self._is_done:
            self._client.ask(self)
        return self._is_done

    @property
    def is_complete(self) -> bool:
        """As `done`, without asking the store."""
        return self._is_done

    def add_callback(self, callback: Any) -> None:
        """Call `callback(self)` once, when this ref is done: now, in this thread, if it is done already."""
        if not self._is_done:
            self._client.watch(self)
        super().add_callback(callback)

    def value(self) -> T:
        """Return the value or raise the error of a ref that is done. Each call rebuilds the value, except arrays.

        Raises:
            NotReadyError: the object has been lost since, and can be made again; see `once_more`.
        """
        if self._error is not None:
            try:
                raise self._error.with_traceback(None)
            finally:
                del self  # as in Completion.value
        value: T = self._client.read(self)
        return value

    @classmethod
    def sealed(cls, client: RefClient, object_id: ObjectId, memory: memoryview | bytes | None = None) -> ObjectRef[T]:
        """Return a ref to a sealed object, with its bytes if this process made them."""
        ref: ObjectRef[T] = cls(client, object_id)
        ref._is_done = True
        ref._memory = memory
        return ref

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            yield from self.arrive()
        while True:
            try:
                return self.value()
            except NotReadyError:
                yield from self.once_more().arrive()

    def once_more(self) -> ObjectRef[T]:
        """Return another ref to the object of a ref that is done, if the object was lost since: it is made again now.

        The other ref is done when the object is sealed again, or can't be. This ref can be read then.
        """
        return self._client.once_more(self)

    def arrive(self) -> Generator[Any, None, None]:
        """Wait until the object is sealed or lost, without reading its value."""
        if not self.is_there():
            self._client.watch(self)
            yield from super().__await__()

    def is_there(self) -> bool:
        """Whether the object is sealed or lost; asks the store at once, and has the object in view if it is sealed.

        An object on disk that was not verified is not there yet.
        """
        if not self._is_done:
            self._client.look(self, waits_for_disk=False)
        return self._is_done

    def view(self) -> memoryview:
        """Return the object's bytes, or raise the error, of a ref that is done."""
        if self._error is not None:
            try:
                raise self._error.with_traceback(None)
            finally:
                del self  # as in Completion.value
        return self._client.view(self)

    def to_arrow(self, timeout_s: float | None = None) -> Any:
        """Return the value as Arrow data, without a copy if its memory allows: see `arrow.to_arrow`.

        Args:
            timeout_s: as for `get`.

        Raises:
            TypeError: the value is neither tabular nor numeric.
            The errors of `get`.
        """
        from actorrt.store.values.arrow import to_arrow

        return to_arrow(self.get(timeout_s))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Offer a tabular value to other libraries, through Arrow's C stream interface."""
        from actorrt.store.values.arrow import to_table

        return to_table(self.get()).__arrow_c_stream__(requested_schema)

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        """Offer an array or a batch to other libraries, through Arrow's C data interface; a table becomes one batch."""
        from actorrt.store.values.arrow import to_batch_or_array

        return to_batch_or_array(self.get()).__arrow_c_array__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        from actorrt.store.values.arrow import to_batch_or_array

        return to_batch_or_array(self.get()).__arrow_c_array__()[0]

    def __dlpack__(self, **options: Any) -> Any:
        """Offer an array or a tensor to other libraries; a library's writes are its own."""
        from actorrt.store.values.dlpack import exportable

        return exportable(self.get()).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the CPU as the device: the store has no other memory."""
        from actorrt.store.values.dlpack import CPU

        return CPU, 0

    def cancel(self, force: bool = False) -> Any:
        """Withdraw the task whose result this is; see `TaskRef.cancel`. The process that submitted the task does it.

        That process reads the request when its loop runs: a task that has submitted this one, and computes, reads it
        when it waits or has ended. If it has ended, so has the task, and this makes no difference.

        Raises:
            TypeError: no task makes the object.
        """
        if self.maker is None:
            raise TypeError(f"{self!r} can't be cancelled: no task makes it")
        return self._client.cancel_task(self.id, PeerAddress.from_packed(self.maker), force=force)

    def block(self, timeout_s: float | None) -> None:
        if self._client.is_attached:
            super().block(timeout_s)
        else:
            self._client.wait_apart(self, timeout_s)

    # For the client

    def mapped(self) -> memoryview | bytes | None:
        """Return the object's bytes if this process has them in view; `bytes` if this process made the object."""
        return self._memory

    def is_in_view(self) -> bool:
        """Whether this process has the object's bytes in view."""
        return self.mapped() is not None

    def keep(self, memory: memoryview | None) -> None:
        """Keep the object's bytes in view as long as this ref lives; None ends that."""
        self._memory = memory

    def begin_transits(self, departing: Sequence[tuple[ObjectRef[Any], bytes]], copies_count: int) -> None:
        """Keep the objects of one message's refs, including this one, until `copies_count` copies have arrived."""
        for client in {ref._client for ref, _ in departing}:
            client.begin_transits([(ref.id, token, copies_count) for ref, token in departing if ref._client is client])

    def __reduce__(self) -> Any:
        carrier = current_carrier()
        if carrier is None:
            raise TypeError(
                f"{self!r} can't be pickled here: a ref travels only in actor messages and in objects of the store, "
                "which keep its object alive until it arrives; send its value, or the ref in a message"
            )
        carrier.add(self)
        token = None
        if carrier.copies_count:
            token = self._client.new_token()
            carrier.add_transit(self, token)
        if self.maker is None:
            return _rebuild, (self.id, token)
        return _rebuild_of_task, (self.id, token, self.maker)

    def __repr__(self) -> str:
        state = "pending" if not self._is_done else "failed" if self._error is not None else "ready"
        return f"<ObjectRef {short(self.id)} {state}>"


class _Hold:
    """Ends the hold with its ref. Not a finalizer of the ref: while that runs, weak references still return the ref."""

    __slots__ = ("_client", "_object_id")

    def __init__(self, client: RefClient, object_id: ObjectId) -> None:
        self._client = client
        self._object_id = object_id

    def __del__(self) -> None:
        self._client.forget(self._object_id)


def _rebuild(object_id: ObjectId, token: bytes | None) -> ObjectRef[Any]:
    carrier = current_carrier()
    if carrier is None or carrier.store is None:
        raise RuntimeStateError(f"object ref {short(object_id)} arrived in a process without an object store")
    ref: ObjectRef[Any] = carrier.store.arrived(object_id, token, carrier)
    carrier.add(ref)
    return ref


def _rebuild_of_task(object_id: ObjectId, token: bytes | None, maker: bytes) -> ObjectRef[Any]:
    ref = _rebuild(object_id, token)
    ref.maker = maker
    return ref
