"""Releases what the store keeps for messages that are never opened.

A message carries large arguments and refs. The store keeps them for the sender, by the tokens of the message, until
the receiver opens the message and takes them over. When a call ends, they are no longer needed, opened or not. The
sender of a tell hears nothing more of it, so the tokens are remembered with the peer that it went to, and settled if
that peer dies. To settle a token that has arrived has no effect.
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
        store: keeps the objects that the tokens name.
        tokens: those of the message and of the refs inside it.
        copies_count: how many calls carry them.
        held: refs to the large values, which a call needs if it is sent again.
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
        """Called when one of the calls has ended.

        Args:
            is_far: whether it went to another node, which takes longer to say that it was opened.
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
    """The tokens that were sent to each peer in messages without an answer.

    Args:
        store: keeps the objects that the tokens name; None: there are no tokens.
    """

    def __init__(self, store: StoreClient | None) -> None:
        self._store = store
        self._by_peer: dict[PeerId, deque[bytes]] = {}

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return sum(map(len, self._by_peer.values()))

    def sent(self, peer: PeerId, tokens: Sequence[bytes]) -> None:
        """Called when a message with these tokens was sent to the peer."""
        remembered = self._by_peer.get(peer)
        if remembered is None:
            remembered = self._by_peer[peer] = deque(maxlen=REMEMBERED_COUNT)
        remembered.extend(tokens)

    def lost(self, peer: PeerId) -> None:
        """Called when the peer is gone: release what it had not opened."""
        tokens = self._by_peer.pop(peer, None)
        if tokens and self._store is not None:
            self._store.settle(list(tokens))
