"""Pure: requests for memory that wait, in the order in which they came.

A request for a loan is answered when there is memory. A request for objects is answered at once, with WAIT if there is
no memory yet; its outcome is kept until the connection takes it or withdraws the request:

    asked ──▶ waiting ── memory was found, or can't be ──▶ settled ── taken ─▶ (gone)
                 └──────────── withdrawn, or its connection ended ─────────▶ (gone)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from actorrt.errors import ActorRtError, ObjectLostError
from actorrt.ids import ObjectId, short
from actorrt.store.memory.pool import Place

Key = tuple[int, ObjectId]
"""A connection, and the first of the objects that it asked for."""


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A request for memory: for objects, or for a loan if there are none.

    Attributes:
        length_bytes: the length of one range for all of them. A request for several objects gets all or nothing, so
            that no two requests wait for each other, each with half of the memory that it needs.
        objects: each with its length.
        waits_for_release: whether it waits until other objects are released, and does not fail if the store is full.
    """

    connection: int
    serial: int
    length_bytes: int
    objects: tuple[tuple[ObjectId, int], ...] = ()
    is_promised: bool = False
    line: str = ""
    waits_for_release: bool = False


@dataclass(slots=True)
class DeferredRequest:
    """A request that was answered with WAIT.

    Attributes:
        is_settled: whether it has an outcome.
        outcome: a place, or None if the object was sealed already, or an error.
        listeners: the connections that are told when it is settled.
    """

    request: AllocationRequest
    is_settled: bool = False
    outcome: Place | ActorRtError | None = None
    listeners: set[int] = field(default_factory=set)


class AllocationRequests:
    """The requests that wait, and the outcomes that were not taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[AllocationRequest] = deque()
        self._deferred: dict[Key, DeferredRequest] = {}

    def __iter__(self) -> Iterator[AllocationRequest]:
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: AllocationRequest) -> None:
        """Append a request.

        Raises:
            ObjectLostError: this connection waits for that object already; nothing has changed.
        """
        if request.objects:
            key = _key(request)
            if key in self._deferred:
                raise ObjectLostError(f"object {short(key[1])} is being made by another thread of its process")
            self._deferred[key] = DeferredRequest(request)
        self._waiting.append(request)

    def deferred(self, key: Key) -> DeferredRequest | None:
        """Return a request that was answered with WAIT, and whose outcome was not taken yet."""
        return self._deferred.get(key)

    def deferred_for(self, request: AllocationRequest) -> DeferredRequest | None:
        """Return the deferred form of a request; None if the request is for a loan, or was withdrawn."""
        return self._deferred.get(_key(request)) if request.objects else None

    def remove(self, key: Key) -> DeferredRequest | None:
        """Remove and return a request that waits or is settled."""
        deferred = self._deferred.pop(key, None)
        if deferred is not None and not deferred.is_settled:
            self._waiting.remove(deferred.request)
        return deferred

    def forget(self, connection: int) -> None:
        """Called when a connection ended: drops its requests."""
        self._waiting = deque(request for request in self._waiting if request.connection != connection)
        self._deferred = {key: deferred for key, deferred in self._deferred.items() if key[0] != connection}

    def take_first(self) -> AllocationRequest | None:
        """Remove and return the request that has waited longest."""
        return self._waiting.popleft() if self._waiting else None

    def try_each(self, serves: Callable[[AllocationRequest], bool]) -> None:
        """Try every request that waits, in order, and keep the requests that are not served."""
        waiting, self._waiting = self._waiting, deque()
        self._waiting.extend([request for request in waiting if not serves(request)])


def _key(request: AllocationRequest) -> Key:
    return request.connection, request.objects[0][0]
