"""Completes the refs of one process when the store tells that their objects are sealed or lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from actorrt.errors import ObjectLostError, RuntimeStateError
from actorrt.ids import ObjectId, short
from actorrt.store.client.connection import StoreConnection
from actorrt.store.client.published import PublishedNames
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.reservations import Reservations
from actorrt.store.values.errors import decode
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Event, Op


class Watcher:
    """The refs that somebody waits for; they are held until they are done.

    Subscriptions of one tick of the loop leave together.

    Args:
        connection: the process's conversation with its store.
        names: who waits for published values.
        finder: who waits for room.
    """

    def __init__(self, connection: StoreConnection, names: PublishedNames, finder: Reservations) -> None:
        self._connection = connection
        self._names = names
        self._reservations = finder
        self._watched: dict[ObjectId, list[ObjectRef[Any]]] = {}
        self._to_subscribe: list[ObjectId] = []
        self._lock = threading.Lock()
        self._why_over: str | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed on the loop; once is enough, and after the end it fails at once."""
        with self._lock:
            is_over, is_first = self._why_over is not None, False
            if not is_over:
                is_first = self._add(ref)
        if is_over:
            ref.set_error(self._loss(ref.id))
        loop = self._connection.loop
        if is_first and loop is not None:
            loop.call_soon_threadsafe(self._subscribe)

    def _add(self, ref: ObjectRef[Any]) -> bool:
        """Note a ref; whether a subscription is to be sent that was not due before. The lock is held."""
        refs = self._watched.setdefault(ref.id, [])
        if not refs:
            self._to_subscribe.append(ref.id)
        if not any(known is ref for known in refs):
            refs.append(ref)
        return len(refs) == 1 and len(self._to_subscribe) == 1

    def _subscribe(self) -> None:
        with self._lock:
            waiting, self._to_subscribe = self._to_subscribe, []
        for start in range(0, len(waiting), MAX_BATCH_COUNT):
            with suppress(ObjectLostError, RuntimeStateError):  # the end of the client fails what it watches
                self._connection.post(Op.SUBSCRIBE, waiting[start : start + MAX_BATCH_COUNT])

    def on_event(self, event: list[Any], fd: int | None) -> None:
        """Act on what the store says."""
        match event:
            case [Event.READY, object_ids, *more]:
                self._on_ready(object_ids, more[0] if more else ())
            case [Event.FAILED, object_id, error]:
                for ref in self._take(object_id):
                    ref.set_error(decode(error))
            case [Event.ALLOCATION, object_id]:
                self._reservations.on_room(object_id)
            case [Event.RETIRED, segment_ids]:
                self._connection.maps.forget(segment_ids)
            case [Event.NEXT, segment_id]:
                if fd is not None:
                    self._connection.maps.add(segment_id, fd, writable=True)
                    self._connection.warmer.warm(segment_id)
            case [Event.RECALL]:
                self._connection.let_go()
            case [Event.PUBLISHED, scope, name, shown]:
                self._names.on_published(scope, name, shown)

    def _on_ready(self, object_ids: list[ObjectId], shown: Sequence[list[Any]]) -> None:
        for object_id, *place in shown:
            self._connection.show(ObjectId(object_id), place)
        for object_id in object_ids:
            for ref in self._take(object_id):
                ref.set_value(None)

    def _take(self, object_id: ObjectId) -> list[ObjectRef[Any]]:
        with self._lock:
            return self._watched.pop(object_id, [])

    def fail_all(self, why: str) -> None:
        """Complete every ref with its loss, and those still to come: nothing will be told any more."""
        with self._lock:
            self._why_over = why
            watched, self._watched = self._watched, {}
        for object_id, refs in watched.items():
            for ref in refs:
                ref.set_error(self._loss(object_id))

    def _loss(self, object_id: ObjectId) -> ObjectLostError:
        return ObjectLostError(f"object {short(object_id)} is lost: {self._why_over}")

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
