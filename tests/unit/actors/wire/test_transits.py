"""When the store stops to keep what a message carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actorrt.actors.wire.transits import REMEMBERED_COUNT, Transit, Transits
from actorrt.ids import PeerAddress, PeerId

PEER, OTHER, FAR = PeerId(b"p" * 16), PeerId(b"o" * 16), PeerId(b"f" * 16)
NODE, OTHER_NODE = PeerAddress(PeerId(b"n" * 16), "tcp://n"), PeerAddress(PeerId(b"m" * 16), "tcp://m")


def node_of(peer: PeerId) -> bytes:
    return NODE.packed() if peer == FAR else b""


class FakeStore:
    """Notes what is settled, at once or later, and which tokens have left for other nodes."""

    def __init__(self) -> None:
        self.settled: list[bytes] = []
        self.later: list[Callable[[], None]] = []
        self.addressed: list[tuple[bytes, PeerId, bool]] = []

    def settle(self, tokens: Sequence[bytes]) -> None:
        self.settled += tokens

    def address(self, tokens: Sequence[bytes], node: PeerId, *, has_left: bool = True) -> None:
        self.addressed += [(token, node, has_left) for token in tokens]

    def call_later(self, _: float, callback: Callable[..., None], *args: Any) -> None:
        self.later.append(lambda: callback(*args))


def test_transit_of_several_calls_is_settled_with_the_last() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1", b"2"], 2, held=[object()])  # type: ignore[list-item]
    transit.call_ended()
    assert (store.settled, len(transit.held)) == ([], 1)
    transit.call_ended(was_opened=True)
    assert (store.settled, transit.held) == ([b"1", b"2"], ())


def test_transit_to_another_node_that_may_be_unopened_is_settled_later() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1"], 2)
    transit.left_for(NODE.peer, 1)
    transit.call_ended()
    transit.call_ended(was_opened=True)
    assert store.settled == []
    store.later[0]()
    assert store.settled == [b"1"]


def test_transit_that_was_opened_on_another_node_is_left_to_the_store() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1"], 1)
    transit.left_for(NODE.peer, 1)
    transit.call_ended(was_opened=True)
    assert (store.settled, store.later) == ([], [])
    assert store.addressed == [(b"1", NODE.peer, True)]


def test_call_that_is_sent_again_is_counted_at_its_last_node_only() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1"], 2)
    transit.left_for(NODE.peer, 1)
    transit.left_for(OTHER_NODE.peer, 2)
    transit.left_for(NODE.peer, 1)
    transit.left_for(OTHER_NODE.peer, 1)
    transit.left_for(None, 1)
    first, second = NODE.peer, OTHER_NODE.peer
    assert store.addressed == [
        *[(b"1", first, True), (b"1", second, True)],
        *[(b"1", first, False), (b"1", second, True), (b"1", second, False)],
    ]


def test_what_was_told_to_a_peer_is_settled_with_its_loss() -> None:
    store: Any = FakeStore()
    transits = Transits(store, node_of)
    transits.left(PEER, Transit(store, [b"1", b"2"], 1))
    transits.left(OTHER, Transit(store, [b"3"], 1))
    assert len(transits) == 3
    transits.lost(PEER)
    transits.lost(PEER)
    assert (store.settled, len(transits)) == ([b"1", b"2"], 1)


def test_what_was_told_to_a_peer_of_another_node_is_settled_some_time_after_its_loss() -> None:
    store: Any = FakeStore()
    transits = Transits(store, node_of)
    transits.left(FAR, Transit(store, [b"1"], 1))
    assert store.addressed == [(b"1", NODE.peer, True)]
    transits.lost(FAR)
    assert store.settled == []
    store.later[0]()
    assert store.settled == [b"1"]


def test_what_a_peer_of_another_node_has_opened_is_settled_with_its_loss_at_last() -> None:
    store: Any = FakeStore()
    transits = Transits(store, node_of)
    transit = Transit(store, [b"1"], 1)
    transits.left(FAR, transit, 7)
    transits.call_ended(FAR, transit, 7, was_opened=True)
    assert (store.later, len(transits)) == ([], 1)
    transits.lost(FAR)
    store.later[0]()
    assert store.settled == [b"1"]


def test_of_very_much_that_was_told_only_the_newest_is_remembered() -> None:
    store: Any = FakeStore()
    transits = Transits(store, node_of)
    for number in range(REMEMBERED_COUNT + 1):
        transits.left(PEER, Transit(store, [str(number).encode()], 1))
    transits.lost(PEER)
    assert (store.settled[0], len(store.settled)) == (b"1", REMEMBERED_COUNT)


def test_node_that_names_itself_by_no_address_counts_as_this_one() -> None:
    store: Any = FakeStore()
    transits = Transits(store, lambda _: b"nonsense")
    transits.left(FAR, Transit(store, [b"1"], 1))
    assert store.addressed == []


def test_without_a_store_nothing_is_settled() -> None:
    transits = Transits(None, node_of)
    transits.left(PEER, Transit(FakeStore(), [b"1"], 1))  # type: ignore[arg-type]
    transits.lost(PEER)
    assert len(transits) == 0
