"""Linked peers are told node by node, as levels, and once for all changes."""

from __future__ import annotations

from actorrt.ids import PeerAddress, PeerId
from actorrt.transport.composite.far_peers import FarPeers

A, B = (PeerAddress(PeerId(name * 16), f"node://{name!r}") for name in (b"a", b"b"))
ONE, TWO, THREE = (PeerId(name * 16) for name in (b"1", b"2", b"3"))


def test_changes_are_told_together_and_only_the_first_asks_for_it() -> None:
    peers = FarPeers()
    assert [peers.linked(ONE, A), peers.linked(TWO, A), peers.linked(THREE, B)] == [True, False, False]
    assert peers.take_changes() == {A: [ONE, TWO], B: [THREE]}
    assert peers.take_changes() == {}
    assert peers.unlinked(ONE)
    assert peers.take_changes() == {A: [TWO]}
    peers.check_invariants()


def test_peer_is_counted_once_and_an_unknown_one_changes_nothing() -> None:
    peers = FarPeers()
    peers.linked(ONE, A)
    peers.take_changes()
    assert [peers.linked(ONE, A), peers.unlinked(TWO)] == [False, False]
    assert peers.take_changes() == {}


def test_node_without_linked_peers_is_told_as_empty() -> None:
    peers = FarPeers()
    peers.linked(ONE, A)
    peers.unlinked(ONE)
    assert peers.take_changes() == {A: []}
    peers.check_invariants()
