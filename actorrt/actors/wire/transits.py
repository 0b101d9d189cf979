"""Ends the store's holds on what messages carry, where the messages are never opened.

Whoever opens a message takes over what it carries: large arguments, refs. Until then the store keeps that for the
sender, by the tokens of the message. A call that has ended needs it no longer, opened or not. Of a tell the sender
hears nothing more, so its tokens are remembered with the peer that it went to, and settled if that peer dies;
settling what has arrived does nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.ids import PeerId
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient
    from actorrt.store.client.ref import ObjectRef

REMEMBERED_COUNT: Final = 10_000


class Transit:
    """The tokens of one message that goes to one or more receivers.

    Args:
        store: keeps what they name.
        tokens: of the message and the refs inside it.
        copies_count: how many calls carry them.
        held: the refs of the large value, which a call that is sent again still needs.
    """

    __slots__ = ("_is_far", "_left_count", "_store", "held", "tokens")

    def __init__(
        self,
        store: StoreClient,
        tokens: Sequence[bytes],
        copies_count: int,
        held: Sequence[ObjectRef[Any]] = (),
    ) -> None:
        self._store = store
        self.held = held
        self._left_count = copies_count
        self._is_far = False
        self.tokens = tokens

    def call_ended(self, *, is_far: bool = False) -> None:
        """One of the calls is over.

        Args:
            is_far: it went to another node, whose word that it was opened takes its time.
        """
        self._left_count -= 1
        self._is_far |= is_far
        if self._left_count == 0:
            self.held = ()
            if self._is_far:
                self._store.call_later(TRANSIT_GRACE_S, self._store.settle, self.tokens)
            else:
                self._store.settle(self.tokens)


class Transits:
    """What was sent to each peer without hope of an answer.

    Args:
        store: keeps what the tokens name; None: nothing is ever remembered.
    """

    def __init__(self, store: StoreClient | None) -> None:
        self._store = store
        self._by_peer: dict[PeerId, deque[bytes]] = {}

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return sum(map(len, self._by_peer.values()))

    def sent(self, peer: PeerId, tokens: Sequence[bytes]) -> None:
        """A message with these tokens went to the peer."""
        remembered = self._by_peer.get(peer)
        if remembered is None:
            remembered = self._by_peer[peer] = deque(maxlen=REMEMBERED_COUNT)
        remembered.extend(tokens)

    def lost(self, peer: PeerId) -> None:
        """The peer is gone: what it had not opened goes, too."""
        tokens = self._by_peer.pop(peer, None)
        if tokens and self._store is not None:
            self._store.settle(list(tokens))
