"""Completes the refs of one process when the store tells that their objects are sealed or lost."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from actorrt.errors import ObjectLostError, RuntimeStateError
from actorrt.ids import ObjectId, short
from actorrt.store.connection import Connection
from actorrt.store.failures import decode
from actorrt.store.protocol import MAX_BATCH_COUNT, Event, Op
from actorrt.store.ref import ObjectRef


class Watcher:
    """The refs that somebody waits for; they are held until they are done.

    Subscriptions of one tick of the loop leave together.

    Args:
        connection: the process's conversation with its store.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[ObjectId, list[ObjectRef[Any]]] = {}
        self._to_subscribe: list[ObjectId] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed on the attached loop; without one, nothing happens. Once is enough."""
        loop = self._connection.loop
        if loop is None:
            return
        with self._lock:
            refs = self._watched.get(ref.id)
            if refs is not None:
                if not any(known is ref for known in refs):
                    refs.append(ref)
                return
            self._watched[ref.id] = [ref]
            self._to_subscribe.append(ref.id)
            is_first = len(self._to_subscribe) == 1
        if is_first:
            loop.call_soon_threadsafe(self._subscribe)

    def _subscribe(self) -> None:
        with self._lock:
            waiting, self._to_subscribe = self._to_subscribe, []
        for start in range(0, len(waiting), MAX_BATCH_COUNT):
            with suppress(ObjectLostError, RuntimeStateError):  # the end of the client fails what it watches
                self._connection.post(Op.SUBSCRIBE, waiting[start : start + MAX_BATCH_COUNT])

    def on_event(self, event: list[Any]) -> None:
        """Act on what the store says."""
        match event:
            case [Event.READY, object_ids]:
                for object_id in object_ids:
                    for ref in self._take(object_id):
                        ref.set_value(None)
            case [Event.FAILED, object_id, error]:
                for ref in self._take(object_id):
                    ref.set_error(decode(error))
            case [Event.RETIRED, segment_ids]:
                self._connection.maps.forget(segment_ids)

    def _take(self, object_id: ObjectId) -> list[ObjectRef[Any]]:
        with self._lock:
            return self._watched.pop(object_id, [])

    def fail_all(self, why: str) -> None:
        """Complete every ref with its loss: nothing will be told any more."""
        with self._lock:
            watched, self._watched = self._watched, {}
        for object_id, refs in watched.items():
            for ref in refs:
                ref.set_error(ObjectLostError(f"object {short(object_id)} is lost: {why}"))

    def abandon_after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
