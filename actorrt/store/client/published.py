"""Published values, as one process sees them: names that stand for the newest of a row of values.

The daemon keeps the names and holds the newest object of each; a reader holds what it reads. So a reader never sees
part of a value, never makes the writer wait, and an old version goes when nobody reads it any more. A small value is no
object: it rides in the messages that tell of it.
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
    """The newest value of a name when it was asked for.

    Attributes:
        version: 1 for the first value of the name, and one more for each further one.
        value: large buffers of it are read-only views on shared memory.
    """

    version: int
    value: T


OnPublished = Callable[[ActorRtError | None, "Version | None"], None]
"""Called on the attached loop with a newer version, or with nothing when there may be one, or with the error that ends
the wait."""

Version = tuple[int, Callable[[], Any]]
"""A version's number, and what reads its value."""


class PublishedNames:
    """Published values, for one process.

    Args:
        connection: the process's conversation with its store.
        put: seals a value; one that is small and refers to no other is returned as the bytes of its object.
        adopt: makes the ref of an object that the store holds and pins for this process already.
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
        """Say which scope this process's names belong to."""
        self._scope = scope
        self._connection.post(Op.JOIN, scope)

    def publish(self, name: str, value: Any, *, timeout_s: float | None = None) -> int:
        """Let a name stand for a value from now on, and return its version; readers of older ones keep them.

        Raises:
            SerializationError, ObjectStoreFullError: as `put`; the name stands for what it stood for.
        """
        put = value if isinstance(value, ObjectRef) else self._put(value, timeout_s)
        what = (None, put) if isinstance(put, bytes) else (put.id,)
        version: int = self._connection.request(Op.PUBLISH, self._scope, name, *what)
        return version

    def latest(self, name: str, newer_than: int) -> Version | None:
        """Return the newest version of a name, or None where there is none newer than that."""
        result = self._connection.request(Op.LATEST, self._scope, name, newer_than)
        return None if result is None else self._version(result)

    def _version(self, shown: list[Any]) -> Version:
        if len(shown) == 2:
            data, version = shown
            return version, partial(self._decode, data)
        *place, version, object_id = shown
        return version, self._adopt(ObjectId(object_id), place).value

    def wait(self, name: str, newer_than: int, callback: OnPublished) -> Callable[[], None]:
        """Call `callback` once, when a version newer than that is published.

        Returns:
            What withdraws the wait.

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
        """Forget who waits. Idempotent."""
        with self._lock:
            callbacks = self._waiting.get(key, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._waiting.pop(key, None)

    def on_published(self, scope: bytes, name: str, shown: list[Any] | None) -> None:
        """A version was published, which comes along where that was possible; whoever waits looks if it will do."""
        version = None
        if shown is not None and (len(shown) == 2 or self._connection.can_view(shown)):
            version = self._version(shown)
        elif shown is not None:
            for is_pin in (True, False):
                self._connection.backlog.queue_release(ObjectId(shown[4]), is_pin=is_pin)
        for callback in self._take((scope, name)):
            callback(None, version)

    def fail_all(self, error: ActorRtError) -> None:
        """Nothing will be published any more."""
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
