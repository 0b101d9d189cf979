"""Ids, single and packed, and the source that they come from."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.ids import ID_BYTES, ActorIds, IdSource, PeerAddress


class Counted(IdSource):
    """Ids that are counted, as a simulation would have them."""

    def __init__(self) -> None:
        self.drawn_count = 0

    def _random(self, count: int = 1) -> bytes:
        start, self.drawn_count = self.drawn_count, self.drawn_count + count
        return b"".join(number.to_bytes(ID_BYTES, "big") for number in range(start, start + count))


def test_packed_ids_are_a_sequence_of_ids() -> None:
    ids = IdSource().actors(3)
    assert len(ids) == len(set(ids)) == 3
    assert all(len(each) == 16 for each in ids)
    assert [ids[0], *ids[1:3]] == list(ids)
    assert list(ActorIds(ids.packed)) == list(ids)


def test_index_beyond_the_packed_ids_is_an_index_error() -> None:
    ids = IdSource().actors(2)
    with pytest.raises(IndexError):
        ids[2]


@pytest.mark.parametrize("packed", [b"x" * 15, b"x" * 17, "x" * 16, [b"x" * 16], None])
def test_bytes_that_are_not_those_of_whole_ids_are_refused(packed: Any) -> None:
    with pytest.raises(ValueError, match="not the bytes of ids"):
        ActorIds(packed)


def test_every_kind_of_id_comes_from_the_source_alone() -> None:
    ids = Counted()
    made = [ids.actor(), *ids.actors(2), ids.peer(), ids.object(), *ids.objects(3), ids.job()]
    assert made == [number.to_bytes(ID_BYTES, "big") for number in range(9)]


def test_peer_address_round_trips_through_bytes() -> None:
    address = PeerAddress(IdSource().peer(), "unix:///x")
    assert PeerAddress.from_packed(address.packed()) == address


@pytest.mark.parametrize("packed", [b"", b"garbage", b"\x93\x00\x00\x00", b"\x07", b"\x92\xa1x\xa1y"])
def test_bytes_that_are_no_packed_address_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="is no packed address"):
        PeerAddress.from_packed(packed)
