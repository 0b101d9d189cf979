"""The dict of a bounded size."""

from __future__ import annotations

from actorrt.actors.wire.bounded_dict import BoundedDict


def test_entry_that_was_set_first_is_deleted_beyond_the_bound() -> None:
    entries: BoundedDict[int, str] = BoundedDict(3)
    for number in (1, 2, 3, 1, 4):
        entries[number] = str(number)
    assert dict(entries) == {3: "3", 1: "1", 4: "4"}
