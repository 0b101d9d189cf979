"""Pure: the rules that hold for the objects of a store between any two messages.

Tests check them after each step, so that a broken rule is found at the step that broke it, with the object, and not
where a reader misses its bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping

from actorrt.ids import ObjectId, short
from actorrt.invariants import BrokenInvariantError
from actorrt.store.table.objects import ObjectEntry, State
from actorrt.store.table.ref_transits import RefTransits

_WITHOUT_BYTES = (State.EXPECTED, State.REMOTE, State.PENDING, State.LOST)


def check(
    entries: Mapping[ObjectId, ObjectEntry],
    by_connection: Mapping[int, Collection[ObjectId]],
    transits: RefTransits,
    idle: Collection[ObjectId],
    suspects: Container[ObjectId],
) -> None:
    """Raise BrokenInvariantError with the whole entry if an object breaks a rule.

    Args:
        entries: the objects.
        by_connection: the objects that each connection is tied to.
        transits: the messages under way.
        idle: the objects that can be moved to disk.
        suspects: the objects that the next sweep looks at.
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
        yield "an object that is still to be made has no bytes"
    if (entry.state is State.CREATED or entry.is_readable) and not has_bytes:
        yield "an object that is being written or is sealed has a place"
    if (entry.maker is not None) != (entry.state is State.CREATED) and not (has_bytes and not entry.is_readable):
        yield "an object has a maker exactly while it is written"
    if (entry.state is State.FAILED) and entry.error is None:
        yield "a failed object has an error"
    if entry.state is State.REMOTE and entry.origin is None:
        yield "a remote object has an origin"
    if entry.state is State.LOST and (not entry.keepers or entry.waiters or entry.loss is None or entry.declarer):
        yield "a lost object has a keeper and a reason, nobody has promised it, and nobody waits for it"
    if entry.loss is not None and entry.state not in (State.LOST, State.PENDING, State.CREATED):
        yield "only an object that is not made again yet has a loss"
    if entry.keepers and entry.state in (State.FAILED, State.FREED):
        yield "an object that has ended has no keepers"
    if entry.declarer is not None and not entry.is_unmade():
        yield "only an unmade object is promised"
    if entry.waiters and not entry.is_unmade():
        yield "only an unmade object has waiters"
    if entry.is_private and (entry.waiters or entry.transits or entry.containers_count or entry.declarer is not None):
        yield "only its maker knows a private object"


def _broken_ties(entry: ObjectEntry, by_connection: Mapping[int, Collection[ObjectId]]) -> Iterator[str]:
    tied = {*entry.holds, *entry.pins, *entry.waiters, *entry.keepers} | ({entry.declarer, entry.maker} - {None})
    for connection in tied:
        if connection is None or entry.object_id not in by_connection.get(connection, ()):
            yield f"connection {connection} does not know that it is tied to it"
    if min([*entry.holds.values(), *entry.pins.values()], default=1) <= 0:
        yield "counts of holds and pins are positive"


def _broken_keeping(
    entry: ObjectEntry,
    transits: RefTransits,
    idle: Collection[ObjectId],
    suspects: Container[ObjectId],
    containers_count: int,
) -> Iterator[str]:
    if entry.containers_count != containers_count:
        yield f"containers_count is {entry.containers_count}, and other objects contain it {containers_count} times"
    for token in entry.transits:
        transit = transits.get(token)
        if transit is None or transit.object_id != entry.object_id or transit.balance_count <= 0:
            yield f"transit {token.hex()} does not hold it"
    if entry.is_idle != (entry.object_id in idle):
        yield "exactly the idle objects can be moved to disk"
    if entry.can_be_deleted() and entry.object_id not in suspects:
        yield "nobody refers to it, and no sweep will look at it"
