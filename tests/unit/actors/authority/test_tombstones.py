"""What is remembered of actors that are gone: the last ones, in bounded memory."""

from __future__ import annotations

from actorrt.actors.authority.tombstones import KEPT_BYTES, KEPT_COUNT, Tombstone, Tombstones
from actorrt.ids import IdSource
from actorrt.reasons import ExitKind, ExitReason

IDS = IdSource()


def tombstone(size_bytes):
    return Tombstone("a", ExitReason(ExitKind.ERROR, pickled=[b"p", bytes(size_bytes)]), 1, None)


def test_the_oldest_is_forgotten_where_there_are_too_many():
    tombstones, first = Tombstones(), IDS.actor()
    tombstones.add(first, tombstone(0))
    for _ in range(KEPT_COUNT):
        tombstones.add(IDS.actor(), tombstone(0))
    assert len(tombstones) == KEPT_COUNT
    assert tombstones.error(first).reason is None


def test_exceptions_are_remembered_up_to_a_bound_in_bytes():
    tombstones, last = Tombstones(), IDS.actor()
    for _ in range(40):
        tombstones.add(IDS.actor(), tombstone(KEPT_BYTES // 10))
    tombstones.add(last, tombstone(KEPT_BYTES // 10))
    assert len(tombstones) == 9
    assert tombstones.size_bytes <= KEPT_BYTES
    assert tombstones.error(last).reason.pickled is not None


def test_of_an_exception_beyond_the_bound_the_words_are_remembered():
    tombstones, actor = Tombstones(), IDS.actor()
    tombstones.add(actor, tombstone(KEPT_BYTES))
    assert tombstones.error(actor).reason == ExitReason(ExitKind.ERROR)
