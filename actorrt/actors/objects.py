"""The object store, as users call it."""

from __future__ import annotations

from typing import Any

from actorrt.actors import current
from actorrt.store.buffer import AllocatedBuffer
from actorrt.store.ref import ObjectRef


def put(value: Any, *, timeout_s: float | None = None) -> ObjectRef[Any]:
    """Seal a value in the object store and return a ref to it.

    Args:
        value: numpy arrays, Arrow data, bytes; any picklable structure that holds them.
        timeout_s: seconds to wait for room; None does not wait.

    Raises:
        SerializationError: the value can't be stored; the message names the path of what is in the way.
        ObjectStoreFullError: there was no room in time; the message names the largest holders.
    """
    return current.system().require_store().put(value, timeout_s=timeout_s)


async def put_async(value: Any, *, timeout_s: float | None = None) -> ObjectRef[Any]:
    """As `put`, but waits for room without blocking the loop."""
    return await current.system().require_store().put_async(value, timeout_s=timeout_s)


def allocate(shape: int | tuple[int, ...], dtype: Any, *, timeout_s: float | None = None) -> AllocatedBuffer:
    """Return a buffer to write in place: `buffer.array` in a `with` block, then `buffer.seal()` for the ref.

    A buffer that is not sealed when its block ends is given back.

    Raises:
        ObjectStoreFullError: there was no room in time.
    """
    return current.system().require_store().allocate(shape, dtype, timeout_s=timeout_s)


def pin(ref: ObjectRef[Any]) -> None:
    """Hold an object in memory until `free` or the end of this process."""
    current.system().require_store().pin(ref)


def free(ref: ObjectRef[Any]) -> None:
    """Withdraw an object whoever holds it; views that live keep their memory, other refs fail."""
    current.system().require_store().free(ref)


def store_stats() -> dict[str, int]:
    """Return the store's counts: capacity, used and pinned bytes, objects and the like."""
    return current.system().require_store().stats()
