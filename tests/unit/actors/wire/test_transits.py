"""When the store stops to keep what a message carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actorrt.actors.wire.transits import REMEMBERED_COUNT, Transit, Transits
from actorrt.ids import PeerId

PEER, OTHER = PeerId(b"p" * 16), PeerId(b"o" * 16)


class FakeStore:
    """Notes what is settled, at once or later."""

    def __init__(self) -> None:
        self.settled: list[bytes] = []
        self.later: list[Callable[[], None]] = []

    def settle(self, tokens: Sequence[bytes]) -> None:
        self.settled += tokens

    def call_later(self, _: float, callback: Callable[..., None], *args: Any) -> None:
        self.later.append(lambda: callback(*args))


def test_transit_of_several_calls_is_settled_with_the_last() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1", b"2"], 2, held=[object()])  # type: ignore[list-item]
    transit.call_ended()
    assert (store.settled, len(transit.held)) == ([], 1)
    transit.call_ended()
    assert (store.settled, transit.held) == ([b"1", b"2"], ())


def test_transit_to_another_node_is_settled_later() -> None:
    store: Any = FakeStore()
    transit = Transit(store, [b"1"], 2)
    transit.call_ended(is_far=True)
    transit.call_ended()
    assert store.settled == []
    store.later[0]()
    assert store.settled == [b"1"]


def test_what_was_told_to_a_peer_is_settled_with_its_loss() -> None:
    store: Any = FakeStore()
    transits = Transits(store)
    transits.sent(PEER, [b"1", b"2"])
    transits.sent(OTHER, [b"3"])
    assert len(transits) == 3
    transits.lost(PEER)
    transits.lost(PEER)
    assert (store.settled, len(transits)) == ([b"1", b"2"], 1)


def test_of_very_much_that_was_told_only_the_newest_is_remembered() -> None:
    store: Any = FakeStore()
    transits = Transits(store)
    for number in range(REMEMBERED_COUNT + 1):
        transits.sent(PEER, [str(number).encode()])
    transits.lost(PEER)
    assert (store.settled[0], len(store.settled)) == (b"1", REMEMBERED_COUNT)


def test_without_a_store_nothing_is_settled() -> None:
    transits = Transits(None)
    transits.sent(PEER, [b"1"])
    transits.lost(PEER)
    assert len(transits) == 0
