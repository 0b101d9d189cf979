"""Published values, as one process sees them: each name stands for the newest of a sequence of values.

The daemon keeps the names and holds the newest object of each; a reader holds the object that it reads. So a reader
never sees part of a value and never makes the writer wait, and an old version is deleted when nobody reads it any more.
A small value is not an object: it travels in the messages that tell of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from actorrt.errors import ActorRtError
from actorrt.ids import ObjectId
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import StoreConnection
from actorrt.store.wire.protocol import Op

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Latest(Generic[T]):
    """The newest value of a name at the time of the request.

    Attributes:
        version: 1 for the first value of the name, and one more for each further one.
        value: the value; its large buffers are read-only views of shared memory.
    """

    version: int
    value: T


OnPublished = Callable[[ActorRtError | None, "Version | None"], None]
"""Called on the attached loop with a newer version, with None if there may be one, or with the error that ends the
wait."""

Version = tuple[int, Callable[[], Any]]
"""The number of a version, and a function that reads its value."""


class PublishedNames:
    """Published values, for one process.

    Args:
        connection: the process's connection with its store.
        put: seals a value, or returns the bytes of its object if it is small and has no refs.
        adopt: makes the ref of an object that the store has held and pinned for this process.
        decode: reads the bytes of an object.
    """

    def __init__(
        self,
        connection: StoreConnection,
        put: Callable[[Any, float | None], ObjectRef[Any] | bytes],
        adopt: Callable[[ObjectId, list[int]], ObjectRef[Any]],
        decode: Callable[[bytes], Any],
    ) -> None:
        self._connection = connection
        self._put = put
        self._adopt = adopt
        self._decode = decode
        self._scope = b""
        self._waiting: dict[tuple[bytes, str], list[OnPublished]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def join(self, scope: bytes) -> None:
        """Set the scope of this process's names."""
        self._scope = scope
        self._connection.post(Op.JOIN, scope)

    def publish(self, name: str, value: Any, *, timeout_s: float | None = None) -> int:
        """Let a name stand for a value, and return its version; readers of older versions keep them.

        Raises:
            SerializationError, ObjectStoreFullError: as in `put`; the name is unchanged.
        """
        put = value if isinstance(value, ObjectRef) else self._put(value, timeout_s)
        what = (None, put) if isinstance(put, bytes) else (put.id,)
        version: int = self._connection.request(Op.PUBLISH, self._scope, name, *what)
        return version

    def latest(self, name: str, newer_than: int) -> Version | None:
        """Return the newest version of a name, or None if it is not newer than `newer_than`."""
        result = self._connection.request(Op.LATEST, self._scope, name, newer_than)
        return None if result is None else self._version(result)

    def _version(self, pinned: list[Any]) -> Version:
        if len(pinned) == 2:
            data, version = pinned
            return version, partial(self._decode, data)
        *place, version, object_id = pinned
        return version, self._adopt(ObjectId(object_id), place).value

    def wait(self, name: str, newer_than: int, callback: OnPublished) -> Callable[[], None]:
        """Call `callback` once, when a version newer than `newer_than` is published.

        Returns:
            A function that withdraws the wait.

        Raises:
            ObjectLostError: the store is gone.
        """
        key = self._scope, name
        with self._lock:
            self._waiting.setdefault(key, []).append(callback)
        try:
            self._connection.post(Op.AWAIT_VERSION, *key, newer_than)
        except ActorRtError:
            self._withdraw(key, callback)
            raise
        return lambda: self._withdraw(key, callback)

    def _withdraw(self, key: tuple[bytes, str], callback: OnPublished) -> None:
        """Withdraw a wait. Idempotent."""
        with self._lock:
            callbacks = self._waiting.get(key, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._waiting.pop(key, None)

    def on_published(self, scope: bytes, name: str, pinned: list[Any] | None) -> None:
        """Called when a version was published, with the version if the store could pin it. Each waiter checks it."""
        version = None
        if pinned is not None and (len(pinned) == 2 or self._connection.can_view(pinned)):
            version = self._version(pinned)
        elif pinned is not None:
            for is_pin in (True, False):
                self._connection.backlog.queue_release(ObjectId(pinned[4]), is_pin=is_pin)
        for callback in self._take((scope, name)):
            callback(None, version)

    def fail_all(self, error: ActorRtError) -> None:
        """Called when the store has ended: fails every wait."""
        for key in list(self._waiting):
            for callback in self._take(key):
                callback(error, None)

    def _take(self, key: tuple[bytes, str]) -> list[OnPublished]:
        with self._lock:
            return self._waiting.pop(key, [])

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._waiting.clear()
