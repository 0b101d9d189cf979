"""Carriers: they gather the references inside one message or one object.

When a ref is pickled, something must keep its object alive until the receiver holds it; when a ref is unpickled, it
needs the store client of its process. The carrier of the message or object provides both. Without a carrier a ref
can't be pickled, because nothing would keep its object alive.

Each thread has a current carrier; `carrying` sets it for one dump or load.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from actorrt.ids import ObjectId


class DepartingRef(Protocol):
    """The part of a ref to an object that its carrier uses."""

    def begin_transits(self, departing: Sequence[tuple[Any, bytes]], copies_count: int) -> None:
        """Keep the objects of one message's refs, including this one, until `copies_count` copies have arrived."""


class RefSource(Protocol):
    """Rebuilds refs to objects in the process that loads them; its store client does."""

    def acquire(self, arrived: Sequence[tuple[ObjectId, bytes | None]]) -> None:
        """Register this process as a holder of objects, whose refs came with tokens."""

    def arrived(self, object_id: ObjectId, token: bytes | None, carrier: Carrier) -> Any:
        """Return the ref that came in a message; `carrier` acquires its object with the others."""


class Carrier:
    """The references of one message or object.

    Args:
        store: the client that rebuilds object refs while loading; not needed to dump.
        copies_count: how many receivers will load the dump; each transit lasts until so many have registered. 0 means
            that the refs lie inside an object, which holds their objects itself.
        owner: rebuilds other kinds of refs; the store does not use it.

    Attributes:
        refs: every ref so far, in order; the carrier keeps them alive.
        tokens: the names of the transits begun; `StoreClient.settle` ends the transits of a message that was lost.
        arrived: the objects that are acquired when the present load has ended.
    """

    __slots__ = ("_departing", "arrived", "copies_count", "owner", "refs", "store", "tokens")

    def __init__(self, store: RefSource | None = None, *, copies_count: int = 1, owner: Any = None) -> None:
        self.store = store
        self.copies_count = copies_count
        self.owner = owner
        self.refs: list[Any] = []
        self.tokens: list[bytes] = []
        self._departing: list[tuple[DepartingRef, bytes]] = []
        self.arrived: list[tuple[ObjectId, bytes | None]] = []

    def add(self, ref: Any) -> None:
        """Note a ref that is being dumped or was loaded."""
        self.refs.append(ref)

    def add_transit(self, ref: DepartingRef, token: bytes) -> None:
        """Note a transit, which begins when the dump has succeeded."""
        self._departing.append((ref, token))

    def mark(self) -> tuple[int, int]:
        """Return the present state of this carrier, for `rewind`."""
        return len(self.refs), len(self._departing)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget everything noted since `mark`, because the dump failed or starts again."""
        refs_count, departing_count = mark
        del self.refs[refs_count:]
        del self._departing[departing_count:]

    def begin_transits(self) -> None:
        """Begin the noted transits, after which the message may leave."""
        if self._departing:
            self.tokens += [token for _, token in self._departing]
            self._departing[0][0].begin_transits(self._departing, self.copies_count)
            self._departing.clear()

    def add_arrival(self, object_id: ObjectId, token: bytes | None) -> None:
        """Note an object that is acquired when the load has ended, even if it fails; its ref must be added too."""
        self.arrived.append((object_id, token))

    def acquire_arrived(self) -> None:
        """Acquire the objects that arrived, before the message can be answered."""
        if self.arrived and self.store is not None:
            self.store.acquire(self.arrived)
            self.arrived = []


class _Current(threading.local):
    carrier: Carrier | None = None


_current = _Current()


def current_carrier() -> Carrier | None:
    """Return the carrier of this thread's present dump or load, if there is one."""
    return _current.carrier


class carrying:
    """Makes a carrier the current one, so that refs can be pickled and unpickled.

    A class, because `contextlib.contextmanager` costs a microsecond a message.
    """

    __slots__ = ("_carrier", "_previous")

    def __init__(self, carrier: Carrier | None) -> None:
        self._carrier = carrier
        self._previous: Carrier | None = None

    def __enter__(self) -> None:
        self._previous = _current.carrier
        _current.carrier = self._carrier

    def __exit__(self, *_: object) -> None:
        _current.carrier = self._previous
        if self._carrier is not None and self._carrier.arrived:
            self._carrier.acquire_arrived()
