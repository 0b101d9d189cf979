"""Loses objects of a store in this process, as a disk that has failed does, whether or not they are on disk."""

from __future__ import annotations

from typing import Any

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, short
from actorrt.store.client.ref import ObjectRef
from actorrt.store.server.local import LocalStore
from actorrt.store.table.objects import State


def store_here() -> LocalStore:
    """Return the store of the node that this process runs itself."""
    client = current_endpoint().store
    assert client is not None
    store = client._conversation.channel._store  # type: ignore[attr-defined]
    assert isinstance(store, LocalStore)
    return store


def lose(*refs: ObjectRef[Any]) -> None:
    """Lose the bytes of objects that nobody has in view."""
    lose_objects(store_here(), [ref.id for ref in refs])


def lose_objects(store: LocalStore, object_ids: list[ObjectId]) -> None:
    """Lose the bytes of objects of a store."""
    table = store._core._table
    for object_id in object_ids:
        entry = table.get(object_id)
        assert entry is not None, f"object {short(object_id)} is gone"
        assert entry.is_idle, f"object {short(object_id)} is in view: {entry}"
        table.idle.pop(object_id)
        entry.state = State.SPILLED
        table.lose(object_id, ObjectLostError(f"object {short(object_id)} is lost: the test has lost it"))
    store._settle()


def evict_copies(store: LocalStore) -> None:
    """Evict the copies of other nodes' objects that nobody has in view."""
    while store._core.allocator._evict(1 << 40):
        pass
    store._settle()
