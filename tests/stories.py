"""Records the last changes of records, cells, calls and objects; a `BrokenInvariantError` shows those of its subject.

Changes are recorded only in processes that call `install`, so the runtime's own tables pay nothing for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.cells.cell import Cell
from actorrt.actors.refs.reply import Reply
from actorrt.invariants import BrokenInvariantError
from actorrt.store.table.objects import ObjectEntry

KEPT_COUNT = 4_000
TOLD_COUNT = 20

_changes: deque[tuple[float, Hashable, str, Any]] = deque(maxlen=KEPT_COUNT)


def install() -> None:
    """Record changes from now on, and add them to every `BrokenInvariantError`."""
    _record(ActorRecord, "actor_id", "state", "incarnation", "peer_address", "is_to_end")
    _record(Cell, "actor_id", "state", "incarnation")
    _record(Reply, "call_id", "peer")
    _record(ObjectEntry, "object_id", "state", "place")
    make = BrokenInvariantError.__init__

    def make_with_story(error: BrokenInvariantError, what: str, subject: Hashable = None) -> None:
        make(error, "\n    ".join([what, *story(subject)]), subject)

    BrokenInvariantError.__init__ = make_with_story  # type: ignore[method-assign]


def forget() -> None:
    """Discard the changes that were recorded."""
    _changes.clear()


def story(subject: Hashable) -> list[str]:
    """Return the last changes of one subject, oldest first, each with its age."""
    now = time.monotonic()
    told = [(when, what, value) for when, about, what, value in _changes if about == subject]
    return [f"{now - when:.3f} s ago: {what} = {value}" for when, what, value in told[-TOLD_COUNT:]]


def _record(cls: type, key: str, *names: str) -> None:
    for name in names:
        setattr(cls, name, _RecordedSlot(cls.__dict__[key], cls.__dict__[name], f"{cls.__name__}.{name}"))


class _RecordedSlot:
    """A descriptor that replaces a slot, and records the values that are assigned to it."""

    def __init__(self, key: Any, slot: Any, what: str) -> None:
        self._key: Callable[[Any, type], Hashable] = key.__get__
        self._get: Callable[[Any, type | None], Any] = slot.__get__
        self._set: Callable[[Any, Any], None] = slot.__set__
        self._what = what

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self if owner is None else self._get(owner, cls)

    def __set__(self, owner: Any, value: Any) -> None:
        self._set(owner, value)
        _changes.append((time.monotonic(), self._key(owner, type(owner)), self._what, value))
