"""What an endpoint knows of others."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.wire.bounded_dict import DEFAULT_COUNT
from actorrt.actors.wire.peers import Peers
from actorrt.ids import PeerAddress, PeerId
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.calling.fakes import HERE, NODE, THERE, FakeTransport

KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


@pytest.fixture
def transport() -> Any:
    return FakeTransport()


@pytest.fixture
def peers(transport: Any) -> Peers:
    return Peers(transport, NODE)


def test_own_address_is_that_of_the_started_transport(peers: Peers, transport: Any) -> None:
    transport.address = "memory://bound"
    peers.started()
    assert (peers.own_peer, peers.own) == (HERE.peer, PeerAddress(HERE.peer, "memory://bound"))


def test_lost_peer_is_known_with_its_reason(peers: Peers) -> None:
    assert (peers.is_lost(THERE.peer), peers.reason_of_loss(THERE.peer)) == (False, None)
    peers.lost(THERE.peer, KILLED)
    assert (peers.is_lost(THERE.peer), peers.reason_of_loss(THERE.peer)) == (True, KILLED)


def test_of_very_many_lost_peers_the_oldest_are_forgotten(peers: Peers) -> None:
    ids = [PeerId(number.to_bytes(16, "big")) for number in range(DEFAULT_COUNT + 1)]
    for peer in ids:
        peers.lost(peer, KILLED)
    assert [peers.is_lost(peer) for peer in (ids[0], ids[1], ids[-1])] == [False, True, True]


def test_peer_is_spoken_back_to_if_it_was_heard_and_lives(peers: Peers, transport: Any) -> None:
    assert (peers.address_of(THERE.peer), peers.link_to(THERE.peer)) == (None, None)
    transport.heard[THERE.peer] = THERE.address
    assert peers.address_of(THERE.peer) == THERE
    assert peers.link_to(THERE.peer) is transport.links[THERE.peer]
    peers.lost(THERE.peer, KILLED)
    assert (peers.address_of(THERE.peer), peers.link_to(THERE.peer)) == (None, None)


def test_peer_whose_link_has_failed_is_not_spoken_to(peers: Peers, transport: Any) -> None:
    transport.heard[THERE.peer] = THERE.address
    transport.refusal = errors.PeerUnreachableError("dropped")
    assert peers.link_to(THERE.peer) is None
