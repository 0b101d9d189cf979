"""The live actors that each parent has spawned. The parent may belong to another authority."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId


class Children:
    """The children that one registry knows, by their parents."""

    def __init__(self) -> None:
        self._by_parent: dict[ActorId, dict[ActorId, ActorRecord]] = {}

    def __contains__(self, parent: ActorId) -> bool:
        return parent in self._by_parent

    def add(self, record: ActorRecord) -> None:
        """Add an actor that is being spawned; without effect if no actor spawned it."""
        if record.parent is not None:
            self._by_parent.setdefault(record.parent, {})[record.actor_id] = record

    def families(self) -> Iterable[tuple[ActorId, Collection[ActorRecord]]]:
        """Return each parent with its children, in the order of their spawns; valid until the next change."""
        return ((parent, children.values()) for parent, children in self._by_parent.items())

    def in_order(self, parent: ActorId) -> Collection[ActorRecord]:
        """Return a parent's children, in the order of their spawns; valid until the next change."""
        return self._by_parent.get(parent, {}).values()

    def remove(self, record: ActorRecord) -> None:
        """Drop an actor that is gone."""
        siblings = self._by_parent.get(record.parent) if record.parent is not None else None
        if siblings is not None and record.parent is not None:
            siblings.pop(record.actor_id, None)
            if not siblings:
                del self._by_parent[record.parent]

    def of(self, parent: ActorId) -> list[ActorRecord]:
        """Return a parent's children, last first."""
        return list(reversed(self._by_parent.get(parent, {}).values()))

    def all(self) -> list[ActorRecord]:
        """Return every child of every parent."""
        return [child for children in self._by_parent.values() for child in children.values()]

    async def gone(self, parent: ActorId) -> None:
        """Return when a parent has no children."""
        while children := self._by_parent.get(parent):
            await next(iter(children.values())).next_change()
