"""Pure: what must be true of the objects of a store between any two messages.

For tests, which check it after each step: a rule that is broken is found where it is broken, with the object that broke
it, rather than where somebody misses its bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping

from actorrt.ids import ObjectId, short
from actorrt.invariants import BrokenInvariantError
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.ref_transits import RefTransits

_WITHOUT_BYTES = (State.EXPECTED, State.REMOTE, State.PENDING)


def check(
    entries: Mapping[ObjectId, ObjectEntry],
    by_connection: Mapping[int, Collection[ObjectId]],
    transits: RefTransits,
    idle: Collection[ObjectId],
    suspects: Container[ObjectId],
) -> None:
    """Raise BrokenInvariantError where an object is not as it has to be, with all that is known of it.

    Args:
        entries: the objects.
        by_connection: which of them each connection is tied to.
        transits: the messages under way.
        idle: what can be moved to disk.
        suspects: what the next sweep looks at.
    """
    contained = Counter(inner for entry in entries.values() for inner in entry.contained)
    for object_id, entry in entries.items():
        broken = [
            *_broken_states(entry),
            *_broken_ties(entry, by_connection),
            *_broken_keeping(entry, transits, idle, suspects, contained[object_id]),
        ]
        if broken:
            raise _broken(object_id, f"{'; '.join(broken)}: {entry}")
    for connection, tied in by_connection.items():
        for object_id in tied:
            known = entries.get(object_id)
            if known is None:
                raise _broken(object_id, f"it is gone, and connection {connection} is tied to it")
            if known.is_unrelated_to(connection):
                raise _broken(object_id, f"it is not tied to connection {connection}: {known}")
    for object_id in idle:
        if object_id not in entries:
            raise _broken(object_id, "it is gone, and waits to be moved to disk")


def _broken(object_id: ObjectId, what: str) -> BrokenInvariantError:
    return BrokenInvariantError(f"object {short(object_id)}: {what}", object_id)


def _broken_states(entry: ObjectEntry) -> Iterator[str]:
    has_bytes = entry.place is not None
    if entry.state in _WITHOUT_BYTES and has_bytes:
        yield "what is still to be made has no bytes"
    if (entry.state is State.CREATED or entry.is_readable) and not has_bytes:
        yield "what is made lies somewhere"
    if (entry.maker is not None) != (entry.state is State.CREATED) and not (has_bytes and not entry.is_readable):
        yield "exactly what is being written has a maker"
    if (entry.state is State.FAILED) and entry.error is None:
        yield "what failed has an error"
    if entry.state is State.REMOTE and entry.origin is None:
        yield "what is elsewhere has an origin"
    if entry.declarer is not None and not entry.is_unmade():
        yield "only what may still be made is promised"
    if entry.waiters and not entry.is_unmade():
        yield "nobody waits for what is made, or never will be"
    if entry.is_private and (entry.waiters or entry.transits or entry.containers_count or entry.declarer is not None):
        yield "nobody has heard of what is private"


def _broken_ties(entry: ObjectEntry, by_connection: Mapping[int, Collection[ObjectId]]) -> Iterator[str]:
    tied = {*entry.holds, *entry.pins, *entry.waiters} | ({entry.declarer, entry.maker} - {None})
    for connection in tied:
        if connection is None or entry.object_id not in by_connection.get(connection, ()):
            yield f"connection {connection} does not know that it is tied to it"
    if min([*entry.holds.values(), *entry.pins.values()], default=1) <= 0:
        yield "who holds or pins it does so at least once"


def _broken_keeping(
    entry: ObjectEntry,
    transits: RefTransits,
    idle: Collection[ObjectId],
    suspects: Container[ObjectId],
    containers_count: int,
) -> Iterator[str]:
    if entry.containers_count != containers_count:
        yield f"it lies in {containers_count} objects"
    for token in entry.transits:
        transit = transits.get(token)
        if transit is None or transit.object_id != entry.object_id or transit.balance_count <= 0:
            yield f"transit {token.hex()} does not hold it"
    if entry.is_idle != (entry.object_id in idle):
        yield "exactly what is idle can be moved to disk"
    if entry.may_go() and entry.object_id not in suspects:
        yield "nobody refers to it, and no sweep will look at it"
