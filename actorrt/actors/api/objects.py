"""The object store: the public functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.policy import checks
from actorrt.actors.refs.operation import Operation
from actorrt.errors import CallTimeoutError
from actorrt.store.client.buffer import AllocatedBuffer, AllocatedBuffers
from actorrt.store.client.published import Latest, Version
from actorrt.store.client.ref import ObjectRef
from actorrt.store.table.versions import MAX_NAME_CHARACTERS

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient

T = TypeVar("T")


def put(value: T, *, timeout_s: float | None = None) -> ObjectRef[T]:
    """Seal a value in the object store and return a ref to it.

    If other objects must be moved to disk first, plain code waits for that. On a loop that hosts actors `put` does not
    wait: it keeps a copy of the value, and the store gets it as soon as there is room. The ref can be read here and
    sent at once. Its receiver waits for the value, and gets the error if there is no room in time. At most 64 MiB of a
    process wait like this, or one larger value. Beyond that `put` fails at once; use `put_async`.

    Args:
        value: numpy arrays, Arrow data, bytes; any picklable structure that holds them.
        timeout_s: seconds to wait for room; None waits for the disk, for 30 s at most, but not until others release
            their objects.

    Raises:
        SerializationError: the value can't be stored; the message names the path of the part that can't.
        ObjectStoreFullError: there was no room in time; the message names the largest holders.
    """
    return current_endpoint().require_store().put(value, timeout_s=timeout_s)


def put_many(values: Sequence[T], *, timeout_s: float | None = None) -> list[ObjectRef[T]]:
    """Seal several values and return their refs; room for all of them is reserved before any is written.

    Two callers never wait for each other with half of their values in place: all values are put, or none.

    Raises:
        SerializationError, ObjectStoreFullError: as `put`; nothing is stored.
    """
    return current_endpoint().require_store().put_many(values, timeout_s=timeout_s)


async def put_async(value: T, *, timeout_s: float | None = None) -> ObjectRef[T]:
    """As `put`, but waits for room without blocking the loop; the value must not change until it is stored."""
    return await current_endpoint().require_store().put_async(value, timeout_s=timeout_s)


def allocate(shape: int | tuple[int, ...], dtype: Any, *, timeout_s: float | None = None) -> AllocatedBuffer:
    """Return a buffer to write in place: `buffer.array` in a `with` block, then `buffer.seal()` for the ref.

    A buffer that is not sealed when its block ends is released.

    Raises:
        ObjectStoreFullError: there was no room in time.
    """
    return current_endpoint().require_store().allocate(shape, dtype, timeout_s=timeout_s)


def allocate_many(
    forms: Sequence[tuple[int | tuple[int, ...], Any]], *, timeout_s: float | None = None
) -> AllocatedBuffers:
    """As `allocate`, for several buffers, each with a shape and a dtype. Room for all of them is reserved at once.

    In a `with` block, the buffers that are not sealed when it ends are released.

    Raises:
        ObjectStoreFullError: there was no room for all of them in time; nothing is reserved.
    """
    return current_endpoint().require_store().allocate_many(forms, timeout_s=timeout_s)


def publish(name: str, value: Any, *, timeout_s: float | None = None) -> int:
    """Let a name stand for a value from now on. It is made for weights: many read them, and want the newest.

    Names belong to the job. Readers never block the writer, nor see part of a value. An older version is deleted when
    nobody reads it any more.

    Args:
        name: at most 255 characters.
        value: as for `put`; an object ref publishes what it refers to.
        timeout_s: seconds to wait for room; None does not wait.

    Returns:
        The version: 1 for the first value of the name, and one more for each later value.

    Raises:
        SerializationError, ObjectStoreFullError: as `put`; the name keeps its value.
    """
    _check_name(name)
    return current_endpoint().require_store().names.publish(name, value, timeout_s=timeout_s)


def latest(name: str, newer_than: int | None = None, timeout_s: float | None = None) -> Operation[Latest[Any]]:
    """Get the newest value of a name.

    Args:
        name: the name that it was published under.
        newer_than: wait for a version beyond this one; None takes any, and waits for the first.
        timeout_s: seconds to wait at the most; None waits until there is one.

    Returns:
        An operation that ends with the `Latest`, with its `version` and `value`.

    Raises:
        CallTimeoutError: (from the result) no such version was published in time.
        ObjectLostError: (from the result) the object store ended.
    """
    _check_name(name)
    store = current_endpoint().require_store()
    operation: Operation[Latest[Any]] = Operation(f"latest({name!r})")
    _Lookout(store, name, newer_than, operation).look(timeout_s)
    return operation


def _check_name(name: str) -> None:
    checks.text("name", name)
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"a name is 1 to {MAX_NAME_CHARACTERS} characters, not {name!r}")


class _Lookout:
    """Waits for one version of one name."""

    def __init__(
        self, store: StoreClient, name: str, newer_than: int | None, operation: Operation[Latest[Any]]
    ) -> None:
        self._store = store
        self._name = name
        self._newer_than = newer_than
        self._operation = operation

    def look(self, timeout_s: float | None) -> None:
        """Complete the operation at once if there is such a version, or else when there is one."""
        self._try(None, None)
        if self._operation.done():
            return
        if timeout_s is not None:
            self._store.call_later(timeout_s, self._time_out, timeout_s)

    def _try(self, error: BaseException | None, published: Version | None) -> None:
        if error is not None:
            self._operation.set_error(error)
        if self._operation.done():
            return
        try:
            newer_than = self._newer_than or 0
            is_new = published is not None and published[0] > newer_than
            found = published if is_new else self._store.names.latest(self._name, newer_than)
            if found is None:
                self._operation.on_cancel(self._store.names.wait(self._name, newer_than, self._try))
            else:
                version, read = found
                self._operation.set_value(Latest(version, read()))
        except Exception as problem:  # the value's own classes are rebuilt here: they may raise anything
            self._operation.set_error(problem)

    def _time_out(self, timeout_s: float) -> None:
        if not self._operation.done():
            self._operation.cancel()
            what = f"no version of {self._name!r} newer than {self._newer_than or 0} was published"
            self._operation.set_error(CallTimeoutError(f"{what} within {timeout_s} s", executed="no"))


def pin(ref: ObjectRef[Any]) -> None:
    """Hold an object in memory until `free` or the end of this process."""
    current_endpoint().require_store().pin(ref)


def free(ref: ObjectRef[Any]) -> None:
    """Delete an object, though others hold it. Live views keep their memory; other refs fail."""
    current_endpoint().require_store().free(ref)


def store_stats() -> dict[str, int]:
    """Return the store's counts: capacity, used and pinned bytes, objects and the like."""
    return current_endpoint().require_store().stats()
