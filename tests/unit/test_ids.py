"""Identities, alone and packed."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.ids import ActorIds, IdSource


def test_packed_ids_are_a_sequence_of_ids() -> None:
    ids = IdSource().actors(3)
    assert len(ids) == len(set(ids)) == 3
    assert all(len(each) == 16 for each in ids)
    assert [ids[0], *ids[1:3]] == list(ids)
    assert list(ActorIds(ids.packed)) == list(ids)


def test_packed_ids_end_where_they_end() -> None:
    ids = IdSource().actors(2)
    with pytest.raises(IndexError):
        ids[2]


@pytest.mark.parametrize("packed", [b"x" * 15, b"x" * 17, "x" * 16, [b"x" * 16], None])
def test_bytes_that_are_not_those_of_whole_ids_are_refused(packed: Any) -> None:
    with pytest.raises(ValueError, match="not the bytes of ids"):
        ActorIds(packed)
