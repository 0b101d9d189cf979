"""Passes the store's events to the parts of a client."""

from __future__ import annotations

from typing import Any

from actorrt.ids import ObjectId
from actorrt.store.client.keeping import Keeping
from actorrt.store.client.published import PublishedNames
from actorrt.store.client.watching import Watcher
from actorrt.store.connection.connection import StoreConnection
from actorrt.store.connection.reservations import Reservations
from actorrt.store.wire.protocol import Event


class Events:
    """The events of one process, which come on its loop.

    Args:
        connection: keeps the mappings, and the objects that the store pinned ahead of a request.
        watcher: completes refs.
        reservations: take memory.
        names: published values.
        keeping: makes lost objects again.
    """

    def __init__(
        self,
        connection: StoreConnection,
        watcher: Watcher,
        reservations: Reservations,
        names: PublishedNames,
        keeping: Keeping,
    ) -> None:
        self._connection = connection
        self._watcher = watcher
        self._reservations = reservations
        self._names = names
        self._keeping = keeping

    def on_event(self, event: list[Any], fd: int | None) -> None:
        """Called with each event, and the descriptor that came with it or None; this method owns the descriptor."""
        conversation = self._connection.conversation
        match event:
            case [Event.READY, object_ids, *more]:
                for object_id, *place in more[0] if more else ():
                    self._connection.keep_view(ObjectId(object_id), place)
                self._watcher.on_ready(object_ids)
            case [Event.FAILED, object_id, error]:
                self._watcher.on_failed(object_id, error)
            case [Event.REMAKE, object_id, loss]:
                self._keeping.on_remake(ObjectId(object_id), loss)
            case [Event.ALLOCATION, object_id]:
                self._reservations.on_allocation(object_id)
            case [Event.RETIRED, segment_ids]:
                conversation.maps.forget(segment_ids)
            case [Event.NEXT, segment_id]:
                if fd is not None:
                    conversation.maps.add(segment_id, fd, writable=True)
                    conversation.warmer.warm(segment_id)
            case [Event.RECALL]:
                self._connection.release_spare()
            case [Event.PUBLISHED, scope, name, pinned]:
                self._names.on_published(scope, name, pinned)
