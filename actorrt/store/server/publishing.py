"""Pure: the messages by which clients publish values under names, and read the newest ones."""

from __future__ import annotations

from typing import Any

from actorrt.errors import ObjectNotFoundError
from actorrt.ids import short
from actorrt.store.server.arguments import key_of, object_id_of, scope_of
from actorrt.store.server.connections import LATER, PUBLISHED_NAMES, Connections, Handler
from actorrt.store.server.reads import ReadRequest, Reads
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.table import ObjectTable
from actorrt.store.table.versions import Versions
from actorrt.store.wire.protocol import MAX_PUBLISHED_BYTES, Event, Op


class PublishingHandlers:
    """Handles the messages about published names.

    Args:
        table: the objects.
        connections: the clients.
        reads: answers with objects.

    Attributes:
        handlers: the handler of each message.
    """

    def __init__(self, table: ObjectTable, connections: Connections, reads: Reads) -> None:
        self._table = table
        self._table.connect(PUBLISHED_NAMES)
        self._connections = connections
        self._reads = reads
        self._versions = Versions()
        self.handlers: dict[Op, Handler] = {
            Op.JOIN: self._on_join,
            Op.PUBLISH: self._on_publish,
            Op.LATEST: self._on_latest,
            Op.AWAIT_VERSION: self._on_await_version,
        }

    def leave(self, connection: int) -> None:
        """Release the values of scopes that end with a connection."""
        for object_id in self._versions.leave(connection):
            self._table.release(object_id, PUBLISHED_NAMES)

    def _on_join(self, connection: int, _: int, scope: bytes) -> None:
        self._versions.join(scope_of(scope), connection)

    def _on_publish(
        self, connection: int, _: int, scope: bytes, name: str, object_id: bytes | None, data: bytes | None = None
    ) -> int:
        key, entry = key_of(scope, name), None
        if object_id is not None:
            entry = self._table.get(object_id_of(object_id))
            if entry is None or not entry.is_readable:
                what = "can't be published: it is not sealed, or was freed"
                raise ObjectNotFoundError(f"object {short(object_id)} {what}")
            self._table.acquire(entry.object_id, PUBLISHED_NAMES, None)
        elif not isinstance(data, bytes) or len(data) > MAX_PUBLISHED_BYTES:
            raise ValueError(f"a value that is published without an object is at most {MAX_PUBLISHED_BYTES} bytes")
        self._versions.join(key[0], connection)
        version, previous, ready = self._versions.publish(key, None if entry is None else entry.object_id, data)
        for waiter in ready:
            pinned = [data, version] if entry is None else self._pin_version(waiter, entry, version)
            self._connections.tell(waiter, [Event.PUBLISHED, scope, name, pinned])
        if previous is not None:
            self._table.release(previous, PUBLISHED_NAMES)
        return version

    def _pin_version(self, waiter: int, entry: ObjectEntry, version: int) -> list[Any] | None:
        """Hold and pin a published object for a process that waits, so that it need not ask; None if it must ask."""
        reader = self._connections.speaker(waiter)
        place = entry.place
        if reader is None or place is None or (place.segment_id, False) not in self._connections[reader].mapped:
            return None
        if entry.state is not State.SEALED:
            return None
        self._table.acquire(entry.object_id, reader, None)
        self._table.pin(entry.object_id, reader)
        return [place.segment_id, place.offset, place.length_bytes, version, entry.object_id]

    def _on_latest(self, connection: int, serial: int, scope: bytes, name: str, newer_than: int) -> Any:
        key = key_of(scope, name)
        self._versions.join(key[0], connection)
        found = self._versions.latest(key, newer_than)
        if found is None or found.object_id is None:
            return None if found is None else [found.data, found.version]
        entry = self._table.get(found.object_id)
        if entry is None or not entry.is_readable:
            raise ObjectNotFoundError(f"version {found.version} of {name!r} was freed")
        self._table.acquire(entry.object_id, connection, None)
        self._reads.answer(entry, ReadRequest(connection, serial, (found.version, entry.object_id)))
        return LATER

    def _on_await_version(self, connection: int, _: int, scope: bytes, name: str, newer_than: int) -> None:
        waiter = self._connections.waiter(connection)
        if self._versions.wait(key_of(scope, name), newer_than, waiter):
            self._connections.tell(waiter, [Event.PUBLISHED, scope, name, None])
