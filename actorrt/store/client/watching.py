"""Completes the refs of one process when the store tells that their objects are sealed or lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from actorrt.errors import ObjectLostError, RuntimeStateError
from actorrt.ids import ObjectId, short
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.events_loop import EventsLoop
from actorrt.store.values.errors import decode
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op


class Watcher:
    """The refs that a caller waits for. They are kept until they are done.

    Subscriptions of one tick of the loop leave together.

    Args:
        post: sends a message to the store.
        events_loop: sends subscriptions.
    """

    def __init__(self, post: Callable[..., None], events_loop: EventsLoop) -> None:
        self._post = post
        self._events_loop = events_loop
        self._watched: dict[ObjectId, list[ObjectRef[Any]]] = {}
        self._to_subscribe: list[ObjectId] = []
        self._lock = threading.Lock()
        self._why_over: str | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed on the loop; after the end of the client the ref fails at once. Idempotent."""
        with self._lock:
            is_over, is_first = self._why_over is not None, False
            if not is_over:
                is_first = self._add(ref)
        if is_over:
            ref.set_error(self._loss(ref.id))
        if is_first:
            self._events_loop.call_soon(self._subscribe)

    def _add(self, ref: ObjectRef[Any]) -> bool:
        """Note a ref; True if it is the first one to subscribe to since subscriptions were sent. The lock is held."""
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
            with suppress(ObjectLostError, RuntimeStateError):  # the end of the client fails the refs
                self._post(Op.SUBSCRIBE, waiting[start : start + MAX_BATCH_COUNT])

    def on_ready(self, object_ids: Sequence[ObjectId]) -> None:
        """Called when the store tells that objects are sealed."""
        for object_id in object_ids:
            for ref in self._take(object_id):
                ref.set_value(None)

    def on_failed(self, object_id: ObjectId, error: bytes) -> None:
        """Called when the store tells that an object has failed. Each ref gets an error of its own."""
        for ref in self._take(object_id):
            ref.set_error(decode(error))

    def _take(self, object_id: ObjectId) -> list[ObjectRef[Any]]:
        with self._lock:
            return self._watched.pop(object_id, [])

    def fail_all(self, why: str) -> None:
        """Called when the store has ended: fails every ref, and each ref that is watched later."""
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
