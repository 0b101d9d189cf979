"""Pure: published values: the newest object of each name, and the connections that wait for a newer one.

Names belong to a scope, which is the job of one driver; a scope ends with the last connection that joined it. A version
is a number that grows by one with each value. This table holds the newest value; readers hold older ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actorrt.ids import ObjectId

Key = tuple[bytes, str]
"""A scope, and a name in it."""

MAX_NAME_CHARACTERS: Final = 255


@dataclass(slots=True)
class Published:
    """The newest value of a name: an object, or the bytes of a small value; version 0 means that there is none."""

    version: int = 0
    object_id: ObjectId | None = None
    data: bytes | None = None
    waiters: dict[int, int] = field(default_factory=dict)
    """Connections, each with the lowest version that it waits for."""


class Versions:
    """Every published name of one store."""

    def __init__(self) -> None:
        self._published: dict[Key, Published] = {}
        self._members: dict[bytes, set[int]] = {}

    def join(self, scope: bytes, connection: int) -> None:
        """Keep a scope while a connection lasts."""
        self._members.setdefault(scope, set()).add(connection)

    def leave(self, connection: int) -> list[ObjectId]:
        """Called when a connection ended; returns the objects of the scopes that end with it."""
        for published in self._published.values():
            published.waiters.pop(connection, None)
        for scope, members in list(self._members.items()):
            members.discard(connection)
            if not members:
                del self._members[scope]
        over = [key for key in self._published if key[0] not in self._members]
        gone = [self._published.pop(key).object_id for key in over]
        return [object_id for object_id in gone if object_id is not None]

    def publish(
        self, key: Key, object_id: ObjectId | None, data: bytes | None = None
    ) -> tuple[int, ObjectId | None, list[int]]:
        """Let a name stand for a sealed object, or for the bytes of a small value.

        Returns:
            The version, the previous object of the name, and the connections that waited for the version.
        """
        published = self._published.setdefault(key, Published())
        previous = published.object_id
        published.version += 1
        published.object_id, published.data = object_id, data
        ready = [waiter for waiter, wanted in published.waiters.items() if published.version >= wanted]
        for waiter in ready:
            del published.waiters[waiter]
        return published.version, previous, ready

    def latest(self, key: Key, newer_than: int) -> Published | None:
        """Return the newest version, to be read only; None if it is not newer than `newer_than`."""
        published = self._published.get(key)
        return None if published is None or published.version <= newer_than else published

    def wait(self, key: Key, newer_than: int, waiter: int) -> bool:
        """Have a connection wait for a version; True if there is one already, so that it need not wait."""
        if self.latest(key, newer_than) is not None:
            return True
        waiters = self._published.setdefault(key, Published()).waiters
        waiters[waiter] = min(newer_than + 1, waiters.get(waiter, newer_than + 1))
        return False
