"""Carriers: what references travel by, inside one message or one object.

A ref that is pickled needs somebody who keeps its object alive until the receiver holds it, and one that is
unpickled needs the store client of its process. Both come from the carrier of the message or object in hand.
Outside a carrier a ref can't be pickled: nobody would know of it.

The carrier of the moment belongs to a thread; `carrying` sets it for the length of one dump or load.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from actorrt.ids import ObjectId


class DepartingRef(Protocol):
    """A ref to an object, as the carrier that takes it along needs it."""

    def begin_transits(self, departing: Sequence[tuple[Any, bytes]], copies_count: int) -> None:
        """Keep the objects of one message's refs, this one among them, until so many copies have arrived."""


class RefSource(Protocol):
    """Rebuilds refs to objects in the process that loads them: its store client."""

    def acquire(self, arrived: Sequence[tuple[ObjectId, bytes | None]]) -> None:
        """Say that this process holds objects, whose refs came with tokens."""

    def arrived(self, object_id: ObjectId, token: bytes | None, carrier: Carrier) -> Any:
        """Return the ref that came in a message; `carrier` has it acquired with the others."""


class Carrier:
    """The references of one message or object.

    Args:
        store: the client that rebuilds object refs while loading; not needed to dump.
        copies_count: how many receivers will load what is dumped. Each transit hold lasts until so many have
            registered. 0: the refs lie inside an object, which holds them itself.
        system: what rebuilds other kinds of refs; the store passes it through unseen.

    Attributes:
        refs: every ref met so far, in order; while the carrier lives, they do.
        tokens: what names the transits begun; `StoreClient.settle` ends those of a message that was lost.
        arrived: what is to be acquired when the load in hand has ended.
    """

    __slots__ = ("_departing", "arrived", "copies_count", "refs", "store", "system", "tokens")

    def __init__(self, store: RefSource | None = None, *, copies_count: int = 1, system: Any = None) -> None:
        self.store = store
        self.copies_count = copies_count
        self.system = system
        self.refs: list[Any] = []
        self.tokens: list[bytes] = []
        self._departing: list[tuple[DepartingRef, bytes]] = []
        self.arrived: list[tuple[ObjectId, bytes | None]] = []

    def add(self, ref: Any) -> None:
        """Note a ref that is being dumped or was loaded."""
        self.refs.append(ref)

    def add_transit(self, ref: DepartingRef, token: bytes) -> None:
        """Note a transit that begins when the dump has succeeded."""
        self._departing.append((ref, token))

    def mark(self) -> tuple[int, int]:
        """Return where this carrier stands, for `rewind`."""
        return len(self.refs), len(self._departing)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was noted since `mark`: the dump is done again, or failed."""
        refs_count, departing_count = mark
        del self.refs[refs_count:]
        del self._departing[departing_count:]

    def depart(self) -> None:
        """Begin the transits noted: from here on the message may leave."""
        if self._departing:
            self.tokens += [token for _, token in self._departing]
            self._departing[0][0].begin_transits(self._departing, self.copies_count)
            self._departing.clear()

    def add_arrival(self, object_id: ObjectId, token: bytes | None) -> None:
        """Note an object that is to be acquired when the load has ended, whichever way; its ref must be added."""
        self.arrived.append((object_id, token))

    def land(self) -> None:
        """Acquire what arrived, before anybody can answer the message."""
        if self.arrived and self.store is not None:
            self.store.acquire(self.arrived)
            self.arrived = []


class _Current(threading.local):
    carrier: Carrier | None = None


_current = _Current()


def current_carrier() -> Carrier | None:
    """Return the carrier of the dump or load that this thread is in, if it is in one."""
    return _current.carrier


class carrying:
    """Makes a carrier the current one; inside, refs can be pickled and unpickled.

    A class rather than `contextlib.contextmanager`, which costs a microsecond a message.
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
            self._carrier.land()
