"""What must be true of a registry between two events; an error tells the story of the actor concerned.

All tables agree about an actor: from the moment its start begins until it is gone, it has a record, a place among its
parent's children, its name and its reservation. Afterwards it has none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.ids import ActorId, short
from actorrt.invariants import BrokenInvariantError

_WITH_ENDPOINT = (RecordState.RUNNING, RecordState.STOPPING)


def expect(is_so: bool, what: str, record: ActorRecord | None = None) -> None:
    """Raise unless a condition holds.

    Raises:
        BrokenInvariantError: it does not; the text tells `what`, and the story of the actor concerned.
    """
    if not is_so:
        if record is None:
            raise BrokenInvariantError(what)
        raise BrokenInvariantError(f"{what}: {record.story()}", record.actor_id)


def check_records(records: Sequence[ActorRecord], asked: Sequence[ActorRecord], children: Children) -> None:
    """Check the live actors of a registry, and the requested actors whose start has not begun.

    Raises:
        BrokenInvariantError: they, or the lists of children, do not agree.
    """
    for record in records:
        has_place = record.peer_address is not None
        expect(has_place == (record.state in _WITH_ENDPOINT), "its place and state differ", record)
        expect(record.state is not RecordState.GONE, "it is gone, and has a record", record)
        if record.is_start_under_way:
            is_begun = record.incarnation > 0 or record.state is RecordState.STARTING  # a group's start may be put off
            expect(record.peer_address is None and is_begun, "it runs, and is being started", record)
    for record in asked:
        expect(record.state is RecordState.STARTING and record.incarnation == 0, "its start has begun twice", record)
    known = {*records, *asked}
    for record in known:
        is_listed = record.parent is None or record in children.of(record.parent)
        expect(is_listed, "its parent does not know it", record)
    for child in children.all():
        expect(child in known, "its parent has a child that is gone", child)


def check_kept(kept: Collection[ActorId], records: Sequence[ActorRecord]) -> None:
    """Check that nothing is kept for actors that are gone.

    Raises:
        BrokenInvariantError: something is kept.
    """
    left = set(kept) - {record.actor_id for record in records}
    expect(not left, f"kept for actors that are gone: {', '.join(map(short, left))}")
