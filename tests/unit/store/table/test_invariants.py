"""The error of an object that breaks a rule."""

from __future__ import annotations

import pytest

from actorrt.ids import ObjectId
from actorrt.invariants import BrokenInvariantError
from actorrt.store.memory.pool import Place
from tests.property.recording_table import RecordingTable

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)


def test_a_broken_rule_comes_with_the_object_and_its_story() -> None:
    table = RecordingTable()
    table.connect(1)
    table.create(X, 1, Place(1, 0, 64))
    table.create(Y, 1, Place(1, 64, 64))
    table.seal(X, 1)
    table.check_invariants()
    entry = table.get(X)
    assert entry is not None
    entry.holds.clear()  # and nobody is told to look at it
    table.sweep()
    entry.holds[1] = 0
    with pytest.raises(BrokenInvariantError) as broken:
        table.check_invariants()
    assert broken.value.subject == X
    assert str(broken.value).startswith("object 78787878: ")
    notes = broken.value.__notes__
    assert [note.partition("(")[0] for note in notes] == ["create", "seal", "sweep"]
