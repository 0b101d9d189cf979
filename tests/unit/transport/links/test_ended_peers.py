"""The bounded memory of dropped peers and given-up links."""

from __future__ import annotations

import pytest

from actorrt.ids import PeerId
from actorrt.transport.interfaces import Lane
from actorrt.transport.links import ended_peers
from actorrt.transport.links.ended_peers import EndedPeers
from actorrt.transport.links.peer_lanes import lane_key

PEERS = [PeerId(bytes((number,)) * 16) for number in range(5)]
KEYS = [lane_key(peer, Lane.USER) for peer in PEERS]


@pytest.fixture(autouse=True)
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_peers, "REMEMBERED_COUNT", 3)


def test_oldest_dropped_peer_is_forgotten_first() -> None:
    over = EndedPeers()
    for peer in PEERS[:4]:
        over.drop(peer)
    assert [over.is_dropped(peer) for peer in PEERS] == [False, True, True, True, False]


def test_link_that_was_given_up_is_over_and_a_later_one_is_not() -> None:
    over = EndedPeers()
    assert over.give_up(KEYS[0], 5) is None
    assert over.is_over(KEYS[0], 4)
    assert over.is_over(KEYS[0], 5)
    assert not over.is_over(KEYS[1], 5)
    assert not over.is_over(KEYS[0], 6)
    assert not over.is_over(KEYS[0], 5)  # it was forgotten with the later link


def test_oldest_link_is_forgotten_first_and_named() -> None:
    over = EndedPeers()
    assert [over.give_up(key, 0) for key in KEYS] == [None, None, None, KEYS[0], KEYS[1]]
    assert [over.is_over(key, 0) for key in KEYS] == [False, False, True, True, True]


def test_link_can_be_forgotten() -> None:
    over = EndedPeers()
    over.give_up(KEYS[0], 5)
    over.forget_link(KEYS[0])
    over.forget_link(KEYS[0])
    assert not over.is_over(KEYS[0], 5)
