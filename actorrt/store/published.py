"""Published values, as one process sees them: names that stand for the newest of a row of values.

The daemon keeps the names and holds the newest object of each; a reader holds what it reads. So a reader never sees
part of a value, never makes the writer wait, and an old version goes when nobody reads it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from actorrt.errors import ActorRtError
from actorrt.store.connection import Connection
from actorrt.store.protocol import Op

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


OnPublished = Callable[[ActorRtError | None], None]
"""Called on the attached loop when there may be a newer version, or with the error that ends the wait."""


class NameWatcher:
    """Those of one process who wait for newer versions.

    Args:
        connection: the process's conversation with its store.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[tuple[bytes, str], list[OnPublished]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def wait(self, scope: bytes, name: str, newer_than: int, callback: OnPublished) -> None:
        """Call `callback` once when a version newer than that is published. Raises ObjectLostError at the end."""
        with self._lock:
            self._waiting.setdefault((scope, name), []).append(callback)
        try:
            self._connection.post(Op.AWAIT_VERSION, scope, name, newer_than)
        except ActorRtError:
            self.withdraw(scope, name, callback)
            raise

    def withdraw(self, scope: bytes, name: str, callback: OnPublished) -> None:
        """Forget who waits. Idempotent."""
        with self._lock:
            callbacks = self._waiting.get((scope, name), [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._waiting.pop((scope, name), None)

    def on_published(self, scope: bytes, name: str) -> None:
        """A version of a name was published: whoever waits for one looks whether it is new enough."""
        self._call(self._take((scope, name)), None)

    def fail_all(self, error: ActorRtError) -> None:
        """Nothing will be published any more."""
        for key in list(self._waiting):
            self._call(self._take(key), error)

    def _take(self, key: tuple[bytes, str]) -> list[OnPublished]:
        with self._lock:
            return self._waiting.pop(key, [])

    @staticmethod
    def _call(callbacks: list[OnPublished], error: ActorRtError | None) -> None:
        for callback in callbacks:
            callback(error)

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._waiting.clear()


def result_of(result: list[Any]) -> tuple[list[int], int, bytes]:
    """Return the place, the version and the object of what the store answers to LATEST."""
    segment_id, offset, length_bytes, version, object_id = result
    return [segment_id, offset, length_bytes], version, object_id
